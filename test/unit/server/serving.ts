/**
 * A server in the test's own process: real store, real sockets on loopback, and collectors made of
 * the codec. `afterEach(stopServing)` ends all of it.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { expect } from 'vitest';
import type { EpochAnnouncement, Hello, Message } from '#protocol/messages.ts';
import { Attempts } from '#server/access/attempts.ts';
import { type Keys, sharedKey } from '#server/access/keys.ts';
import { TlsDoor, type TlsFiles } from '#server/access/tls.ts';
import { Events } from '#server/events.ts';
import { DEFAULT_CAPS } from '#server/ingest/caps.ts';
import type { Connection } from '#server/ingest/connection.ts';
import { Ingest } from '#server/ingest/ingest.ts';
import { Registry } from '#server/ingest/registry.ts';
import { Metrics } from '#server/metrics.ts';
import { SqliteStore, type SqliteStoreOptions } from '#server/store/sqlite-store.ts';
import type { Store } from '#server/store/store.ts';
import { REAL_SURROUNDINGS, wallTime } from '#server/surroundings.ts';
import { TOKEN, WireClient } from './wire-client.ts';

export const DEADLINE = { timeout: 10_000, interval: 10 };

export interface Serving {
  readonly store: Store;
  readonly ingest: Ingest;
  readonly registry: Registry<Connection>;
  readonly events: Events;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly port: number;
  /** Lines that were logged. */
  readonly logged: Record<string, unknown>[];
  readonly attempts: Attempts;
  readonly door: TlsDoor | undefined;
}

const undo: (() => Promise<void>)[] = [];

export async function stopServing(): Promise<void> {
  for (const step of undo.splice(0).reverse()) await step();
}

export async function openStore(more: Partial<SqliteStoreOptions> = {}): Promise<SqliteStore> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-serving-'));
  const fresh = { storeId: randomUUID(), createdAt: 1 };
  const store = await SqliteStore.open({ directory, fresh, ...more });
  undo.push(async () => {
    await store.close();
    rmSync(directory, { recursive: true });
  });
  return store;
}

export async function serve(
  options: {
    store?: Store;
    keys?: Keys;
    connectionsMax?: number;
    connectionsPerAddressMax?: number;
    bytesMax?: number;
    windowBytes?: number;
    payloadBytesMax?: number;
    tls?: TlsFiles;
    tlsHandshakeMs?: number;
  } = {},
): Promise<Serving> {
  const store = options.store ?? (await openStore());
  const registry = new Registry<Connection>();
  const events = new Events();
  const logged: Record<string, unknown>[] = [];
  const log = pino({ level: 'debug' }, { write: (line) => logged.push(JSON.parse(line)) });
  const metrics = new Metrics({
    version: 'test',
    ingestBytesHeld: () => ingest.bytesHeld,
    connectionStates: () => ingest.connectionStates(),
    collectorsConnected: () => registry.connectedCount,
    storeWritable: () => store.status.writable,
    storeSummary: (silentSince) => store.summary(silentSince),
    wallTime,
  });
  const { after } = REAL_SURROUNDINGS;
  const attempts = new Attempts({ log, registry: metrics.registry, after });
  undo.push(async () => attempts.close());
  const { tls: files, tlsHandshakeMs: handshakeMs = 60_000 } = options;
  const door = files && new TlsDoor({ files, attempts, handshakeMs });
  const ingest: Ingest = new Ingest({
    store,
    registry,
    events,
    metrics,
    log,
    surroundings: REAL_SURROUNDINGS,
    keys: options.keys ?? sharedKey(TOKEN),
    attempts,
    tls: door,
    host: '127.0.0.1',
    port: 0,
    connectionsMax: options.connectionsMax ?? 100,
    connectionsPerAddressMax: options.connectionsPerAddressMax ?? 100,
    bytesMax: options.bytesMax ?? 67_108_864,
    caps: {
      ...DEFAULT_CAPS,
      windowBytes: options.windowBytes ?? DEFAULT_CAPS.windowBytes,
      payloadBytesMax: options.payloadBytesMax ?? DEFAULT_CAPS.payloadBytesMax,
    },
  });
  undo.push(() => ingest.close());
  const { port } = await ingest.listen();
  return { store, ingest, registry, events, metrics, log, port, logged, attempts, door };
}

/** A collector on a socket. */
export class TestCollector {
  readonly wire: WireClient;
  readonly socket: Socket;
  closed = false;

  constructor(port: number, token?: Uint8Array, socket: Socket = connect(port, '127.0.0.1')) {
    this.wire = new WireClient(token);
    this.socket = socket;
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
    this.socket.on('data', (bytes: Buffer) => this.wire.onBytes(bytes));
    undo.push(async () => {
      if (this.socket.destroyed) return;
      this.socket.destroy();
      await once(this.socket, 'close');
    });
  }

  /** How many seqs the acks named that came so far, those aside that were taken out. */
  get acked(): number {
    const acks = this.wire.messages.filter((message) => message.kind === 'ack');
    const ranges = acks.flatMap(({ settled }) => settled);
    return ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  }

  /** Waits for the next message of a kind. */
  async next<K extends Message['kind']>(kind: K): Promise<Message & { kind: K }> {
    const found = (message: Message): boolean => message.kind === kind;
    await expect.poll(() => this.wire.messages.some(found), DEADLINE).toBe(true);
    const index = this.wire.messages.findIndex(found);
    return this.wire.messages.splice(index, 1)[0] as Message & { kind: K };
  }

  async hello(
    epochs: readonly EpochAnnouncement[] = [],
    more: Partial<Omit<Hello, 'mac'>> = {},
  ): Promise<void> {
    await expect
      .poll(() => this.wire.messages.some(({ kind }) => kind === 'greeting'), DEADLINE)
      .toBe(true);
    this.socket.write(this.wire.hello(epochs, more));
  }

  /** Answers WELCOME. */
  async join(
    epochs: readonly EpochAnnouncement[] = [],
    more: Partial<Omit<Hello, 'mac'>> = {},
  ): Promise<Message & { kind: 'welcome' }> {
    await this.hello(epochs, more);
    return this.next('welcome');
  }

  send(...messages: Message[]): void {
    this.socket.write(Buffer.concat(messages.map((message) => this.wire.bytesOf(message))));
  }

  async untilClosed(): Promise<void> {
    await expect.poll(() => this.closed, DEADLINE).toBe(true);
  }
}

/** Connections in whatever state, those in their TLS handshake included. */
export function connectionCount(ingest: Ingest): number {
  return [...ingest.connectionStates().values()].reduce((sum, count) => sum + count, 0);
}
