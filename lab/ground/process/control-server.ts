/** The supervisor's control socket: orders come in, replies and the ends of programs go out. */
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Message, type Request, request } from './control.ts';
import { socketName } from './place.ts';
import type { Supervisor } from './supervisor.ts';

/**
 * The path of the socket by way of an open folder: a socket's own path may not be longer than some
 * hundred bytes, which a checkout's may well be.
 */
export function throughFolder(folder: string): { path: string; close: () => void } {
  const descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  const path = `/proc/self/fd/${descriptor}/${socketName}`;
  return { path, close: () => closeSync(descriptor) };
}

export class ControlServer {
  readonly #supervisor: Supervisor;
  readonly #server: Server;
  /** Those that are connected, and what ends the watch of each. */
  readonly #sockets = new Map<Socket, () => void>();
  readonly #told = Promise.withResolvers<void>();

  private constructor(supervisor: Supervisor) {
    this.#supervisor = supervisor;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /** Resolves when somebody has ordered the end, everything is stopped, and he knows. */
  get told(): Promise<void> {
    return this.#told.promise;
  }

  /** The caller holds the folder's lock: a socket that is there belongs to nobody. */
  static async listen(folder: string, supervisor: Supervisor): Promise<ControlServer> {
    rmSync(join(folder, socketName), { force: true });
    const server = new ControlServer(supervisor);
    const { path } = throughFolder(folder); // kept open: the socket is removed by that path
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject).listen(path, resolve);
    });
    return server;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets.keys()) socket.end();
    await closed;
  }

  #serve(socket: Socket): void {
    this.#sockets.set(socket, () => undefined);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#sockets.get(socket)?.();
      this.#sockets.delete(socket);
    });
    const say = (message: Message) => {
      if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
    };
    const lines = createInterface({ input: socket });
    lines.on('error', () => undefined); // the socket's own, told once more by readline
    lines.on('line', (line) => {
      const parsed = parse(line);
      if (parsed === null) socket.destroy();
      else void this.#answer(parsed, say, socket);
    });
  }

  async #answer(
    { id, order }: Request,
    say: (message: Message) => void,
    socket: Socket,
  ): Promise<void> {
    try {
      if (order.order === 'end') {
        await this.#supervisor.end();
        say({ id, answer: null });
        socket.end(() => this.#told.resolve());
      } else if (order.order === 'watch') {
        this.#sockets.set(
          socket,
          this.#supervisor.watch((ended) => say({ ended })),
        );
        say({ id, answer: null });
      } else say({ id, answer: (await this.#supervisor.obey(order)) ?? null });
    } catch (error) {
      say({ id, refused: error instanceof Error ? error.message : String(error) });
    }
  }
}

function parse(line: string): Request | null {
  try {
    return request.parse(JSON.parse(line));
  } catch {
    return null; // somebody who doesn't speak our language
  }
}
