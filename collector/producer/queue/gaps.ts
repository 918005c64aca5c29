/**
 * The gaps that the server does not know of yet, and in which segment each is written down.
 *
 * Invariant: each listed gap is covered whole by one record, in the segment `home`, or is unwritten.
 * A gap that grows is written anew as a whole; so the records of its parts are not needed any more.
 * The server may hear of an unwritten gap: should a crash forget it, the frames are still on disk,
 * or were never accepted.
 */
import { GAP_REASONS } from '#protocol/settlement.ts';
import type { EpochState } from './epochs.ts';
import type { Gap } from './types.ts';

interface KeptGap extends Gap {
  readonly state: EpochState;
  /** The number of the segment that holds its record durably; `undefined` while it is unwritten. */
  readonly home: number | undefined;
}

export class Gaps {
  #kept: KeptGap[] = [];
  #unwritten = 0;

  /** Takes in a gap that is recorded in segment `home`, if in any; drops those that it covers. */
  add(state: EpochState, gap: Gap, home?: number): void {
    state.declare(gap, GAP_REASONS[gap.reason]);
    const others = this.#kept.filter(
      (kept) => kept.state !== state || kept.from < gap.from || kept.to > gap.to,
    );
    this.#keep([...others, { ...gap, state, home }]);
  }

  get anyUnwritten(): boolean {
    return this.#unwritten > 0;
  }

  /** Those whose record is still to be written, or was not made durable. */
  get unwritten(): readonly KeptGap[] {
    return this.#kept.filter(({ home }) => home === undefined);
  }

  /** All that were unwritten are durable in segment `home` now. */
  onWritten(home: number): void {
    this.#keep(this.#kept.map((gap) => ({ ...gap, home: gap.home ?? home })));
  }

  /** The gap to be written for [from, to]: joined with kept ones that touch it. */
  joined(state: EpochState, gap: Gap): Gap {
    let { from, to } = gap;
    for (const kept of this.#kept) {
      if (kept.state !== state || kept.reason !== gap.reason) continue;
      if (kept.from <= to + 1 && kept.to >= from - 1) {
        from = Math.min(from, kept.from);
        to = Math.max(to, kept.to);
      }
    }
    return { epoch: state.epoch, from, to, reason: gap.reason };
  }

  /** Forgets the gaps that the server has settled as a whole. */
  dropSettled(): void {
    this.#keep(this.#kept.filter(({ state, from, to }) => state.unsettled(from, to).length > 0));
  }

  /** The gaps whose record is in this segment. */
  homedIn(segment: number): readonly KeptGap[] {
    return this.#kept.filter((gap) => gap.home === segment);
  }

  /** Says the kept gaps of an epoch again that has forgotten them. */
  declareAgain(state: EpochState): void {
    for (const gap of this.#kept) {
      if (gap.state === state) state.declare(gap, GAP_REASONS[gap.reason]);
    }
  }

  /** What the server is still to be told, oldest epoch first. */
  pending(): Gap[] {
    return this.#kept
      .toSorted((a, b) => a.state.ordinal - b.state.ordinal || a.from - b.from)
      .flatMap(({ state, from, to, reason }) =>
        state.unsettled(from, to).map((run) => ({ epoch: state.epoch, ...run, reason })),
      );
  }

  #keep(gaps: KeptGap[]): void {
    this.#kept = gaps;
    this.#unwritten = this.unwritten.length;
  }
}
