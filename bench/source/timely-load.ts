/**
 * A load on a schedule: each frame is offered when its capture time has come, whatever became of
 * those before it. Where there is no room for one, it is offered again until there is, and those
 * behind it wait, late as they then are.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { capturedAtOf, type FramePlan, framesDue } from './frames.ts';

const FULL_RETRY_MS = 50;
/** Frames that are offered at once where many are late. */
const AT_ONCE_MAX = 256;

export class TimelyLoad {
  readonly #plan: FramePlan;
  readonly #count: number;
  readonly #offer: (n: number) => Promise<boolean>;
  /** There was no room for these. */
  #refused: number[] = [];
  #next = 0;
  readonly #underWay = new Set<Promise<void>>();

  /** `offer` answers whether there was room for the frame, and never rejects. */
  constructor(plan: FramePlan, count: number, offer: (n: number) => Promise<boolean>) {
    this.#plan = plan;
    this.#count = count;
    this.#offer = offer;
  }

  /** Resolves when all are taken. */
  async run(): Promise<void> {
    while (this.#next < this.#count) {
      if (this.#refused.length > 0) await this.#makeUp();
      for (const due = this.#due; this.#next < due; this.#next += 1) this.#once(this.#next);
      const nextMs = capturedAtOf(this.#plan, this.#next) / 1_000;
      await delay(Math.max(0, nextMs - Date.now()));
    }
    await this.#makeUp();
  }

  get #due(): number {
    return Math.min(this.#count, framesDue(this.#plan));
  }

  #once(n: number): void {
    const offered = this.#offer(n).then((isTaken) => {
      if (!isTaken) this.#refused.push(n);
      this.#underWay.delete(offered);
    });
    this.#underWay.add(offered);
  }

  /** Until all that is due is taken: one to see whether there is room, then twice as many each time. */
  async #makeUp(): Promise<void> {
    await Promise.all(this.#underWay);
    this.#refused.sort((a, b) => a - b);
    for (let atOnce = 1; this.#refused.length > 0; ) {
      for (const due = this.#due; this.#next < due; this.#next += 1) this.#refused.push(this.#next);
      const offered = this.#refused.splice(0, atOnce);
      const taken = await Promise.all(offered.map((n) => this.#offer(n)));
      const refused = offered.filter((_, i) => !taken[i]);
      this.#refused = [...refused, ...this.#refused];
      atOnce = refused.length > 0 ? 1 : Math.min(2 * atOnce, AT_ONCE_MAX);
      if (refused.length > 0) await delay(FULL_RETRY_MS);
    }
  }
}
