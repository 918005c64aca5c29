/** One direction of one connection: the tracker, and behind it a stage for each rule. Sans-IO. */
import type { RuleInForce } from './rules.ts';
import { type Cut, type Output, type Place, type Stage, stageOf } from './stages.ts';
import { Tracker } from './tracker.ts';

export class Flow {
  readonly tracker = new Tracker();
  readonly #place: Omit<Place, 'ordinal'>;
  #stages: Stage[] = [];
  #bytes = 0;

  constructor(place: Omit<Place, 'ordinal'>) {
    this.#place = place;
  }

  /** As they came in. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `ordinal`: how many connections the rule had met before this one. */
  add(rule: RuleInForce, ordinal: number): void {
    const stage = stageOf(rule, { ...this.#place, ordinal });
    if (stage !== undefined) this.#stages.push(stage);
  }

  /** What is to be written in place of these bytes; behind a cut nothing follows. */
  push(chunk: Buffer): (Output | Cut)[] {
    this.#bytes += chunk.length;
    const released = this.#release(({ rule }) => rule.lifted);
    return endsHere(released)
      ? released
      : [...released, ...through(this.tracker.push(chunk), this.#stages)];
  }

  /** What is still held back, once nothing more comes. */
  flush(): (Output | Cut)[] {
    const out = through(this.tracker.flush(), this.#stages);
    return endsHere(out) ? out : [...out, ...this.#release(() => true)];
  }

  /** Takes these stages away, and passes on what they held back. */
  #release(gone: (stage: Stage) => boolean): (Output | Cut)[] {
    const out: (Output | Cut)[] = [];
    for (const [i, stage] of this.#stages.entries()) {
      if (!gone(stage) || endsHere(out)) continue;
      out.push(...through(stage.flush(), this.#stages.slice(i + 1)));
    }
    this.#stages = this.#stages.filter((stage) => !gone(stage));
    return out;
  }
}

function endsHere(out: readonly (Output | Cut)[]): boolean {
  const last = out.at(-1);
  return last !== undefined && 'cut' in last;
}

function through(spans: readonly Output[], stages: readonly Stage[]): (Output | Cut)[] {
  let out: (Output | Cut)[] = [...spans];
  for (const stage of stages) {
    const next: (Output | Cut)[] = [];
    for (const one of out) {
      next.push(...('cut' in one ? [one] : stage.take(one)));
      if (endsHere(next)) break;
    }
    out = next;
  }
  return out;
}
