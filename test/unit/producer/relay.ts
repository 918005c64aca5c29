/** A way to a server that can be cut and restored, at one address. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class Relay {
  /** Where the way leads; undefined: connections are closed at once. */
  upstreamPort: number | undefined;
  readonly #sockets = new Set<Socket>();
  /** What is connected, and the server's end of it. */
  readonly #upstreams = new Map<Socket, Socket>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((client) => {
      this.#take(client);
      if (this.upstreamPort === undefined) {
        client.destroy();
        return;
      }
      const upstream = connect(this.upstreamPort, '127.0.0.1');
      this.#take(upstream);
      client.pipe(upstream).pipe(client);
      this.#upstreams.set(client, upstream);
      client.on('close', () => {
        if (this.#upstreams.delete(client)) upstream.destroy();
      });
      upstream.on('close', () => client.destroy());
    });
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Ends what is connected, and whatever connects from now on. */
  cut(): void {
    this.upstreamPort = undefined;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** From what is connected now the server hears nothing more, not even that it ends. */
  strand(): void {
    for (const [client, upstream] of this.#upstreams) client.unpipe(upstream).resume();
    this.#upstreams.clear();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #take(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
