/** Where a server is, and how that is written in settings and options. */

export interface ServerAddress {
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
}

/** The rule for addresses, in words for messages. */
export const SERVER_ADDRESS_RULE =
  'host:port with a port from 1 to 65535, such as 127.0.0.1:9004 or [::1]:9004';

/** `host:port`, with an IPv6 address in brackets as in URLs. */
const ADDRESS = /^(?:\[(?<six>[0-9A-Fa-f:.]+)\]|(?<name>[A-Za-z0-9._-]+)):(?<port>\d{1,5})$/;

/** Undefined for what is no address by SERVER_ADDRESS_RULE. */
export function parseServerAddress(text: string): ServerAddress | undefined {
  const parts = ADDRESS.exec(text)?.groups;
  const host = parts?.six ?? parts?.name;
  const port = Number(parts?.port);
  return host !== undefined && isPort(port) ? { host, port } : undefined;
}

export function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}
