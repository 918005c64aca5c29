/**
 * Settlement: which seqs of an epoch will never be sent again, and why.
 *
 * Lives here: the states, their codes, and a set of ranges that obeys the rules below. It is the
 * same on both ends: the server keeps it in its store, the collector remembers it.
 *
 * The states form a chain, declared < rejected < stored < pruned, and adding a range takes the
 * higher of the two for each seq. So the order in which facts arrive, and how often, never changes
 * the outcome: stored beats declared in either order, and what was pruned never returns. Between
 * equal states the lower code stands, which keeps that true for the reasons too.
 */

export const SETTLED_STATES = ['declared', 'rejected', 'stored', 'pruned'] as const;
type SettledState = (typeof SETTLED_STATES)[number];

/** Why a collector gave frames up. The numbers are on the wire and on disk: append only. */
export const GAP_REASONS = {
  /** The queue was full and its oldest frames had to go. */
  evicted: 1,
  /** Older than the age that the queue keeps. */
  expired: 2,
  /** The bytes on the collector's disk no longer match their checksum, or are gone. */
  damaged: 3,
  /** The server had confirmed them and has lost them since; the collector no longer holds them. */
  lost_after_ack: 4,
  /** They were settled in another store, which this server's isn't. */
  settled_elsewhere: 5,
  /** The collector's disk was full. */
  disk_full: 6,
  /** An operator dropped them. */
  dropped: 7,
} as const;
export type GapReason = keyof typeof GAP_REASONS;

/** Why the server refuses a frame for good. The numbers are on the wire and on disk: append only. */
export const REJECT_CODES = {
  /** The frame's own CRC doesn't match although the message's does: damaged before it was sent. */
  crc: 1,
  /** The payload is over the server's limit. */
  too_large: 2,
  /** Another frame with other bytes is stored under the same identity. */
  conflict: 3,
} as const;
export type RejectCode = keyof typeof REJECT_CODES;

/** A run of seqs, both ends included. */
export interface SeqRange {
  readonly from: number;
  readonly to: number;
}

/** How many seqs are in ranges that don't overlap. */
export function countSeqs(ranges: readonly SeqRange[]): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0);
}

/** A run of seqs with one fate. `code` is a GAP_REASONS or REJECT_CODES number, else 0. */
export interface SettledRange extends SeqRange {
  readonly state: SettledState;
  readonly code: number;
}

/** The name of a settled range's code: a gap reason, a reject code, or nothing for the others. */
export function settledReason(range: Pick<SettledRange, 'state' | 'code'>): string | undefined {
  if (range.state === 'declared') return nameOf(GAP_REASONS, range.code);
  if (range.state === 'rejected') return nameOf(REJECT_CODES, range.code);
  return undefined;
}

/** Names a number of one of the tables above; numbers from a newer peer come out as `code_N`. */
function nameOf(table: Readonly<Record<string, number>>, code: number): string {
  return Object.keys(table).find((name) => table[name] === code) ?? `code_${code}`;
}

const RANK: Readonly<Record<SettledState, number>> = {
  declared: 0,
  rejected: 1,
  stored: 2,
  pruned: 3,
};

/** True when `a` stands against `b` for a seq that both speak of. */
function stands(a: SettledRange, b: SettledRange): boolean {
  if (a.state !== b.state) return RANK[a.state] > RANK[b.state];
  return a.code <= b.code;
}

function sameFate(a: SettledRange, b: SettledRange): boolean {
  return a.state === b.state && a.code === b.code;
}

/** More are put in place of others by making the list anew. */
const SPLICED_MAX = 1_024;

/**
 * The settled ranges of one epoch: sorted, disjoint, and with neighbours of the same fate merged.
 * Adding costs a binary search plus the ranges that it touches, so the usual case (the next seq
 * after the last range) is cheap however long the epoch.
 */
export class SettledRanges {
  #ranges: SettledRange[] = [];

  constructor(ranges: Iterable<SettledRange> = []) {
    for (const range of ranges) this.add(range);
  }

  get ranges(): readonly SettledRange[] {
    return this.#ranges;
  }

  /** How many seqs are settled. */
  get count(): number {
    return this.#ranges.reduce((sum, range) => sum + (range.to - range.from + 1), 0);
  }

  /** The range that holds `seq`, if it is settled. */
  find(seq: number): SettledRange | undefined {
    const range = this.#ranges[this.#firstEndingAt(seq)];
    return range !== undefined && range.from <= seq ? range : undefined;
  }

  has(seq: number): boolean {
    return this.find(seq) !== undefined;
  }

  /** Settles a range. Answers true when any seq's fate changed. */
  add(added: SettledRange): boolean {
    const start = this.#firstEndingAt(added.from - 1);
    let end = start;
    const touched: SettledRange[] = [];
    for (let range = this.#ranges[end]; range && range.from <= added.to + 1; ) {
      touched.push(range);
      end += 1;
      range = this.#ranges[end];
    }
    const joined = join(touched, added);
    const changed = !equal(joined, touched);
    if (changed) this.#replace(start, end, joined);
    return changed;
  }

  /** Takes the seqs of [from, to] out again: for a holder that learns that a store has lost them. */
  forget({ from, to }: SeqRange): void {
    const start = this.#firstEndingAt(from);
    const touched = this.within(from, to).length;
    if (touched === 0) return;
    const rest = this.#ranges
      .slice(start, start + touched)
      .flatMap((range) => [
        { ...range, to: Math.min(range.to, from - 1) },
        { ...range, from: Math.max(range.from, to + 1) },
      ])
      .filter((range) => range.from <= range.to);
    this.#replace(start, start + touched, rest);
  }

  /** The runs within [from, to] that nothing has settled, in order. */
  unsettled(from: number, to: number): SeqRange[] {
    const open: SeqRange[] = [];
    let next = from;
    for (let i = this.#firstEndingAt(from); next <= to; i += 1) {
      const range = this.#ranges[i];
      if (range === undefined || range.from > to) break;
      if (range.from > next) open.push({ from: next, to: range.from - 1 });
      next = range.to + 1;
    }
    if (next <= to) open.push({ from: next, to });
    return open;
  }

  /** The settled ranges cut to [from, to], in order; none where `from` is behind `to`. */
  within(from: number, to: number): SettledRange[] {
    const cut: SettledRange[] = [];
    if (from > to) return cut;
    for (let i = this.#firstEndingAt(from); ; i += 1) {
      const range = this.#ranges[i];
      if (range === undefined || range.from > to) return cut;
      cut.push({ ...range, from: Math.max(range.from, from), to: Math.min(range.to, to) });
    }
  }

  /** In place where that is possible: a call takes only some ten thousands of arguments. */
  #replace(start: number, end: number, ranges: readonly SettledRange[]): void {
    if (ranges.length <= SPLICED_MAX) this.#ranges.splice(start, end - start, ...ranges);
    else this.#ranges = this.#ranges.slice(0, start).concat(ranges, this.#ranges.slice(end));
  }

  /** The index of the first range whose end is at or after `seq`. */
  #firstEndingAt(seq: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ranges[middle]?.to ?? Number.POSITIVE_INFINITY) < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Joins sorted disjoint ranges with one more, seq by seq, and merges equal neighbours. */
function join(sorted: readonly SettledRange[], added: SettledRange): SettledRange[] {
  const result: SettledRange[] = [];
  const push = (range: SettledRange): void => {
    if (range.from > range.to) return;
    const last = result.at(-1);
    if (last !== undefined && last.to + 1 === range.from && sameFate(last, range)) {
      result[result.length - 1] = { ...last, to: range.to };
    } else {
      result.push(range);
    }
  };
  let next = added.from;
  for (const range of sorted) {
    if (range.from > next) {
      const to = Math.min(range.from - 1, added.to);
      push({ ...added, from: next, to });
      next = Math.max(next, to + 1);
    }
    push({ ...range, to: Math.min(range.to, added.from - 1) });
    const from = Math.max(range.from, added.from);
    const to = Math.min(range.to, added.to);
    if (from <= to) {
      push({ ...(stands(range, added) ? range : added), from, to });
      next = to + 1;
    }
    push({ ...range, from: Math.max(range.from, added.to + 1) });
  }
  push({ ...added, from: next });
  return result;
}

function equal(a: readonly SettledRange[], b: readonly SettledRange[]): boolean {
  return (
    a.length === b.length &&
    a.every((range, i) => {
      const other = b[i];
      return (
        other !== undefined &&
        range.from === other.from &&
        range.to === other.to &&
        sameFate(range, other)
      );
    })
  );
}
