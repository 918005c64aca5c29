/**
 * Bytes over one bare socket, as fast as they are taken, and when they arrived: what a link carries
 * where nothing has to be framed, proven or stored.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Arrival } from '../goodput.ts';

const CHUNK_BYTES = 16_384;

export class BareFlow {
  readonly arrivals: Arrival[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

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

  /** Sends from now on, through what listens on this port of loopback. */
  start(port: number): void {
    const socket = this.#kept(connect(port, '127.0.0.1'));
    const chunk = Buffer.alloc(CHUNK_BYTES, 1);
    const fill = (): void => {
      while (socket.write(chunk));
    };
    socket.on('connect', fill).on('drain', fill);
  }

  /** Ends it; it may be called again. Until then a flow that is under way keeps its process alive. */
  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #receive(socket: Socket): void {
    this.#kept(socket).on('data', ({ length }: Buffer) => {
      this.arrivals.push({ atMs: Date.now(), bytes: length });
    });
  }

  #kept(socket: Socket): Socket {
    this.#sockets.add(socket);
    // Its other end is ended with the benchmark's programs.
    return socket.on('error', () => undefined);
  }
}
