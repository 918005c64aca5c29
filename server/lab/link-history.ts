/**
 * How the link stands, and the faults that it had, from one look at it to the next. Pure: who looks,
 * and when, is `lab.ts`; where the faults are kept is `history-file.ts`.
 *
 * Invariants: faults are told oldest first and never overlap; only the last one can be going on; their
 * number is capped, and the oldest go. A clock that was set back makes a fault short, never negative.
 */

import { isDeepStrictEqual } from 'node:util';

/** `unknown`: Toxiproxy did not say. */
export type LinkCondition = 'whole' | 'slow' | 'cut' | 'unknown';

/** What one look has shown. */
export interface Sight {
  readonly state: LinkCondition;
  /** What is on the link, in words, one each; empty where that is nothing, or not known. */
  readonly details: readonly string[];
  /** Why it is unknown; null where it is not. */
  readonly error: string | null;
}

/** How the link stands; `since` when, in microseconds since 1970 UTC. */
export interface LinkReport extends Sight {
  readonly since: number;
}

/** Times in microseconds since 1970 UTC; `to` is null while it goes on. */
export interface LinkFault {
  readonly from: number;
  readonly to: number | null;
  readonly state: Exclude<LinkCondition, 'whole'>;
  /** As they were when it began. */
  readonly details: readonly string[];
}

/** Some 100 KB as text. */
export const FAULTS_MAX = 500;

export class LinkHistory {
  readonly #faults: LinkFault[];
  /** When a fault that an earlier run left going on was last seen, until the first look. */
  #leftAt: number | undefined;
  /** Toxiproxy has answered since the start. */
  #isKnown = false;
  #report: LinkReport;

  /**
   * Nothing is known of the link until the first look.
   * @param now microseconds since 1970 UTC.
   * @param left the faults that an earlier run has kept, and when it last looked.
   */
  constructor(now: number, left: { faults: readonly LinkFault[]; seenAt: number } | undefined) {
    this.#faults = left?.faults.slice(-FAULTS_MAX) ?? [];
    this.#leftAt = left?.seenAt;
    const error = 'Toxiproxy has not been asked yet';
    this.#report = { state: 'unknown', details: [], error, since: now };
  }

  get report(): LinkReport {
    return this.#report;
  }

  get faults(): readonly LinkFault[] {
    return this.#faults;
  }

  /** The fault that goes on. */
  get current(): LinkFault | undefined {
    const last = this.#faults.at(-1);
    return last?.to === null ? last : undefined;
  }

  /** Takes note of what was seen at `at`. Answers what has become different. */
  onSight(at: number, sight: Sight): { readonly report: boolean; readonly faults: boolean } {
    const before = this.#report;
    // Server and Toxiproxy start together: to wait for its first answer is no fault.
    this.#isKnown ||= sight.state !== 'unknown';
    const faults = this.#isKnown && this.#note(at, sight);
    this.#report = { ...sight, since: this.#since(at, sight.state) };
    return { report: !isDeepStrictEqual(before, this.#report), faults };
  }

  #since(at: number, state: LinkCondition): number {
    if (!this.#isKnown) return this.#report.since;
    if (state !== 'whole') return this.current?.from ?? at;
    return this.#report.state === 'whole' ? this.#report.since : (this.#faults.at(-1)?.to ?? at);
  }

  #note(at: number, { state, details }: Sight): boolean {
    const { current } = this;
    if (current === undefined) {
      if (state === 'whole') return false;
    } else {
      if (isSame(current, state, details)) {
        this.#leftAt = undefined;
        return false;
      }
      // Where nobody looked for a while, it is told for as long as it was seen.
      const ended = Math.max(current.from, Math.min(at, this.#leftAt ?? at));
      this.#leftAt = undefined;
      this.#faults[this.#faults.length - 1] = { ...current, to: ended };
    }
    if (state !== 'whole') {
      const from = Math.max(at, this.#faults.at(-1)?.to ?? at);
      this.#faults.push({ from, to: null, state, details });
      if (this.#faults.length > FAULTS_MAX) this.#faults.shift();
    }
    return true;
  }
}

/** What slows a cut link makes no difference, and why Toxiproxy is silent is no other fault. */
function isSame(fault: LinkFault, state: LinkCondition, details: readonly string[]): boolean {
  if (fault.state !== state) return false;
  return state !== 'slow' || isDeepStrictEqual(fault.details, details);
}
