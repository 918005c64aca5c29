/**
 * The listener for collectors: accepts connections up to a cap, tells them the terms, and lets
 * them end in order. What happens on a connection is `ingest-connection.ts`.
 */
import { type AddressInfo, createServer, type Server } from 'node:net';
import type { Logger } from 'pino';
import { Connection, type ConnectionOptions } from './ingest-connection.ts';
import type { Metrics } from './metrics.ts';
import { HEARTBEAT_MS, termsFor } from './terms.ts';

export interface IngestOptions
  extends Omit<ConnectionOptions, 'termsFor' | 'onGone' | 'heartbeatMs' | 'metrics'> {
  readonly metrics: Metrics;
  readonly host: string;
  readonly port: number;
  readonly connectionsMax: number;
}

/** Connections that the kernel may hold ready: a fleet that comes back comes at once. */
const BACKLOG = 1_024;
/** Connections over the cap that may be closing at a time. */
const LEAVING_MAX = 64;
/** How long the connections may take to end when the server stops. */
const SHUTDOWN_MS = 3_000;

export class Ingest {
  readonly #options: IngestOptions;
  readonly #log: Logger;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  #emptied: (() => void) | undefined;

  constructor(options: IngestOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#server = createServer({ pauseOnConnect: false }, (socket) => {
      options.metrics.onOpened();
      if (!this.#makeRoom()) {
        socket.destroy();
        return;
      }
      const connection = new Connection(socket, {
        ...options,
        heartbeatMs: HEARTBEAT_MS,
        termsFor: (collectorsKnown) => termsFor(collectorsKnown, options),
        onGone: (gone) => this.#onGone(gone),
      });
      this.#connections.add(connection);
    });
    // Connections that made room for others take a moment to go.
    this.#server.maxConnections = options.connectionsMax + LEAVING_MAX;
    this.#server.on('drop', () => this.#onRefused());
  }

  get listening(): boolean {
    return this.#server.listening;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Rejects with the system's error when the address can't be had. */
  listen(): Promise<AddressInfo> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port, backlog: BACKLOG }, () => {
        this.#server.off('error', reject);
        // Out of file handles: accepting failed once, and is tried again with the next connection.
        this.#server.on('error', (error) => {
          this.#log.error({ event: 'accept_failed', err: error }, 'a connection was not accepted');
        });
        resolve(this.#server.address() as AddressInfo);
      });
    });
  }

  /** Ends the connections whose collector's key no longer counts. */
  onKeysReplaced(): void {
    for (const connection of this.#connections) connection.onKeysReplaced();
  }

  /** Takes nobody more; lets everybody end what is under way, for a bounded time. */
  async close(): Promise<void> {
    if (this.#server.listening) this.#server.close();
    for (const connection of this.#connections) connection.shutDown();
    if (this.#connections.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        for (const connection of this.#connections) connection.destroy();
      }, SHUTDOWN_MS);
      this.#emptied = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /**
   * At the cap the oldest connection that is not proven makes room for a new one, so that silent
   * ones can't keep collectors out. False where all are proven: then the new one has to go.
   */
  #makeRoom(): boolean {
    if (this.#connections.size < this.#options.connectionsMax) return true;
    this.#onRefused();
    const oldest = [...this.#connections].find(({ collector }) => collector === '');
    if (oldest === undefined) return false;
    this.#connections.delete(oldest);
    oldest.destroy();
    return true;
  }

  #onRefused(): void {
    this.#options.metrics.onRefused();
    this.#log.warn({ event: 'connection_refused' }, 'too many connections: one was closed');
  }

  #onGone(connection: Connection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#emptied?.();
  }
}
