/**
 * A look at the link by a connection of its own, from this machine: when the first byte came back,
 * in which pieces, and how the connection ended. It says something that no server takes for a
 * collector, so that a server at the other end closes at once; its log and its counters tell of it.
 * To a server that speaks TLS it begins a handshake, to be heard at all, and never ends it.
 * What may be concluded is not said here.
 */
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import {
  BODY_BYTES_MAX_BEFORE_PROOF,
  HEADER_BYTES,
  MAGIC,
  PROTOCOL_VERSION,
  TRAILER_BYTES,
} from '#protocol/limits.ts';

const HELLO = 2;
/** The longest message that a server takes from somebody unknown. */
export const LONG_BYTES = HEADER_BYTES + BODY_BYTES_MAX_BEFORE_PROOF + TRAILER_BYTES;

/** What is said into the link. */
export type Saying =
  /** Wrong from its first bytes on. */
  | 'nonsense'
  /** A message of LONG_BYTES, which is wrong at its very end. */
  | 'long'
  /** Nothing, and it hangs up when it was greeted. */
  | 'nothing';

export interface Probe {
  readonly connected: boolean;
  /** Milliseconds from the connect to the first byte that came back; null when none came. */
  readonly firstByteMs: number | null;
  /** The bytes that came, piece by piece as they were read. */
  readonly pieces: readonly number[];
  /** Milliseconds from the connect to its end; null when it was still open at the end of patience. */
  readonly endedMs: number | null;
  /** The error's code, such as ECONNREFUSED or ECONNRESET; null for an orderly end. */
  readonly error: string | null;
}

/**
 * Never rejects but by the signal, whose abort ends it at once.
 * @param url `http://host:port` of the link's entrance, as seen from this machine.
 */
export async function probeLink(
  url: string,
  options: { say: Saying; secured: boolean; patienceMs: number; signal: AbortSignal },
): Promise<Probe> {
  const { say, secured, patienceMs, signal } = options;
  const hello = secured ? await clientHello() : Buffer.alloc(0);
  signal.throwIfAborted();
  const { hostname, port } = new URL(url);
  const beganMs = performance.now();
  const sinceBegin = () => performance.now() - beganMs;
  const pieces: number[] = [];
  let connected = false;
  let firstByteMs: number | null = null;
  let error: string | null = null;
  const socket = connect({ host: hostname, port: Number(port), noDelay: true, signal });
  socket.on('connect', () => {
    connected = true;
    socket.write(Buffer.concat([hello, WORDS[say]]));
  });
  socket.on('data', (piece) => {
    firstByteMs ??= sinceBegin();
    pieces.push(piece.length);
    if (say === 'nothing') socket.destroy();
  });
  socket.on('error', (cause: NodeJS.ErrnoException) => {
    error = cause.code ?? cause.message;
  });
  const endedMs = await new Promise<number | null>((resolve) => {
    const timer = setTimeout(() => resolve(null), patienceMs);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(sinceBegin());
    });
  });
  socket.destroy();
  signal.throwIfAborted();
  return { connected, firstByteMs, pieces, endedMs, error };
}

/** As TLS 1.3 of this Node.js begins. */
function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = new Duplex({
      read: () => undefined,
      write: (bytes: Buffer, _encoding, written) => {
        written();
        resolve(bytes);
      },
    });
    connectTls({ socket, minVersion: 'TLSv1.3' }).on('error', () => undefined); // nobody answers
  });
}

const WORDS: Readonly<Record<Saying, Buffer>> = {
  nonsense: Buffer.alloc(HEADER_BYTES),
  long: longMessage(),
  nothing: Buffer.alloc(0),
};

function longMessage(): Buffer {
  const message = Buffer.alloc(LONG_BYTES);
  message.writeUInt16BE(MAGIC, 0);
  message.writeUInt16BE(PROTOCOL_VERSION, 2);
  message.writeUInt8(HELLO, 4);
  message.writeUInt32BE(BODY_BYTES_MAX_BEFORE_PROOF, 6);
  return message;
}
