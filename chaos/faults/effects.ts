/**
 * What faults do: signs that a pipeline without the fault doesn't show, on any ground and under any
 * load, be it one frame a second. Each waits for its sign, says in words what was seen, and rejects
 * when there is nothing to see. Signs of programs that end or stand still are `process-effects.ts`,
 * those that a connection of our own sees on the link are `link-effects.ts`.
 */
import type { Effect } from './fault.ts';

const STANDSTILL_MS = 1_000;
/** So many more must have been accepted meanwhile: a link in order would have brought the first. */
const STANDSTILL_FRAMES = 2;
const BACKLOG_SECONDS = 1.5;
const BACKLOG_FRAMES_MIN = 5;
/** Over so long the load is measured. */
const RATE_MS = 2_000;

/** Whichever shows first; the others are called off. Rejects with all reasons when none does. */
export function anyOf(...signs: readonly Effect[]): Effect {
  return async (scene) => {
    const seen = new AbortController();
    const signal = AbortSignal.any([scene.signal, seen.signal]);
    try {
      return await Promise.any(signs.map((sign) => sign({ ...scene, signal })));
    } catch (error) {
      if (!(error instanceof AggregateError)) throw error;
      throw new Error(error.errors.map(messageOf).join('; and '), { cause: error });
    } finally {
      seen.abort();
    }
  };
}

/** One after the other; all have to show. */
export function allOf(...signs: readonly Effect[]): Effect {
  return async (scene) => {
    const seen: string[] = [];
    for (const sign of signs) seen.push(await sign(scene));
    return seen.join('; ');
  };
}

/** The store takes nothing while frames are accepted. Needs a server that answers. */
export const standstill: Effect = async ({ observer }) => {
  const accepted = () => observer.statuses.at(-1)?.document.counters.accepted ?? 0;
  const still = new Still();
  await observer.audit(`the store stands still for ${STANDSTILL_MS} ms, under load`, (audit) =>
    still.isSeen(audit, audit.totals.stored, accepted()),
  );
  return `the store stood at ${still.describe()}`;
};

/** The source hears of nothing stored while it accepts frames. Needs a source that answers. */
export const silence: Effect = async ({ observer }) => {
  const still = new Still();
  await observer.status(`nothing is acked for ${STANDSTILL_MS} ms, under load`, (status) =>
    still.isSeen(status, status.counters.acked, status.counters.accepted),
  );
  return `acks stood at ${still.describe()}`;
};

/** The store takes nothing of a source that can't be asked. */
export const starved: Effect = async ({ observer }) => {
  const still = new Still(0);
  await observer.audit(`the store stands still for ${STANDSTILL_MS} ms`, (audit) =>
    still.isSeen(audit, audit.totals.stored, 0),
  );
  return `the store stood at ${still.describe()}`;
};

/** Standing still, with an error of this kind at the source. */
export function failing(codes: readonly string[]): Effect {
  return async (scene) => {
    const { last_error } = await scene.observer.status(
      `the link fails with ${codes.join(' or ')}`,
      ({ state, last_error }) => state !== 'Ready' && codes.includes(last_error?.code ?? ''),
    );
    return `${last_error?.code}; ${await standstill(scene)}`;
  };
}

/** Less gets through than comes in: more waits than comes in a second and a half. */
export const backlog: Effect = async ({ observer }) => {
  const begin = await observer.status('there is a status', () => true);
  const beganMs = performance.now();
  let owed = Infinity;
  const { queue } = await observer.status(
    `more waits than comes in ${BACKLOG_SECONDS} s`,
    ({ counters, queue: { frames } }) => {
      const ms = performance.now() - beganMs;
      const accepted = counters.accepted - begin.counters.accepted;
      owed = Math.max(BACKLOG_FRAMES_MIN, (BACKLOG_SECONDS * 1_000 * accepted) / ms);
      // A backlog that was there before is none of the fault's, as long as it gets less.
      return ms >= RATE_MS && frames >= Math.max(owed, begin.queue.frames);
    },
  );
  return `${queue.frames} frames waited, where ${Math.round(owed)} come in ${BACKLOG_SECONDS} s`;
};

/** Connection after connection is lost. */
export function reconnects(more: number): Effect {
  return async ({ observer }) => {
    const before = await observer.status('there is a status', () => true);
    const from = before.counters.connections;
    const { counters } = await observer.status(
      `${more} more connections were made`,
      ({ counters: { connections } }) => connections >= from + more,
    );
    return `${counters.connections - from} connections were made`;
  };
}

/** A number that stays what it is, in answers so far apart, while another one grows. */
class Still {
  readonly #framesMin: number;
  #answer: unknown;
  #value = -1;
  #sinceMs = 0;
  #ms = 0;
  #accepted = 0;
  #more = 0;

  constructor(framesMin = STANDSTILL_FRAMES) {
    this.#framesMin = framesMin;
  }

  /** Asked over and over; only another answer says something. */
  isSeen(answer: unknown, value: number, accepted: number): boolean {
    if (answer === this.#answer) return false;
    this.#answer = answer;
    const nowMs = performance.now();
    // A source that was started anew counts from 0.
    if (value !== this.#value || accepted < this.#accepted) {
      this.#value = value;
      this.#sinceMs = nowMs;
      this.#accepted = accepted;
    }
    this.#ms = nowMs - this.#sinceMs;
    this.#more = accepted - this.#accepted;
    return this.#ms >= STANDSTILL_MS && this.#more >= this.#framesMin;
  }

  describe(): string {
    const more = this.#framesMin > 0 ? `, and ${this.#more} more were accepted` : '';
    return `${this.#value} frames for ${Math.round(this.#ms)} ms${more}`;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
