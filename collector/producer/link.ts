/**
 * The link: the only file of the collector that touches a socket to the server. Dials, writes and
 * closes as the sender says, and tells it what happened, under the number of the connection.
 *
 * No decisions here: no retries, no deadlines, no bytes looked at. Never half-closes: behind a
 * proxy that would cut off what is still on its way.
 */
import { connect, type Socket } from 'node:net';
import type { ServerAddress } from './address.ts';
import { type LinkError, socketError } from './link-error.ts';
import type { Connection } from './sender.ts';

/** What the link uses of a socket. */
export type LinkSocket = Pick<
  Socket,
  'on' | 'write' | 'destroy' | 'connecting' | 'destroyed' | 'writableLength'
>;

/** What the link needs from outside. */
export interface LinkPorts {
  readonly dial: (server: ServerAddress) => LinkSocket;
  /** Calls once, after that many milliseconds. Answers how to call it off. */
  readonly after: (ms: number, call: () => void) => () => void;
}

/** Begins a TCP connection. */
export function dialTcp({ host, port }: ServerAddress): Socket {
  return connect({ host, port, noDelay: true });
}

export interface LinkEvents {
  onConnected(connection: Connection): void;
  onBytes(connection: Connection, bytes: Buffer): void;
  /** Comes once for each dial that wasn't closed from here. */
  onClosed(connection: Connection, error: LinkError | undefined): void;
}

/** How long a goodbye may take to leave before the socket is destroyed, in milliseconds. */
const GOODBYE_MS = 500;

export class Link {
  readonly #server: ServerAddress;
  readonly #events: LinkEvents;
  readonly #ports: LinkPorts;
  readonly #sockets = new Map<Connection, LinkSocket>();

  constructor(server: ServerAddress, events: LinkEvents, ports: LinkPorts) {
    this.#server = server;
    this.#events = events;
    this.#ports = ports;
  }

  dial(connection: Connection): void {
    const { host, port } = this.#server;
    const socket = this.#ports.dial(this.#server);
    this.#sockets.set(connection, socket);
    let failure: LinkError | undefined;
    socket.on('error', (error) => {
      failure = socketError(error, `${host}:${port}`);
    });
    socket.on('connect', () => {
      if (this.#sockets.has(connection)) this.#events.onConnected(connection);
    });
    socket.on('data', (bytes: Buffer) => {
      if (this.#sockets.has(connection)) this.#events.onBytes(connection, bytes);
    });
    socket.on('close', () => {
      if (this.#sockets.delete(connection)) this.#events.onClosed(connection, failure);
    });
  }

  /** Queues bytes; how many may be unsent at a time is the sender's window. */
  write(connection: Connection, bytes: Buffer): void {
    this.#sockets.get(connection)?.write(bytes);
  }

  /** Closes wholly, after what was written has left or half a second has passed. */
  close(connection: Connection): void {
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
