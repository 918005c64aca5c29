/** Which encoding of a content to send, by what the asker says it takes (RFC 9110, 12.5.3). */

export type Encoding = 'br' | 'gzip' | 'identity';

/**
 * The first of those offered that is taken, by its own name or by `*`; what the asker likes better
 * doesn't count, for to it they are all the same content.
 * @param header of `Accept-Encoding`. Without one, or where it takes none of them, it is `identity`.
 * @param offered in the order of preference.
 */
export function chooseEncoding(header: string | undefined, offered: readonly Encoding[]): Encoding {
  const taken = new Map<string, boolean>();
  for (const one of header?.split(',') ?? []) {
    const [name = '', ...parameters] = one.split(';').map((part) => part.trim().toLowerCase());
    taken.set(name, !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter)));
  }
  const isTaken = (encoding: Encoding) => taken.get(encoding) ?? taken.get('*') ?? false;
  return offered.find((encoding) => encoding !== 'identity' && isTaken(encoding)) ?? 'identity';
}
