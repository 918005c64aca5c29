/**
 * The listener for collectors: accepts connections while there are places, tells them the terms, and
 * lets them end in order. What happens on a connection is `connection.ts`, who has to go
 * where there are too many `places.ts`.
 *
 * Invariant: the listener goes on living, also where the process has no file handles left.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Logger } from 'pino';
import type { TlsDoor } from '#server/access/tls.ts';
import type { Metrics, Refusal } from '#server/metrics.ts';
import { Budget } from './budget.ts';
import { Connection, type ConnectionOptions, type ConnectionSocket } from './connection.ts';
import { LEAVING_MAX } from './file-handles.ts';
import { Places, spareOf } from './places.ts';
import type { ConnectionState } from './session-state.ts';
import { HEARTBEAT_MS, shutdownRetryMs, termsFor } from './terms.ts';

export interface IngestOptions
  extends Pick<
    ConnectionOptions,
    'store' | 'registry' | 'events' | 'log' | 'surroundings' | 'keys' | 'attempts' | 'caps'
  > {
  readonly metrics: Metrics;
  readonly host: string;
  readonly port: number;
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** What all connections together may hold in memory. */
  readonly bytesMax: number;
  /** Collectors speak TLS where it is given. */
  readonly tls?: TlsDoor | undefined;
}

/** Connections that the kernel may hold ready: a fleet that comes back comes at once. */
const BACKLOG = 1_024;
/** How long the connections may take to end when the server stops. */
const SHUTDOWN_MS = 3_000;
/** Refusals may come by the thousand: one line of the log tells of all in this time. */
const TELL_EVERY_MS = 1_000;

/** Whoever has a place: a connection, or a socket in its TLS handshake. */
type Guest = Pick<Connection, 'destroy'>;

export class Ingest {
  readonly #options: IngestOptions;
  readonly #log: Logger;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  readonly #places: Places<Guest>;
  readonly #budget: Budget;
  readonly #connectionOptions: ConnectionOptions;
  readonly #refusals: Summary;
  readonly #failures: Summary;
  #emptied: (() => void) | undefined;

  constructor(options: IngestOptions) {
    this.#options = options;
    this.#log = options.log;
    const { connectionsMax, connectionsPerAddressMax: perAddressMax, bytesMax, caps } = options;
    this.#places = new Places({ connectionsMax, perAddressMax });
    const connections = connectionsMax + spareOf(connectionsMax);
    this.#budget = new Budget({ bytesMax, connectionsMax: connections });
    this.#connectionOptions = {
      ...options,
      budget: this.#budget,
      heartbeatMs: HEARTBEAT_MS,
      // A fleet that comes to a new store all at once is here before the store knows all of it.
      termsFor: (collectorsKnown) =>
        termsFor(Math.max(collectorsKnown, options.registry.admittedCount), caps),
      mayStay: (connection) => this.#places.prove(connection),
      onLeft: (connection) => this.#places.leave(connection),
      onGone: (connection) => this.#onGone(connection),
    };
    const { after } = options.surroundings;
    this.#refusals = new Summary(after, (count) => {
      const text = 'too many connections: those that were here longest without a HELLO were closed';
      this.#log.warn({ event: 'connection_refused', count }, text);
    });
    this.#failures = new Summary(after, (count, error) => {
      const text =
        'connections were not accepted; if file handles are short (EMFILE), raise `ulimit -n` or lower HOLDFAST_CONNECTIONS_MAX';
      this.#log.error({ event: 'accept_failed', count, err: error }, text);
    });
    this.#server = createServer({ pauseOnConnect: false }, (socket) => this.#onSocket(socket));
    this.#server.maxConnections = connections + LEAVING_MAX;
    this.#server.on('drop', () => this.#onRefused('no_place'));
  }

  get listening(): boolean {
    return this.#server.listening;
  }

  /** Bytes that all connections together hold in memory. */
  get bytesHeld(): number {
    return this.#budget.held;
  }

  /** How many are in each state; `tls`: in their TLS handshake. */
  connectionStates(): Map<ConnectionState, number> {
    const states = new Map<ConnectionState, number>([['tls', this.#options.tls?.pending ?? 0]]);
    for (const { state } of this.#connections) states.set(state, (states.get(state) ?? 0) + 1);
    return states;
  }

  /** Rejects with the system's error when the address can't be had. */
  listen(): Promise<AddressInfo> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port, backlog: BACKLOG }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', (error) => this.#onAcceptFailed(error));
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
    this.#refusals.stop();
    this.#failures.stop();
    this.#options.tls?.close();
    this.#shutDownAll();
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

  /** Gives each collector its own time to come back; who isn't proven has no place among them. */
  #shutDownAll(): void {
    const fleet = this.#options.registry.admittedCount;
    let place = 0;
    for (const connection of this.#connections) {
      const proven = connection.collector !== '';
      connection.shutDown(proven ? shutdownRetryMs(place, fleet) : 0);
      if (proven) place += 1;
    }
  }

  #onSocket(socket: Socket): void {
    this.#options.metrics.onOpened();
    const address = socket.remoteAddress ?? '';
    const { tls } = this.#options;
    if (tls === undefined) return this.#begin(socket, address);
    const arrival = { destroy: () => tls.drop(socket) };
    socket.once('close', () => this.#places.leave(arrival));
    this.#seat(arrival, address);
    tls.admit(socket, (secured) => {
      this.#places.leave(arrival);
      this.#begin(secured, address);
    });
  }

  #begin(socket: ConnectionSocket, address: string): void {
    const connection = new Connection(socket, this.#connectionOptions);
    this.#connections.add(connection);
    this.#seat(connection, address);
  }

  #seat(guest: Guest, address: string): void {
    for (const leaving of this.#places.arrive(guest, address)) {
      this.#onRefused('made_room');
      leaving.destroy();
    }
  }

  /**
   * Out of file handles: accepting is tried again with the next connection. A handle that somebody
   * holds without a HELLO is better used by a collector.
   */
  #onAcceptFailed(error: Error): void {
    this.#failures.add(error);
    this.#options.metrics.onRefused('file_handles');
    const oldest = this.#places.oldestUnproven;
    if (oldest === undefined) return;
    this.#places.leave(oldest);
    oldest.destroy();
  }

  #onRefused(why: Refusal): void {
    this.#options.metrics.onRefused(why);
    this.#refusals.add();
  }

  #onGone(connection: Connection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#emptied?.();
  }
}

/** Tells of the first of many events at once, and then of all that came within a time. */
class Summary {
  readonly #after: ConnectionOptions['surroundings']['after'];
  readonly #tell: (count: number, last: Error | undefined) => void;
  #count = 0;
  #last: Error | undefined;
  #disarm: (() => void) | undefined;

  constructor(
    after: ConnectionOptions['surroundings']['after'],
    tell: (count: number, last: Error | undefined) => void,
  ) {
    this.#after = after;
    this.#tell = tell;
  }

  add(error?: Error): void {
    this.#count += 1;
    this.#last = error;
    if (this.#disarm === undefined) this.#flush();
  }

  stop(): void {
    this.#disarm?.();
  }

  #flush(): void {
    this.#disarm = undefined;
    if (this.#count === 0) return;
    this.#tell(this.#count, this.#last);
    this.#count = 0;
    this.#disarm = this.#after(TELL_EVERY_MS, () => this.#flush());
  }
}
