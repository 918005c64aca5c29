/**
 * What can go wrong on the wire, and whose fault it is.
 *
 * Lives here: the one error class of the codec, the framer and both ends' conversation, and the
 * helper that makes every `switch` over a union complete. Not here: failures of disks, sockets and
 * settings; their owners define them.
 *
 * Any other exception that leaves `protocol/` is a bug in it by definition.
 */

/** Whose fault: `local` is misuse by the calling code, `remote` is what the peer sent. */
export type Fault = 'local' | 'remote';

export type ProtocolErrorCode =
  /** The first two bytes of a message are not 1234: the peer speaks something else. */
  | 'magic'
  /** A protocol version that this side doesn't speak. */
  | 'version'
  /** A message kind that doesn't exist, or that the other role sends. */
  | 'kind'
  /** A reserved flag is set, or a flag stands on a kind that has no use for it. */
  | 'flags'
  /** A length field over the limit that is in force. */
  | 'size'
  /** A message was lost, doubled or swapped: the counter isn't the expected one. */
  | 'counter'
  /** The message's CRC-32 doesn't match: bytes were changed on the way. */
  | 'crc'
  /** The body isn't what its kind prescribes. */
  | 'decode'
  /** A right message at the wrong time, or one that names something never announced. */
  | 'state'
  /** A MAC doesn't match: the peer doesn't hold the token. */
  | 'unauthorized'
  /** A compressed body doesn't inflate to the length that it claims. */
  | 'compression';

/** An error on the wire. After one the connection is closed; nothing is ever resynchronised. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code: ProtocolErrorCode;
  readonly fault: Fault;

  constructor(code: ProtocolErrorCode, message: string, fault: Fault = 'remote') {
    super(message);
    this.code = code;
    this.fault = fault;
  }
}

/** Closes a `switch` over a union: compiles only when every member has its case. */
export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
