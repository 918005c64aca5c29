/**
 * The process whose frames are measured: a producer and nothing else, told by its parent what to
 * send. Ends when the parent does.
 *
 * Reads nothing from the environment. Exit codes: 0 closed as told, 1 failed.
 */
import { Producer } from '#collector/producer/producer.ts';
import { type Answer, type Command, type Facts, machineMs, type Request } from './commands.ts';
import { capturedAtOf, type FramePlan, payloadOf } from './frames.ts';

const EXIT_FAILED = 1;

/** Sends under way at a time while filling: enough for large group commits, little memory. */
const FILL_AT_ONCE = 4_096;
/** How finely acks are timed, in milliseconds. */
const WATCH_MS = 1;

class Source {
  readonly #producer: Producer;
  readonly #plan: FramePlan;
  #sent = 0;
  #load: NodeJS.Timeout | undefined;
  #underWay: Promise<unknown>[] = [];

  constructor(producer: Producer, plan: FramePlan) {
    this.#producer = producer;
    this.#plan = plan;
  }

  get facts(): Facts {
    return { at: machineMs(), sent: this.#sent, status: this.#producer.status() };
  }

  async perform(command: Exclude<Command, { type: 'open' }>): Promise<void> {
    switch (command.type) {
      case 'fill':
        return this.#fill(command.frames);
      case 'load':
        return this.#startLoad(command.perSecond);
      case 'end-load':
        return this.#endLoad();
      case 'acked-past':
        return this.#until((status) => status.counters.acked > command.frames);
      case 'empty':
        return this.#until((status) => status.queue.frames === 0);
      case 'facts':
        return;
      case 'close':
        return this.#producer.close({ deadlineMs: 0 });
      default:
        return command satisfies never;
    }
  }

  async #fill(frames: number): Promise<void> {
    for (let left = frames; left > 0; left -= FILL_AT_ONCE) {
      const batch = Array.from({ length: Math.min(left, FILL_AT_ONCE) }, () => this.#send());
      await Promise.all(batch);
    }
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

  #send(): Promise<unknown> {
    const n = this.#sent;
    this.#sent += 1;
    const capturedAt = capturedAtOf(this.#plan, n);
    return this.#producer.send(payloadOf(this.#plan, n), { capturedAt });
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

async function answer({ id, command }: Request): Promise<Answer> {
  try {
    if (command.type === 'open') source = await open(command);
    else await source?.perform(command);
    return { id, facts: source?.facts };
  } catch (error) {
    return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

async function open({ token, collector, plan, ...rest }: OpenCommand): Promise<Source> {
  const { server, queuePath, queueLimitBytes } = rest;
  const producer = await Producer.open({
    server,
    token: Buffer.from(token),
    collectorId: collector,
    queuePath,
    queueLimitBytes,
    onEvent: (event) => {
      if (event.type !== 'failed') return;
      console.error(event.error.message);
      process.exit(EXIT_FAILED);
    },
  });
  return new Source(producer, plan);
}

type OpenCommand = Extract<Command, { type: 'open' }>;

process.on('disconnect', () => process.exit(0));
process.on('message', (request: Request) => {
  void answer(request).then((told) => {
    process.send?.(told, () => {
      if (request.command.type === 'close') process.exit(0);
    });
  });
});
