/**
 * The process whose frames are measured: a producer and nothing else, told by its parent what to
 * send. Ends when the parent does.
 *
 * Reads nothing from the environment. Exit codes: 0 closed as told, 1 failed.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Producer, type ProducerEvent, QueueFullError } from '#collector/producer/producer.ts';
import { answerCommands } from '../child.ts';
import { type Command, type Facts, machineMs } from './commands.ts';
import { capturedAtOf, type FramePlan, payloadOf } from './frames.ts';
import { SyncProbe } from './sync-probe.ts';
import { TimelyLoad } from './timely-load.ts';

const EXIT_FAILED = 1;

/**
 * Sends that are waited for together while filling, the next as many being made meanwhile: enough for
 * large group commits, little memory.
 */
const FILL_AT_ONCE = 4_096;
const PROBES_PER_BLOCK = 50;
/** How finely acks are timed, in milliseconds. */
const WATCH_MS = 1;

class Source {
  readonly #producer: Producer;
  readonly #plan: FramePlan;
  #sent = 0;
  #load: NodeJS.Timeout | undefined;
  #underWay: Promise<unknown>[] = [];
  /** Payloads of the next frames, the next one last. */
  #made: Buffer[] = [];
  #timesMs: Facts['timesMs'] = {};
  /** Told of seqs that are stored; the frame with seq n + 1 is frame n. */
  #onStored: ((from: number, to: number) => void) | undefined;

  constructor(producer: Producer, plan: FramePlan) {
    this.#producer = producer;
    this.#plan = plan;
  }

  get facts(): Facts {
    const timesMs = this.#timesMs;
    return { at: machineMs(), sent: this.#sent, status: this.#producer.status(), timesMs };
  }

  onStored({ from, to }: Extract<ProducerEvent, { type: 'stored' }>): void {
    this.#onStored?.(from, to);
  }

  async perform(command: Exclude<Command, { type: 'open' }>): Promise<void> {
    this.#timesMs = {};
    switch (command.type) {
      case 'make':
        this.#make(command.frames);
        return;
      case 'fill':
        return this.#fill(command.frames);
      case 'lone':
        return this.#lone(command.frames, command.probePath);
      case 'timed-load':
        return this.#timedLoad(command);
      case 'timely-load':
        return this.#startTimelyLoad(command);
      case 'load':
        return this.#startLoad(command.perSecond);
      case 'end-load':
        return this.#endLoad();
      case 'acked-past':
        return this.#until((status) => status.counters.acked > command.frames);
      case 'not-ready':
        return this.#until((status) => status.state !== 'Ready');
      case 'empty':
        return this.#until((status) => status.queue.frames === 0);
      case 'facts':
        return;
      case 'close':
        await this.#producer.close();
        return;
      default:
        return command satisfies never;
    }
  }

  #make(frames: number): void {
    const next = this.#sent;
    this.#made = Array.from({ length: frames }, (_, i) =>
      payloadOf(this.#plan, next + i),
    ).reverse();
  }

  async #lone(frames: number, probePath: string): Promise<void> {
    const probe = new SyncProbe(probePath);
    const append: number[] = [];
    const fdatasync: number[] = [];
    for (let i = 0; i < frames; i += 1) {
      fdatasync.push(probe.measure(payloadOf(this.#plan, this.#sent)));
      const sentAt = performance.now();
      await this.#send();
      append.push(performance.now() - sentAt);
    }
    probe.close();
    this.#timesMs = { append, fdatasync };
  }

  /**
   * With probes in blocks of a second: they come between them, for syncs of another file would slow
   * down those of the frames.
   */
  async #timedLoad({ frames, perSecond, probePath }: TimedLoadCommand): Promise<void> {
    const stepMs = 1_000 / perSecond;
    const durable: number[] = [];
    const stored: number[] = [];
    if (probePath === undefined) {
      await this.#timedBlock(frames, stepMs, durable, stored);
      this.#timesMs = { durable, stored };
      return;
    }
    const probe = new SyncProbe(probePath);
    const fdatasync: number[] = [];
    for (let left = frames; left > 0; left -= perSecond) {
      await this.#timedBlock(Math.min(left, perSecond), stepMs, durable, stored);
      for (let i = 0; i < PROBES_PER_BLOCK; i += 1) {
        await delay(stepMs);
        fdatasync.push(probe.measure(payloadOf(this.#plan, i)));
      }
    }
    probe.close();
    this.#timesMs = { durable, stored, fdatasync };
  }

  async #timedBlock(
    frames: number,
    stepMs: number,
    durable: number[],
    stored: number[],
  ): Promise<void> {
    const first = this.#sent;
    const sentAt: number[] = [];
    const seen = new Set<number>();
    this.#onStored = (from, to) => {
      const now = performance.now();
      for (let n = Math.max(from - 1, first); n < to; n += 1) {
        if (!seen.has(n)) stored.push(now - (sentAt[n - first] ?? now));
        seen.add(n);
      }
    };
    const startedAt = performance.now();
    for (let i = 0; i < frames; i += 1) {
      const waitMs = startedAt + i * stepMs - performance.now();
      if (waitMs > 0) await delay(waitMs);
      const now = performance.now();
      sentAt.push(now);
      this.#send().then(() => durable.push(performance.now() - now), onFailed);
    }
    await this.#until(({ counters }) => counters.acked >= this.#sent);
    this.#onStored = undefined;
  }

  async #fill(frames: number): Promise<void> {
    let before: Promise<unknown> = Promise.resolve();
    for (let left = frames; left > 0; left -= FILL_AT_ONCE) {
      const batch = Array.from({ length: Math.min(left, FILL_AT_ONCE) }, () => this.#send());
      const durable = Promise.all(batch);
      durable.catch(() => {}); // in its turn
      await before;
      before = durable;
    }
    await before;
  }

  /** Keeps to the rate on the whole, however late a single tick is. */
  #startLoad(perSecond: number): void {
    const startedAt = performance.now();
    let made = 0;
    this.#load = setInterval(() => {
      const due = Math.floor(((performance.now() - startedAt) * perSecond) / 1_000);
      for (; made < due; made += 1) this.#underWay.push(this.#send());
      if (this.#underWay.length > FILL_AT_ONCE) this.#underWay = [Promise.all(this.#underWay)];
    }, 1_000 / perSecond);
  }

  async #endLoad(): Promise<void> {
    clearInterval(this.#load);
    await Promise.all(this.#underWay);
    this.#underWay = [];
  }

  #startTimelyLoad({ plan, frames }: TimelyLoadCommand): void {
    void new TimelyLoad(plan, frames, (n) => this.#offer(plan, n)).run();
  }

  /** Answers false where the queue is full and refuses. */
  async #offer(plan: FramePlan, n: number): Promise<boolean> {
    try {
      await this.#producer.send(payloadOf(plan, n), { capturedAt: capturedAtOf(plan, n) });
      return true;
    } catch (error) {
      if (!(error instanceof QueueFullError)) onFailed(error as Error);
      return false;
    }
  }

  #send(): Promise<unknown> {
    const n = this.#sent;
    this.#sent += 1;
    const payload = this.#made.pop() ?? payloadOf(this.#plan, n);
    return this.#producer.send(payload, { capturedAt: capturedAtOf(this.#plan, n) });
  }

  #until(holds: (status: Facts['status']) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const watch = setInterval(() => {
        if (!holds(this.#producer.status())) return;
        clearInterval(watch);
        resolve();
      }, WATCH_MS);
    });
  }
}

let source: Source | undefined;

answerCommands(async (command: Command): Promise<Facts> => {
  if (command.type === 'open') source = await open(command);
  else await source?.perform(command);
  if (source === undefined) throw new Error('the source is not open');
  return source.facts;
});

async function open({ type: _, token, collector, plan, ...rest }: OpenCommand): Promise<Source> {
  const options = { ...rest, token: Buffer.from(token), collectorId: collector };
  const producer = new Producer(options);
  producer.on('stored', (event) => source?.onStored(event));
  producer.on('failed', ({ error }) => onFailed(error));
  await producer.opened();
  return new Source(producer, plan);
}

function onFailed(error: Error): void {
  console.error(error.message);
  process.exit(EXIT_FAILED);
}

type TimedLoadCommand = Extract<Command, { type: 'timed-load' }>;
type TimelyLoadCommand = Extract<Command, { type: 'timely-load' }>;
type OpenCommand = Extract<Command, { type: 'open' }>;
