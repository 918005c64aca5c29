/**
 * Bytes over one bare socket, as fast as they are taken, and when they arrived: what a link carries
 * where nothing has to be framed, proven or stored.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Arrival } from '../goodput.ts';

const CHUNK_BYTES = 65_536;

export class BareFlow {
  readonly arrivals: Arrival[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #arrivedBytes = 0;
  /** Who waits for bytes to arrive, and for how many in all. */
  #awaited: (PromiseWithResolvers<void> & { readonly bytes: number }) | undefined;

  private constructor() {
    this.#server = createServer((socket) => this.#receive(socket)).unref();
  }

  /** One whose receiving end listens on a free port of loopback. */
  static async listen(): Promise<BareFlow> {
    const flow = new BareFlow();
    flow.#server.listen(0, '127.0.0.1');
    await once(flow.#server, 'listening');
    return flow;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Sends from now on, through what listens on this port of loopback: so many bytes, or without an end. */
  start(port: number, bytes = Number.POSITIVE_INFINITY): void {
    const socket = this.#kept(connect(port, '127.0.0.1'));
    const chunk = Buffer.alloc(CHUNK_BYTES, 1);
    let left = bytes;
    const fill = (): void => {
      for (let hasRoom = true; hasRoom && left > 0; ) {
        const length = Math.min(left, CHUNK_BYTES);
        left -= length;
        hasRoom = socket.write(chunk.subarray(0, length));
      }
    };
    socket.on('connect', fill).on('drain', fill);
  }

  /** Resolves when so many bytes have arrived in all. One may wait at a time. */
  arrived(bytes: number): Promise<void> {
    if (this.#arrivedBytes >= bytes) return Promise.resolve();
    this.#awaited = { ...Promise.withResolvers<void>(), bytes };
    return this.#awaited.promise;
  }

  /** Ends it; it may be called again. Until then a flow that is under way keeps its process alive. */
  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #receive(socket: Socket): void {
    this.#kept(socket).on('data', ({ length }: Buffer) => {
      this.arrivals.push({ atMs: Date.now(), bytes: length });
      this.#arrivedBytes += length;
      if (this.#awaited && this.#arrivedBytes >= this.#awaited.bytes) this.#awaited.resolve();
    });
  }

  #kept(socket: Socket): Socket {
    this.#sockets.add(socket);
    // Its other end is ended with the benchmark's programs.
    return socket.on('error', () => undefined);
  }
}
