/**
 * The server's part of the lab on a stand-in for the link, and on a clock that stands still until
 * it is told to go on. `afterEach(stopLabs)` ends what was started.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { LabError } from '#lab/errors.ts';
import type { LinkState, Slowness } from '#lab/link.ts';
import { Events, type ServerEvent } from '#server/events.ts';
import { Lab, type LabOptions } from '#server/lab/lab.ts';

class StandInLink {
  state: LinkState = { kind: 'whole', toxics: [] };
  /** What every call fails with. */
  failure: Error | undefined;
  /** While it is there, calls are not answered. */
  hanging: Promise<void> | undefined;
  reads = 0;
  /** How many reads went on at a time, at most. */
  readsAtOnce = 0;
  #reading = 0;

  async read(): Promise<LinkState> {
    this.reads += 1;
    this.#reading += 1;
    this.readsAtOnce = Math.max(this.readsAtOnce, this.#reading);
    try {
      return await this.#answer(() => structuredClone(this.state));
    } finally {
      this.#reading -= 1;
    }
  }

  cut(): Promise<void> {
    return this.#change({ kind: 'cut', toxics: [] });
  }

  async slow({ latencyMs, rateKbps }: Slowness): Promise<LinkState> {
    await this.#change({ kind: 'slow', toxics: [`+${latencyMs} ms`, `${rateKbps} kB/s`] });
    return this.state;
  }

  restore(): Promise<void> {
    return this.#change({ kind: 'whole', toxics: [] });
  }

  #change(state: LinkState): Promise<void> {
    return this.#answer(() => {
      this.state = state;
    });
  }

  async #answer<T>(answer: () => T): Promise<T> {
    await this.hanging;
    if (this.failure !== undefined) throw this.failure;
    return answer();
  }
}

export const DEAF = new LabError({
  code: 'link_failed',
  message: 'the link: Toxiproxy does not answer at http://toxiproxy:8474',
  details: ['connection refused'],
});

/** Calls back when it is told that time has passed. */
export class HandClock {
  ms = 1_000_000;
  readonly #timers = new Map<() => void, number>();

  readonly wallTime = (): number => this.ms * 1_000;

  readonly after = (ms: number, call: () => void): (() => void) => {
    this.#timers.set(call, this.ms + ms);
    return () => this.#timers.delete(call);
  };

  /** Moves on, with all that is due on the way and what comes of it. */
  async pass(ms: number): Promise<void> {
    const end = this.ms + ms;
    await settle();
    for (;;) {
      const [next] = [...this.#timers].toSorted(([, one], [, other]) => one - other);
      if (next === undefined || next[1] > end) break;
      this.#timers.delete(next[0]);
      this.ms = Math.max(this.ms, next[1]);
      next[0]();
      await settle();
    }
    this.ms = end;
  }
}

/** All that waits for nothing but its turn has had it. */
async function settle(): Promise<void> {
  for (let turns = 0; turns < 5; turns += 1) await new Promise((done) => setImmediate(done));
}

const undo: (() => Promise<void> | void)[] = [];

export async function stopLabs(): Promise<void> {
  for (const step of undo.splice(0).reverse()) await step();
}

export function labFolder(): string {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-lab-part-'));
  undo.push(() => rmSync(directory, { recursive: true }));
  return directory;
}

export function startLab(more: Partial<LabOptions> & { clock?: HandClock } = {}) {
  const { clock = new HandClock() } = more;
  const link = new StandInLink();
  const events = new Events();
  const seen: ServerEvent[] = [];
  events.watch((event) => seen.push(event));
  const logged: Record<string, unknown>[] = [];
  const log = pino({ level: 'debug' }, { write: (line) => logged.push(JSON.parse(line)) });
  const directory = more.directory ?? labFolder();
  const options = { link, collectorPage: undefined, directory, events, log, surroundings: clock };
  const lab = new Lab({ ...options, ...more });
  undo.push(() => lab.close());
  return { lab, link, clock, events, seen, logged, directory };
}
