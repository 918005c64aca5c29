/**
 * A collector's machine: its disk, its way to the server, and one process at a time: the real
 * producer over modelled surroundings, and a program that gives it frames.
 */

import type { LinkSocket } from '#collector/producer/link.ts';
import {
  type Opening,
  Producer,
  type ProducerEvent,
  type ProducerOptions,
} from '#collector/producer/producer.ts';
import { stepOf } from '#collector/producer/sender-state.ts';
import type { Surroundings } from '#collector/producer/surroundings.ts';
import { type Attempt, nameOf, Violation, type Witness } from '../witness.ts';
import { HostDisk } from './host-disk.ts';
import { Network, Path, type TcpSocket } from './network.ts';
import { startModelThread } from './queue-thread.ts';
import type { Random } from './random.ts';
import type { ServerHost } from './server-host.ts';
import { Process, type World } from './world.ts';

export interface CollectorSettings {
  readonly token: Uint8Array;
  readonly limitBytes: number;
  readonly segmentBytes: number;
  /** Of the path to the server when nothing is wrong. */
  readonly delayMs: number;
  readonly bytesPerMs: number;
  readonly proxied: boolean;
  /** Settings of the producer. */
  readonly delivery: Partial<ProducerOptions>;
  /** How long the disk takes for a round of the queue at most, in milliseconds. */
  readonly roundMsMax: number;
  readonly payloadBytesMin: number;
  readonly payloadBytesMax: number;
  /** Some payloads are all the same. */
  readonly samePayloads: boolean;
}

/** What the hosts of one history share. */
export interface Surrounding {
  readonly world: World;
  readonly witness: Witness;
  readonly server: ServerHost;
}

const RESTART_MS = 500;
/** No history fills a queue of this size. */
const LARGE_BYTES = 1_048_576;
/**
 * What a queue counts after an eviction, at least, as a part of its limit: in one of 64 KiB room for
 * a frame is 9 KiB, and the segment given up is a quarter and 8 KiB at most.
 */
const FULL_SHARE = 0.45;
/** Dials that may bring nothing: the doubling ones, and then those at the cap of a second. */
const DIALS_AT_ONCE = 20;
const DIALS_PER_SECOND = 5;
/**
 * With a server that refuses frames: until their dead letters are written they are sent again on each
 * connection, and count there as brought over. The sender's own bound is what is left then.
 */
const DIALS_PER_SECOND_REFUSED = 55;

export class CollectorHost {
  readonly name: string;
  readonly path: Path;
  readonly disk = new HostDisk();
  readonly settings: CollectorSettings;
  process: Process | undefined;
  producer: Producer | undefined;
  /** Another process has, or had, this collector's id. */
  hasRival = false;
  /** How far the wall clock is off. */
  wallOffsetUs = 0;
  /** Comes back by itself when its process ends, as under a supervisor. */
  supervised = true;
  readonly #shared: Surrounding;
  readonly #random: Random;
  readonly #network: Network;
  #sockets: TcpSocket[] = [];
  #vanished: TcpSocket[] = [];
  /** Dials since the server last took something. */
  #dials = { taken: 0, since: 0, count: 0 };

  constructor(name: string, settings: CollectorSettings, shared: Surrounding) {
    this.name = name;
    this.settings = settings;
    this.#shared = shared;
    this.path = new Path(`path ${name}`, settings);
    this.path.proxied = settings.proxied;
    this.#random = shared.world.random.fork();
    this.#network = new Network(shared.world);
  }

  /** The id that the server knows it by, once it has run. */
  get collector(): string | undefined {
    return this.#collector;
  }
  #collector: string | undefined;

  /** Ready, and with nothing left to bring over. */
  get drained(): boolean {
    const status = this.producer?.status();
    return status?.state === 'Ready' && status.queue.frames === 0;
  }

  /** Bytes that were written to the server and that it has not read. */
  get bytesUnderWay(): number {
    return this.#sockets.reduce(
      (sum, socket) => sum + (socket.destroyed ? 0 : socket.bytesUnderWay),
      0,
    );
  }

  start(): void {
    if (this.process?.alive) return;
    const { world } = this.#shared;
    world.say(this.name, 'starts');
    this.hasRival ||= this.process !== undefined;
    const process = new Process(world, this.name);
    this.process = process;
    this.producer = undefined;
    this.#dials = { taken: 0, since: world.now, count: 0 };
    for (const socket of this.#vanished.splice(0)) socket.reboot();
    const producer = new Producer(
      {
        server: { host: 'server', port: 9_004 },
        token: this.settings.token,
        queuePath: 'queue',
        queueLimitBytes: this.settings.limitBytes,
        ...this.settings.delivery,
      },
      this.#surroundings(process),
    );
    producer.on('event', (event) => this.#onEvent(event));
    producer.opened().then(
      (opening) => this.#opened(process, producer, opening),
      (error: Error) => {
        if (this.process !== process) return;
        world.say(this.name, `did not start: ${error.message}`);
        this.#ended();
      },
    );
  }

  /** Starts it, unless nobody wants it any more. */
  restart(): void {
    if (this.supervised) this.start();
  }

  /** Gives the producer some frames; what it answers is the witness'. */
  capture(count: number): void {
    const { world, witness } = this.#shared;
    const { producer, process } = this;
    if (producer === undefined || !process?.alive || process.frozen) return;
    for (let i = 0; i < count; i += 1) {
      const attempt = witness.attempt(this.name, this.#payload(), world.wallUs);
      const { capturedAt } = attempt;
      producer.send(attempt.payload, { capturedAt }).then(
        ({ epoch, seq }) => {
          const { collector } = producer.status();
          if (world.traced) world.say(this.name, `accepted ${epoch.slice(-4)}/${seq}`);
          try {
            witness.accept(attempt, { collector, epoch, seq, at: world.now });
          } catch (error) {
            world.fail(error as Error);
          }
        },
        (error: Error) => this.#onRefused(attempt, error),
      );
    }
  }

  /** What finds no room is lost here, and told now and then. */
  #onRefused(attempt: Attempt, error: Error): void {
    const { world, witness } = this.#shared;
    const code = 'code' in error ? error.code : error.name;
    world.meet(`send refused: ${code}`);
    if (code !== 'disk_full') return;
    witness.refuse(attempt);
    if (this.#random.chance(0.5)) this.producer?.declareLost(1).catch(() => {});
  }

  kill(): void {
    if (!this.process?.alive) return;
    this.#shared.world.say(this.name, 'is killed');
    this.#end();
    for (const socket of this.#sockets.splice(0)) socket.kill();
    this.disk.afterKill();
  }

  losePower(): void {
    if (!this.process?.alive) return;
    this.#shared.world.say(this.name, 'loses power');
    this.#end();
    const sockets = this.#sockets.splice(0);
    for (const socket of sockets) socket.vanish();
    this.#vanished.push(...sockets);
    this.disk.afterPowerLoss(this.#random);
  }

  /** Ends as on SIGTERM, and comes back. */
  stop(deadlineMs: number): void {
    const { process, producer } = this;
    if (producer === undefined || process === undefined) return this.kill();
    this.#shared.world.say(this.name, 'is told to stop');
    producer.close({ deadlineMs }).then(
      () => {
        if (this.process !== process) return;
        this.#shared.world.say(this.name, 'has stopped');
        this.#ended();
      },
      (error: Error) => this.#shared.world.fail(error),
    );
  }

  /** Dials are bounded while they bring nothing: an outage must not become a storm. */
  #countDial(): void {
    const { world, server } = this.#shared;
    const taken = server.disk.batchesOf(this.#collector);
    if (taken !== this.#dials.taken) this.#dials = { taken, since: world.now, count: 0 };
    this.#dials.count += 1;
    const { count, since } = this.#dials;
    const seconds = (world.now - since) / 1_000;
    const rate = server.refuses ? DIALS_PER_SECOND_REFUSED : DIALS_PER_SECOND;
    if (count <= DIALS_AT_ONCE + rate * seconds) return;
    world.fail(new Violation('dials', `${count} dials within ${seconds.toFixed(1)} s for nothing`));
  }

  #end(): void {
    this.process?.kill();
    this.producer = undefined;
  }

  /** The process ended by itself. */
  #ended(): void {
    this.kill();
    this.#shared.world.after(RESTART_MS, () => this.restart());
  }

  #opened(process: Process, producer: Producer, { collector, recovery }: Opening): void {
    if (this.process !== process || !process.alive) return;
    const { world, witness } = this.#shared;
    this.producer = producer;
    this.#collector = collector;
    // A crash may come between an eviction and its event: the limit alone says what may be evicted.
    if (this.settings.limitBytes < LARGE_BYTES) witness.allow(this.#collector, 'evicted');
    if (recovery.tornBytes > 0) world.meet('queue: torn tail');
    for (const { kind } of recovery.damage) world.meet(`queue: damage ${kind}`);
    if (recovery.damage.some(({ framesSaved }) => framesSaved > 0)) world.meet('queue: salvage');
    for (const { reason } of recovery.gaps) world.meet(`gap: ${reason}`);
    world.say(this.name, `opened with ${recovery.frames} frames, ${recovery.tornBytes} torn bytes`);
  }

  #onEvent(event: ProducerEvent): void {
    const { world } = this.#shared;
    switch (event.type) {
      case 'state': {
        const [from, to] = [stepOf(event.from), stepOf(event.to)];
        world.meet(`step: ${from} -> ${to}`);
        if (event.to.name === 'Backoff') this.#onLinkError(event.to.error.code);
        if (world.traced) {
          const why = event.to.name === 'Backoff' ? ` (${event.to.error.message})` : '';
          world.say(this.name, `${from} -> ${to}${why}`);
        }
        return;
      }
      case 'gap': {
        const { epoch, from, to, reason } = event.gap;
        world.meet(`gap: ${reason}`);
        this.#checkEviction(reason);
        if (this.#collector !== undefined) {
          this.#shared.witness.declared(this.#collector, epoch, from, to);
        }
        world.say(this.name, `gap ${epoch.slice(-4)}/${from}-${to} ${reason}`);
        return;
      }
      case 'disk_full':
        world.meet(event.full ? 'disk full' : 'disk has room again');
        return;
      case 'damage':
        world.meet(`queue: damage ${event.damage.kind}`);
        return;
      case 'store_lost':
        world.meet('store lost');
        return;
      case 'rejected':
        world.meet(`rejected: ${event.code}`);
        return;
      case 'failed':
        // What the daemon's main does: it ends, and its supervisor starts it anew.
        world.meet('queue: failed');
        world.say(this.name, `fails: ${event.error.message}`);
        this.process?.afterReads(() => this.#ended());
        return;
    }
  }

  /** The newest connection of one process wins at once: only another process may be in its way. */
  #onLinkError(code: string): void {
    this.#shared.world.meet(`link error: ${code}`);
    if (code !== 'bye_in_use' || this.hasRival) return;
    this.#shared.world.fail(new Violation('state', `${this.name} is in its own way`));
  }

  /** Only a queue that is full may give frames up. */
  #checkEviction(reason: string): void {
    if (reason !== 'evicted') return;
    const { world } = this.#shared;
    const { limitBytes } = this.settings;
    const { chargedBytes } = this.disk;
    if (chargedBytes < limitBytes * FULL_SHARE) {
      const text = `frames were evicted at ${chargedBytes} of ${limitBytes} bytes`;
      world.fail(new Violation('declared without a cause', text));
    }
  }

  #surroundings(process: Process): Surroundings {
    const { world, witness, server } = this.#shared;
    const random = this.#random;
    const { roundMsMax, segmentBytes } = this.settings;
    const { disk } = this;
    return {
      now: () => world.now,
      wallTime: () => world.wallUs + this.wallOffsetUs,
      after: (ms, call) => process.after(ms, call),
      random: () => random.next(),
      randomBytes: (length) => random.bytes(length),
      randomUuid: () => random.uuid(),
      dial: () => {
        this.#countDial();
        const socket = this.#network.dial(process, this.path, server);
        this.#sockets = this.#sockets.filter(({ destroyed }) => !destroyed);
        this.#sockets.push(socket);
        return socket as unknown as LinkSocket;
      },
      startQueueThread: (options) =>
        startModelThread(options, {
          process,
          disk,
          roundMs: () => random.next() * roundMsMax,
          now: () => world.now,
          mintEpoch: () => this.#mintEpoch(),
          randomHex: () => random.bytes(4).toString('hex'),
          segmentBytes,
          onRequest: (request) => {
            if (request.type !== 'settle' || this.#collector === undefined) return;
            const { storeId, epoch, ranges } = request;
            try {
              witness.checkAck(server.disk, storeId, this.#collector, epoch, ranges);
            } catch (error) {
              world.fail(error as Error);
            }
          },
          onCrash: () => {
            world.meet('crash within a call to the disk');
            if (this.#collector !== undefined && this.settings.limitBytes < LARGE_BYTES) {
              witness.excuseLetters(this.#collector);
            }
            if (random.chance(0.5)) this.kill();
            else this.losePower();
            world.after(RESTART_MS, () => this.restart());
          },
        }),
      keepDeadLetter: async (_, { collector, frame }) => {
        const name = nameOf(collector, frame.epoch, frame.seq);
        const payload = Buffer.from(frame.payload).toString('base64');
        if (disk.deadLetters.get(name) === payload) return;
        const waitMs = random.chance(0.02) ? random.spread(10, 3_000) : random.next() * roundMsMax;
        await new Promise<void>((resolve) => process.after(waitMs, resolve));
        disk.deadLetters.set(name, payload);
      },
    };
  }

  /** A UUIDv7: text order is the order of making. */
  #mintEpoch(): string {
    const ms = Math.floor((this.#shared.world.wallUs + this.wallOffsetUs) / 1_000)
      .toString(16)
      .padStart(12, '0');
    const rest = this.#random.uuid();
    return `${ms.slice(0, 8)}-${ms.slice(8)}-7${rest.slice(15)}`;
  }

  #payload(): Buffer {
    const { payloadBytesMin, payloadBytesMax, samePayloads } = this.settings;
    if (samePayloads && this.#random.chance(0.5)) return Buffer.from('the same reading as before');
    return this.#random.bytes(this.#random.int(payloadBytesMin, payloadBytesMax));
  }
}
