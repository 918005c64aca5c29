/** The rhythm of a flapping link, on a clock that the test moves. */
import { expect, test } from 'vitest';
import { type Clock, dueMs, Flapping } from '#chaos/faults/flapping.ts';

const RHYTHM = { periodMs: 200, duty: 0.25 };
const START_MS = 1_000;

/** Time stands still but for waiting, and for what the orders take. */
class Rig implements Clock {
  nowMs = START_MS;
  readonly done: string[] = [];
  /** What the next orders take, in milliseconds; 1 when nothing is said. */
  readonly takes: number[] = [];
  failing = false;
  readonly #flips: number;
  #ended: (() => void) | undefined;

  constructor(flips: number) {
    this.#flips = flips;
  }

  now(): number {
    return this.nowMs;
  }

  async until(timeMs: number, signal: AbortSignal): Promise<void> {
    if (this.done.length >= this.#flips) {
      this.#ended?.();
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      return;
    }
    this.nowMs = Math.max(this.nowMs, timeMs);
  }

  /** All flips are done. */
  finished(): Promise<void> {
    return new Promise((resolve) => {
      this.#ended = resolve;
    });
  }

  cut = () => this.#order('cut');
  open = () => this.#order('open');

  async #order(what: string): Promise<void> {
    this.done.push(`${what} at ${this.nowMs - START_MS}`);
    this.nowMs += this.takes.shift() ?? 1;
    if (this.failing) throw new Error('no Toxiproxy');
  }
}

test('flips are due from the start on, cut first', () => {
  const due = [0, 1, 2, 3, 4].map((flip) => dueMs(flip, RHYTHM));
  expect(due).toEqual([0, 50, 200, 250, 400]);
});

test('what orders take does not add up, and it ends open', async () => {
  const rig = new Rig(6);
  rig.takes.push(30, 30, 30, 30, 30, 30);
  const flapping = new Flapping(rig, RHYTHM, rig);
  await rig.finished();
  await flapping.end();
  expect(rig.done).toEqual([
    ...['cut at 0', 'open at 50', 'cut at 200', 'open at 250', 'cut at 400', 'open at 450'],
    'open at 480',
  ]);
  expect(flapping.flips).toEqual({ inTime: 6, late: 0, failed: 0, latestMs: 30 });
});

test('flips whose phase is over are left out, counted, and not caught up with', async () => {
  const rig = new Rig(3);
  rig.takes.push(230);
  const flapping = new Flapping(rig, RHYTHM, rig);
  await rig.finished();
  await flapping.end();
  // The first was done when its phase and the next were over: two late ones.
  expect(rig.done.slice(0, 3)).toEqual(['cut at 0', 'cut at 230', 'open at 250']);
  expect(flapping.flips).toMatchObject({ inTime: 2, late: 2 });
});

test('a Toxiproxy that is away is counted apart, and the rhythm goes on', async () => {
  const rig = new Rig(4);
  rig.failing = true;
  const flapping = new Flapping(rig, RHYTHM, rig);
  await rig.finished();
  await expect(flapping.end()).rejects.toThrow('no Toxiproxy');
  expect(flapping.flips).toMatchObject({ inTime: 0, late: 0, failed: 4 });
});
