/**
 * A queue's thread without a thread: the real core and its real rounds over files in memory, whose
 * calls a test can let fail, and whose rounds it can hold back. What is written survives openings.
 */
import { randomUUIDv7 } from 'node:crypto';
import { QueueCore } from '#collector/producer/queue/core.ts';
import { QueueInUseError, QueueOpenError, toFacts } from '#collector/producer/queue/errors.ts';
import type { Opening, QueueThread, Request, Turn } from '#collector/producer/queue/thread.ts';
import { Turns } from '#collector/producer/queue/turns.ts';
import type { QueueOptions } from '#collector/producer/queue/types.ts';
import { REAL_SURROUNDINGS, type Surroundings } from '#collector/producer/surroundings.ts';
import { ModelledFiles } from '../queue/modelled-files.ts';

export class ModelledQueue {
  readonly files = new ModelledFiles();
  /** While set, nothing is done: no opening, no round. */
  held = false;
  /** Somebody has the queue open: a producer, or another as far as a test says so. */
  inUse = false;
  /** Openings that began. */
  openings = 0;
  #held: (() => void)[] = [];

  get surroundings(): Surroundings {
    return { ...REAL_SURROUNDINGS, startQueueThread: (options) => this.#start(options) };
  }

  /** From now on each sync fails as on a dying disk; answers how to end that. */
  breakSyncs(): () => void {
    this.files.before = ({ operation }) => {
      if (operation !== 'sync') return;
      throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
    };
    return () => {
      this.files.before = () => {};
    };
  }

  release(): void {
    this.held = false;
    for (const call of this.#held.splice(0)) call();
  }

  #whenFree(call: () => void): void {
    setImmediate(() => {
      if (this.held) this.#held.push(call);
      else call();
    });
  }

  #start(options: Required<QueueOptions>): QueueThread {
    this.openings += 1;
    const inbox: Request[] = [];
    const ended = Promise.withResolvers<void>();
    let turns: Turns | undefined;
    let onTurn: (turn: Turn) => void = () => {};
    const round = (): void => {
      const requests = inbox.splice(0);
      if (turns === undefined || requests.length === 0) return;
      const { turn } = turns.take(requests);
      if (turns.isClosed) this.inUse = false;
      onTurn({ ...turn, stats: { ...turn.stats } });
      if (turns.isClosed) ended.resolve();
    };
    const open = (): Opening => {
      if (this.inUse) return { error: factsOf(new QueueInUseError(options.path)) };
      try {
        const core = new QueueCore(this.files, { ...options, mintEpoch: randomUUIDv7 });
        turns = new Turns(core, () => 'modelled');
        this.inUse = true;
        return { recovery: core.recovery, stats: core.stats };
      } catch (error) {
        return { error: factsOf(new QueueOpenError(options.path, error)) };
      }
    };
    return {
      opening: new Promise((resolve) => this.#whenFree(() => resolve(open()))),
      ended: ended.promise,
      post: (request) => {
        inbox.push(request);
        this.#whenFree(round);
      },
      listen: (listener) => {
        onTurn = listener;
      },
      close: () => {},
    };
  }
}

function factsOf(error: Error): NonNullable<ReturnType<typeof toFacts>> {
  const facts = toFacts(error);
  if (facts === undefined) throw error;
  return facts;
}
