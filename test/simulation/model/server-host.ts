/**
 * The server's machine: a store's disk and one process at a time on it. The process is the real
 * connections, sessions, intake and registry over a modelled store and modelled sockets; it is what
 * `server/main.ts` wires, without sockets, threads and the API.
 */
import type { Logger } from 'pino';
import { sharedKey } from '#server/access/keys.ts';
import { Events } from '#server/events.ts';
import { Budget } from '#server/ingest/budget.ts';
import { DEFAULT_CAPS } from '#server/ingest/caps.ts';
import {
  Connection,
  type ConnectionOptions,
  type ConnectionSocket,
} from '#server/ingest/connection.ts';
import { Registry } from '#server/ingest/registry.ts';
import { HEARTBEAT_MS, termsFor } from '#server/ingest/terms.ts';
import { type Store, StoreError } from '#server/store/store.ts';
import type { Witness } from '../witness.ts';
import type { Listener, TcpSocket } from './network.ts';
import type { Random } from './random.ts';
import { ModelStore, StoreDisk } from './store.ts';
import { Process, type World } from './world.ts';

export interface ServerSettings {
  readonly token: Uint8Array;
  readonly windowBytes: number;
  readonly payloadBytesMax: number;
  /** How long a transaction takes on this machine at most, in milliseconds. */
  readonly commitMsMax: number;
}

/** No payload of the simulation is as large. */
const REFUSING_BYTES = 100_000;
/** A supervisor starts it again after this. */
const RESTART_MS = 1_000;
/** The wait that a shutdown asks for at most: that of a fleet of some thousands. */
const AWAY_MS_MAX = 5_000;

/** How a store refuses to commit. */
export type StoreTrouble = 'full' | 'io';

export class ServerHost implements Listener {
  disk: StoreDisk;
  process: Process | undefined;
  /** What the store refuses with, while it does. */
  trouble: StoreTrouble | undefined;
  /** A transaction takes so many times as long. */
  slowness = 1;
  readonly #world: World;
  readonly #witness: Witness;
  readonly #random: Random;
  readonly #settings: ServerSettings;
  #store: ModelStore | undefined;
  #registry = new Registry<Connection>();
  #sockets: TcpSocket[] = [];
  #vanished: TcpSocket[] = [];
  #connections = new Set<Connection>();
  #budget: Budget;

  constructor(world: World, settings: ServerSettings, witness: Witness) {
    this.#world = world;
    this.#witness = witness;
    this.#random = world.random.fork();
    this.#settings = settings;
    this.#budget = newBudget(settings);
    this.disk = this.#newDisk();
  }

  /** Another store takes the place of the one that was. */
  replaceStore(): void {
    this.disk = this.#newDisk();
  }

  #newDisk(): StoreDisk {
    const disk = new StoreDisk(this.#random.uuid());
    disk.meet = (what) => this.#world.meet(what);
    disk.onDeclared = (...range) => this.#witness.declared(...range);
    return disk;
  }

  get store(): Store | undefined {
    return this.#store;
  }

  /** Payload bytes that were received and wait for the store. */
  get waitingBytes(): number {
    return this.#store?.waitingBytes ?? 0;
  }

  /** Some frames are too large for it. */
  get refuses(): boolean {
    return this.#settings.payloadBytesMax < REFUSING_BYTES;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  start(): void {
    if (this.process?.alive) return;
    this.#world.say('server', 'starts');
    const process = new Process(this.#world, 'server');
    this.process = process;
    const random = this.#random;
    this.#registry = new Registry();
    this.#connections = new Set();
    this.#budget = newBudget(this.#settings);
    this.#store = new ModelStore(this.disk, {
      after: (ms, call) => process.after(ms, call),
      commitMs: () => random.next() * this.#settings.commitMsMax * this.slowness,
      answerMs: () => (random.chance(0.5) ? 0 : random.next() * 2),
      failure: () => this.#failure(),
    });
    // Where the store can't go on the program ends, and whoever watches over it starts it anew.
    void this.#store.failed.then(() => {
      if (this.process !== process) return;
      this.kill();
      this.#world.after(RESTART_MS, () => this.start());
    });
    for (const socket of this.#vanished.splice(0)) socket.reboot();
  }

  accept(socket: TcpSocket): void {
    const { process } = this;
    if (process === undefined || socket.process !== process) return;
    this.#sockets = this.#sockets.filter(({ destroyed }) => !destroyed);
    this.#sockets.push(socket);
    const options = this.#optionsFor(process);
    this.#connections.add(new Connection(socket as unknown as ConnectionSocket, options));
  }

  /** True while it ends in order. */
  stopping = false;

  /** Ends as on SIGTERM: what has come is committed and acknowledged. Then it comes back. */
  stop(): void {
    this.#world.say('server', 'is told to stop');
    this.stopping = true;
    // Among many collectors some would be asked to stay away for a while.
    const random = this.#random;
    for (const connection of this.#connections) {
      connection.shutDown(random.chance(0.5) ? 0 : random.int(1, AWAY_MS_MAX));
    }
    const { process } = this;
    process?.after(3_000, () => {
      if (this.process !== process) return;
      this.kill();
      this.#world.after(RESTART_MS, () => this.start());
    });
  }

  kill(): void {
    if (!this.process?.alive) return;
    this.#world.say('server', 'is killed');
    this.stopping = false;
    this.process.kill();
    for (const socket of this.#sockets.splice(0)) socket.kill();
  }

  losePower(): void {
    this.#world.say('server', 'loses power');
    this.process?.kill();
    const sockets = this.#sockets.splice(0);
    for (const socket of sockets) socket.vanish();
    this.#vanished.push(...sockets);
    this.disk = this.disk.afterPowerLoss();
  }

  #failure(): StoreError | undefined {
    if (this.trouble === undefined) return undefined;
    this.#world.meet(`store: ${this.trouble}`);
    return new StoreError(this.trouble, 'the disk refuses');
  }

  #optionsFor(process: Process): ConnectionOptions {
    const world = this.#world;
    const random = this.#random;
    const { token, windowBytes, payloadBytesMax } = this.#settings;
    const caps = { ...DEFAULT_CAPS, windowBytes, payloadBytesMax };
    const store = this.#store;
    if (store === undefined) throw new Error('a connection without a store');
    return {
      store,
      registry: this.#registry,
      events: new Events(),
      metrics: {
        onReceived: () => {},
        onStored: () => {},
        onAcked: () => {},
        onDeclared: (count) => {
          if (count > 0) world.meet('server: gap taken');
        },
        onFrames: (result, count) => {
          if (count > 0) world.meet(`frames: ${result}`);
        },
        onClosed: (reason) => world.meet(`session ends: ${reason}`),
      },
      log: silentLog(world),
      surroundings: {
        now: () => world.now,
        wallTime: () => world.wallUs,
        after: (ms, call) => process.after(ms, call),
        afterReads: (call) => process.afterReads(call),
        randomBytes: (length) => random.bytes(length),
        randomUuid: () => random.uuid(),
      },
      keys: sharedKey(token),
      attempts: { onFailed: (reason) => world.meet(`attempt fails: ${reason}`) },
      heartbeatMs: HEARTBEAT_MS,
      caps,
      budget: this.#budget,
      termsFor: (collectorsKnown) => termsFor(collectorsKnown, caps),
      mayStay: () => true,
      onLeft: () => {},
      onGone: (connection) => this.#connections.delete(connection),
    };
  }
}

/** So little that connections that overlap, an old one and its successor, meet its end. */
function newBudget({ windowBytes }: ServerSettings): Budget {
  return new Budget({ bytesMax: windowBytes / 2, connectionsMax: 16 });
}

/** Keeps the log's lines for the trace. */
function silentLog(world: World): Logger {
  const say = (about: { event?: string }, text: string): void => {
    if (world.traced) world.say('server', `${about.event}: ${text}`);
  };
  return { info: say, warn: say, error: say, debug: say } as unknown as Logger;
}
