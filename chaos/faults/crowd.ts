/**
 * A crowd: connections of this process through the link that never say a word, as of port scanners,
 * health checks that are half configured, or clients that hang.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Dialed at a time; a listener that stands still takes no more than its backlog. */
const AT_A_TIME = 50;
const DIAL_MS_MAX = 5_000;

export class Crowd {
  readonly #url: URL;
  readonly #sockets = new Set<Socket>();
  #opened = 0;

  /** `http://host:port` of where to dial. */
  constructor(url: string) {
    this.#url = new URL(url);
  }

  /** How many are connected, as this end sees it. */
  get open(): number {
    return this.#sockets.size;
  }

  /** How many the other end has closed. */
  get turnedAway(): number {
    return this.#opened - this.#sockets.size;
  }

  /** So many more. Rejects when fewer than half of them can be had. */
  async grow(connections: number, signal: AbortSignal): Promise<void> {
    let refused = 0;
    for (let left = connections; left > 0; left -= AT_A_TIME) {
      signal.throwIfAborted();
      const dials = Array.from({ length: Math.min(left, AT_A_TIME) }, () => this.#dial());
      refused += (await Promise.all(dials)).filter((taken) => !taken).length;
    }
    if (refused <= connections / 2) return;
    throw new Error(`${refused} of ${connections} connections were not taken at ${this.#url.host}`);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
    this.#opened = 0;
  }

  /** False when it was not taken. */
  async #dial(): Promise<boolean> {
    const socket = connect(Number(this.#url.port), this.#url.hostname);
    socket.on('error', () => undefined);
    // What the server says is read, or its end would not be seen.
    socket.resume();
    try {
      await once(socket, 'connect', { signal: AbortSignal.timeout(DIAL_MS_MAX) });
    } catch {
      socket.destroy();
      return false;
    }
    this.#opened += 1;
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    return true;
  }
}
