/**
 * What is to become of each segment file that an opening finds: judged from what it says, from those
 * before it and from the checkpoint. Pure: `recovery.ts` does what is judged, and whoever only looks
 * at a queue (`collector/tools/`) takes it as done.
 *
 * Segments are judged in ascending order, and each that stays is to be kept here before the next.
 */
import { SettledRanges } from '#protocol/settlement.ts';
import type { Checkpoint } from './checkpoint.ts';
import { SEGMENT_HEADER_BYTES } from './segment.ts';
import { isEmpty, type SegmentFacts } from './segment-facts.ts';

export type Verdict =
  /** It is as the queue left it. */
  | { readonly kind: 'keep' }
  /** A crash left it before its header was whole: nothing was ever confirmed in it. */
  | { readonly kind: 'remove' }
  /** Behind `end` lie bytes that no append was confirmed for. */
  | { readonly kind: 'cut'; readonly end: number }
  /** No record of it belongs to this queue, or none reads. `what` completes "the file …". */
  | {
      readonly kind: 'set-aside';
      readonly why: 'foreign' | 'newer' | 'damaged';
      readonly what: string;
    }
  /** Some of it can't be read; its good records are to take its place. */
  | { readonly kind: 'repair' };

export class Judge {
  readonly #checkpoint: Checkpoint | undefined;
  readonly #kept: SegmentFacts[] = [];
  /** The last seq that was found of each epoch, in file order. */
  readonly #lastSeqs = new Map<string, number>();

  constructor(checkpoint: Checkpoint | undefined) {
    this.#checkpoint = checkpoint;
  }

  /** What the segments that stay say, in ascending order. */
  get kept(): readonly SegmentFacts[] {
    return this.#kept;
  }

  /** @param isLast There is no segment with a higher number. */
  judge(facts: SegmentFacts, isLast: boolean): Verdict {
    const { header, number, bytes } = facts;
    if (header.state === 'newer') {
      const what = `was written in format version ${header.version}`;
      return { kind: 'set-aside', why: 'newer', what };
    }
    if (header.state === 'good' && header.number !== number) {
      return { kind: 'set-aside', why: 'foreign', what: `calls itself segment ${header.number}` };
    }
    if (isLast && bytes <= SEGMENT_HEADER_BYTES && header.state === 'bad') {
      return { kind: 'remove' };
    }
    if (isLast && isTorn(facts) && !this.#lacksConfirmed(facts)) {
      return { kind: 'cut', end: facts.damage[0]?.offset ?? bytes };
    }
    const isDamaged = header.state === 'bad' || facts.damage.length > 0;
    if (isEmpty(facts) && isDamaged) {
      const why = header.state === 'bad' ? 'foreign' : 'damaged';
      return { kind: 'set-aside', why, what: 'holds no record that can be read' };
    }
    if (!this.#follows(facts)) {
      const what = 'holds frames that other segments hold, too';
      return { kind: 'set-aside', why: 'foreign', what };
    }
    return { kind: isDamaged ? 'repair' : 'keep' };
  }

  /** Takes in a segment that stays, as it is once its verdict is done. */
  keep(facts: SegmentFacts): void {
    this.#kept.push(facts);
    for (const { epoch, to } of facts.runs) this.#lastSeqs.set(epoch, to);
  }

  /** True when its frames come behind those of the segments before it. */
  #follows(facts: SegmentFacts): boolean {
    const lastEpoch = [...this.#lastSeqs.keys()].at(-1);
    return facts.runs.every(({ epoch, from }, i) => {
      const lastSeq = this.#lastSeqs.get(epoch);
      if (lastSeq === undefined) return true;
      const earlierInFile = facts.runs.slice(0, i).every((run) => run.epoch === epoch);
      return epoch === lastEpoch && earlierInFile && from > lastSeq;
    });
  }

  /** True when the checkpoint knows of a confirmed frame that should be here and isn't. */
  #lacksConfirmed(facts: SegmentFacts): boolean {
    const newest = this.#checkpoint?.epochs.at(-1);
    if (newest === undefined) return false;
    const accounted = new SettledRanges(newest.settled);
    for (const { epoch, from, to } of [...this.#kept, facts].flatMap(({ gaps }) => gaps)) {
      if (epoch === newest.epoch) accounted.add({ from, to, state: 'declared', code: 0 });
    }
    const here = facts.runs.findLast(({ epoch }) => epoch === newest.epoch)?.to;
    const found = here ?? this.#lastSeqs.get(newest.epoch) ?? 0;
    return newest.highest > found && accounted.unsettled(found + 1, newest.highest).length > 0;
  }
}

/**
 * True when nothing but the end of the file is no good record, and the disk gives it back: what it
 * refuses may have been whole, confirmed records.
 */
function isTorn(facts: SegmentFacts): boolean {
  const [first, ...others] = facts.damage;
  return (
    facts.header.state === 'good' &&
    first?.refused === false &&
    others.length === 0 &&
    first.end === facts.bytes
  );
}
