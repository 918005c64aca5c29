/**
 * The link: the only file of the collector that touches a socket to the server. Dials, writes and
 * closes as the sender says, and tells it what happened, under the number of the connection.
 *
 * No decisions here: no retries, no deadlines, no bytes looked at. Never half-closes: behind a
 * proxy that would cut off what is still on its way.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { BODY_BYTES_MAX } from '#protocol/limits.ts';
import type { ServerAddress } from './address.ts';
import { LinkError, socketError, tlsError, tlsFilesError } from './link-error.ts';
import type { Connection } from './sender.ts';
import { WINDOW_BYTES_MAX } from './window.ts';

/** What the link uses of a socket. */
export type LinkSocket = Pick<
  Socket,
  'on' | 'write' | 'destroy' | 'connecting' | 'destroyed' | 'writableLength'
>;

/** How the link is secured, by TLS 1.3. All but the name in PEM. */
export interface LinkTls {
  /** What the server's certificate must lead to. By default the CAs that Node knows. */
  readonly ca?: string | undefined;
  /** The name that the server's certificate must have. By default the host that is dialled. */
  readonly servername?: string | undefined;
  /** Our own certificate and its key, for a server that wants one. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** Where the link leads. */
export interface LinkTarget extends ServerAddress {
  /**
   * As a function it is called for each dial, so that renewed certificates count without a new
   * start; what it throws is a failure of that dial.
   */
  readonly tls?: LinkTls | (() => LinkTls) | undefined;
}

/** What the link needs from outside. */
export interface LinkPorts {
  /** Throws where what TLS is to be done with can't be used. */
  readonly dial: (target: LinkTarget) => LinkSocket;
  /** Calls once, after that many milliseconds. Answers how to call it off. */
  readonly after: (ms: number, call: () => void) => () => void;
}

/** Begins a connection. `connect` comes as it is open, before it is secured. */
export function dial({ host, port, tls }: LinkTarget): Socket | TLSSocket {
  const address = { host, port, noDelay: true };
  if (tls === undefined) return connect(address);
  const { ca, servername, cert, key } = typeof tls === 'function' ? tls() : tls;
  return connectTls({
    ...address,
    ...(ca === undefined ? {} : { ca }),
    ...(servername === undefined ? {} : { servername }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    minVersion: 'TLSv1.3',
  });
}

export interface LinkEvents {
  onConnected(connection: Connection): void;
  onBytes(connection: Connection, bytes: Buffer): void;
  /** Comes once for each dial that wasn't closed from here. */
  onClosed(connection: Connection, error: LinkError | undefined): void;
}

/** A window, the message that is always allowed, and the heartbeats of hours. */
const UNSENT_BYTES_MAX = WINDOW_BYTES_MAX + 2 * BODY_BYTES_MAX;
/** How long a goodbye may take to leave before the socket is destroyed, in milliseconds. */
const GOODBYE_MS = 500;

export class Link {
  readonly #target: LinkTarget;
  readonly #events: LinkEvents;
  readonly #ports: LinkPorts;
  readonly #sockets = new Map<Connection, LinkSocket>();
  /** A dial that could not even begin, and whose end is still to be told. */
  #failing: Connection | undefined;

  constructor(target: LinkTarget, events: LinkEvents, ports: LinkPorts) {
    this.#target = target;
    this.#events = events;
    this.#ports = ports;
  }

  dial(connection: Connection): void {
    const { host, port, tls } = this.#target;
    const address = `${host}:${port}`;
    let socket: LinkSocket;
    try {
      socket = this.#ports.dial(this.#target);
    } catch (error) {
      if (tls === undefined) throw error;
      return this.#failLater(connection, tlsFilesError(error, address));
    }
    this.#sockets.set(connection, socket);
    let secured = false;
    let failure: LinkError | undefined;
    socket.on('error', (error) => {
      if (error instanceof LinkError) failure = error;
      else failure = tls ? tlsError(error, address, secured) : socketError(error, address);
    });
    socket.on('connect', () => {
      if (this.#sockets.has(connection)) this.#events.onConnected(connection);
    });
    socket.on('secureConnect', () => {
      secured = true;
    });
    socket.on('data', (bytes: Buffer) => {
      if (this.#sockets.has(connection)) this.#events.onBytes(connection, bytes);
    });
    socket.on('close', () => {
      if (this.#sockets.delete(connection)) this.#events.onClosed(connection, failure);
    });
  }

  /** As for a socket that fails: not before whoever dials has done so. */
  #failLater(connection: Connection, error: LinkError): void {
    this.#failing = connection;
    this.#ports.after(0, () => {
      if (this.#failing !== connection) return;
      this.#failing = undefined;
      this.#events.onClosed(connection, error);
    });
  }

  /**
   * Queues bytes. How many may be unsent at a time is the sender's window; past that they are
   * answers to a server that asks and never reads, and the connection is given up.
   */
  write(connection: Connection, bytes: Buffer): void {
    const socket = this.#sockets.get(connection);
    if (socket === undefined) return;
    socket.write(bytes);
    if (socket.writableLength <= UNSENT_BYTES_MAX) return;
    const text = `${socket.writableLength} bytes wait for a server that does not read them`;
    socket.destroy(new LinkError('no_progress', text));
  }

  /** Closes wholly, after what was written has left or half a second has passed. */
  close(connection: Connection): void {
    if (this.#failing === connection) this.#failing = undefined;
    const socket = this.#sockets.get(connection);
    if (socket === undefined) return;
    this.#sockets.delete(connection);
    if (socket.connecting || socket.destroyed || socket.writableLength === 0) {
      socket.destroy();
      return;
    }
    socket.on(
      'close',
      this.#ports.after(GOODBYE_MS, () => socket.destroy()),
    );
    socket.write('', () => socket.destroy());
  }
}
