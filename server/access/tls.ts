/**
 * The door of the port for collectors when it speaks TLS: takes sockets over as they come, and hands
 * them on once they are secured. TLS 1.3 alone; with a client CA, only who has a certificate of it.
 *
 * Invariants: a socket that fails is closed, counted and told once, with its address; how long a
 * handshake may take, and who has to go when places run short, is bounded from here. A client
 * certificate that is none of ours is answered by BYE: a collector whose own certificate has expired
 * is to be told so, and an alert would not get through (TLS 1.3 has the client done before).
 */
import { constants, createPrivateKey, X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, createServer, type Server, type TLSSocket } from 'node:tls';
import { MessageWriter } from '#protocol/envelope.ts';
import type { Attempts } from './attempts.ts';

/** PEM texts. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** Whose certificates collectors must have; undefined: they need none. */
  readonly clientCa: string | undefined;
}

export interface TlsDoorOptions {
  readonly files: TlsFiles;
  readonly attempts: Pick<Attempts, 'onFailed'>;
  /** For the TLS handshake, from accepting on. */
  readonly handshakeMs: number;
}

/** How long a goodbye may take to leave before the socket is destroyed. */
const GOODBYE_MS = 500;

/** A socket in its handshake. */
interface Arrival {
  readonly raw: Socket;
  readonly address: string;
  readonly onSecured: (socket: TLSSocket) => void;
  failure: string | undefined;
}

export class TlsDoor {
  readonly #attempts: TlsDoorOptions['attempts'];
  readonly #wantsCertificates: boolean;
  /** Never listens: sockets are handed to it. */
  readonly #server: Server;
  /** By the other side's address, which is all that Node tells of a socket that has failed. */
  readonly #arrivals = new Map<string, Arrival>();

  constructor({ files, attempts, handshakeMs }: TlsDoorOptions) {
    this.#attempts = attempts;
    this.#wantsCertificates = files.clientCa !== undefined;
    this.#server = createServer({
      ...contextOptions(files),
      handshakeTimeout: handshakeMs,
      requestCert: this.#wantsCertificates,
      // Not refused by Node, which would hang up without a word, but in #onSecured.
      rejectUnauthorized: false,
    });
    this.#server.on('secureConnection', (socket) => this.#onSecured(socket));
    this.#server.on('tlsClientError', (error, socket) => {
      const arrival = this.#arrivals.get(addressOf(socket));
      if (arrival) arrival.failure = failureOf(error);
      socket.destroy();
    });
  }

  /** Sockets that are in their handshake. */
  get pending(): number {
    return this.#arrivals.size;
  }

  /** From the next handshake on; whether client certificates are wanted can't change. */
  replace(files: TlsFiles): void {
    this.#server.setSecureContext(contextOptions(files));
  }

  /** Takes a socket over as it was accepted. */
  admit(raw: Socket, onSecured: (socket: TLSSocket) => void): void {
    const arrival: Arrival = { raw, address: addressOf(raw), onSecured, failure: undefined };
    this.#arrivals.set(arrival.address, arrival);
    raw.on('error', () => {});
    raw.on('close', () => this.#onClosed(arrival));
    this.#server.emit('connection', raw);
  }

  /** Ends a handshake; who is made to leave has not failed. */
  drop(raw: Socket): void {
    this.#arrivals.delete(addressOf(raw));
    raw.destroy();
  }

  close(): void {
    for (const { raw } of this.#arrivals.values()) this.drop(raw);
  }

  #onSecured(socket: TLSSocket): void {
    socket.on('error', () => {});
    const arrival = this.#arrivals.get(addressOf(socket));
    if (arrival === undefined) {
      socket.destroy();
      return;
    }
    this.#arrivals.delete(arrival.address);
    const problem = this.#wantsCertificates ? certificateProblem(socket) : undefined;
    if (problem === undefined) return arrival.onSecured(socket);
    this.#attempts.onFailed('client_certificate', arrival.address, problem);
    sayNo(socket);
  }

  /** Still an arrival: it never came through its handshake. */
  #onClosed(arrival: Arrival): void {
    if (this.#arrivals.get(arrival.address) !== arrival) return;
    this.#arrivals.delete(arrival.address);
    // Whoever only looks whether the port is open is no attempt.
    if (arrival.failure === undefined && arrival.raw.bytesRead === 0) return;
    this.#attempts.onFailed('tls', arrival.address, arrival.failure ?? HUNG_UP);
  }
}

/** Throws an error with a message for people where the texts are no certificate and key of each other. */
export function checkTlsFiles({ cert, key, clientCa }: TlsFiles): X509Certificate {
  const certificate = read('the certificate is not PEM', () => new X509Certificate(cert));
  const privateKey = read('the key is not PEM, or needs a passphrase', () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new Error('the key is not that of the certificate');
  }
  if (clientCa !== undefined) {
    read('the CA of the clients is not PEM', () => new X509Certificate(clientCa));
  }
  read('they can not be used', () => createSecureContext(contextOptions({ cert, key, clientCa })));
  return certificate;
}

function read<T>(problem: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    throw new Error(`${problem} (${cause instanceof Error ? cause.message : cause})`, { cause });
  }
}

function contextOptions({ cert, key, clientCa }: TlsFiles) {
  return {
    cert,
    key,
    ...(clientCa === undefined ? {} : { ca: clientCa }),
    minVersion: 'TLSv1.3',
    // Nobody resumes: who was let in by a certificate has to show it each time.
    secureOptions: constants.SSL_OP_NO_TICKET,
  } as const;
}

function addressOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}:${remotePort}`;
}

function certificateProblem(socket: TLSSocket): string | undefined {
  if (socket.getPeerX509Certificate() === undefined) return 'it shows no client certificate';
  if (socket.authorized) return undefined;
  const why = String(socket.authorizationError);
  return `its client certificate is not accepted: ${CERTIFICATE_WORDS[why] ?? 'see the code'} (${why})`;
}

const CERTIFICATE_WORDS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet; compare the clocks',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'it is not of the CA that HOLDFAST_TLS_CLIENT_CA_FILE names',
  UNABLE_TO_GET_ISSUER_CERT: 'it is not of the CA that HOLDFAST_TLS_CLIENT_CA_FILE names',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'it is not of the CA that HOLDFAST_TLS_CLIENT_CA_FILE names',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is signed by itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'it is not of the CA that HOLDFAST_TLS_CLIENT_CA_FILE names',
  INVALID_PURPOSE: 'it is not for TLS clients',
};

const HUNG_UP =
  'it hung up in the TLS handshake; a collector does that where our certificate does not suit it, and says why in its own log';

function failureOf(error: Error): string | undefined {
  const code = 'code' in error ? String(error.code) : '';
  // The other side has gone: what it was is for #onClosed to tell.
  if (code === 'ECONNRESET') return undefined;
  const text = FAILURE_WORDS[code] ?? 'the TLS handshake failed';
  return `${text} (${code || error.message})`;
}

const FAILURE_WORDS: Readonly<Record<string, string>> = {
  ERR_TLS_HANDSHAKE_TIMEOUT:
    'no TLS handshake in time: a collector without HOLDFAST_TLS waits for us to speak first',
  ERR_SSL_HTTP_REQUEST: 'an HTTP request came where collectors speak TLS',
  ERR_SSL_WRONG_VERSION_NUMBER: 'what came is no TLS',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'the other side does not speak TLS 1.3',
};

/** A BYE in place of the GREETING, so that the collector knows that it is not its token. */
function sayNo(socket: TLSSocket): void {
  const bye = { kind: 'bye', reason: 'unauthorized', retryAfterMs: 0, text: '' } as const;
  const timer = setTimeout(() => socket.destroy(), GOODBYE_MS);
  socket.on('close', () => clearTimeout(timer));
  socket.write(new MessageWriter().write(bye).bytes, () => socket.destroy());
}
