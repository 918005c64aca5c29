/**
 * What is not stored of one collector, each run between the capture times of its stored neighbours: so
 * that a chart can show where it lies. The rule of what is pending and what is missing is the audit's.
 *
 * Invariant: the work is bounded by what is looked at, never by how much is stored. Settled runs are read
 * from their newest end, and stop when enough was found: neighbours of the same fate are one row, so
 * of two rows one at least is a gap or has one beside it. The neighbours in time are two lookups by key.
 */
import { type SeqRange, settledReason } from '#protocol/settlement.ts';
import { lastOf, type StreamExtent, unsettledOf } from './audit.ts';
import { settledRangeOf } from './settled-table.ts';
import type { Prepare } from './statements.ts';
import type { GapQuery, PlacedGap, PlacedGaps, StreamId } from './store.ts';

/** In one answer. */
const GAPS_MAX = 1_000;
/** Epochs and gaps, those outside the times that are asked for among them. */
const LOOKED_AT_MAX = 5_000;
/** The newest ones of a collector. */
const EPOCHS_MAX = 1_000;

/** Behind every seq. */
const BEYOND = 2 ** 53;

/** A gap that has no place in time yet. */
type Unplaced = SeqRange & Pick<PlacedGap, 'kind' | 'reason'>;

export function findGaps(prepared: Prepare, query: GapQuery): PlacedGaps {
  const { epochs, cut } = epochsOf(prepared, query.collector);
  const neighbours = new Neighbours(prepared, epochs);
  const gaps: PlacedGap[] = [];
  let lookedAt = 0;
  for (const [place, { stream, extent }] of epochs.entries()) {
    lookedAt += 1;
    for (const gap of unstoredOf(prepared, stream, extent)) {
      lookedAt += 1;
      if (gaps.length >= GAPS_MAX || lookedAt > LOOKED_AT_MAX) return { gaps, complete: false };
      const capturedAfter = neighbours.below(place, gap.from);
      const capturedBefore = neighbours.above(place, gap.to);
      const placed = { ...gap, epoch: extent.epoch, capturedAfter, capturedBefore };
      if (mayLieWithin(placed, query)) gaps.push(placed);
    }
  }
  return { gaps, complete: !cut };
}

/** Of a row of the table `streams`. */
export function extentOf(row: Record<string, unknown>): StreamExtent {
  return {
    epoch: String(row.epoch),
    lowest: Number(row.lowest),
    highest: Number(row.highest),
    lastNamed: Number(row.last_named),
    held: row.held === 1,
  };
}

interface StoredEpoch {
  readonly stream: StreamId;
  readonly extent: StreamExtent;
}

/** Newest first; `cut` where there are older ones than these. */
function epochsOf(prepared: Prepare, collector: string) {
  const rows = prepared(`
    SELECT id, epoch, lowest, highest, last_named, held FROM streams
    WHERE collector = ? ORDER BY epoch DESC LIMIT ${EPOCHS_MAX + 1}`).all(collector);
  const epochs = rows
    .slice(0, EPOCHS_MAX)
    .map((row): StoredEpoch => ({ stream: Number(row.id), extent: extentOf(row) }));
  return { epochs, cut: rows.length > EPOCHS_MAX };
}

/** Of one epoch, highest seqs first. */
function* unstoredOf(
  prepared: Prepare,
  stream: StreamId,
  extent: StreamExtent,
): Generator<Unplaced> {
  const rows = prepared(
    'SELECT first, last, state, code FROM settled WHERE stream_id = ? ORDER BY first DESC',
  ).iterate(stream);
  /** Up to where nothing was looked at yet. */
  let open: number | undefined;
  for (const row of rows) {
    const run = settledRangeOf(row);
    const { from, to, state } = run;
    yield* unsettledWithin(extent, to + 1, open ?? lastOf(extent, to));
    if (state !== 'stored') yield { kind: state, from, to, reason: settledReason(run) };
    open = from - 1;
  }
  yield* unsettledWithin(extent, 1, open ?? lastOf(extent, 0));
}

function unsettledWithin(extent: StreamExtent, from: number, to: number): Unplaced[] {
  if (from > to) return [];
  const parts = unsettledOf(extent, { from, to }).reverse();
  return parts.map((part) => ({ ...part, reason: undefined }));
}

/** A side on which nothing is stored has no end. */
function mayLieWithin({ capturedAfter, capturedBefore }: PlacedGap, query: GapQuery): boolean {
  const sides = [
    capturedAfter ?? Number.NEGATIVE_INFINITY,
    capturedBefore ?? Number.POSITIVE_INFINITY,
  ];
  const from = query.capturedFrom ?? Number.NEGATIVE_INFINITY;
  const before = query.capturedBefore ?? Number.POSITIVE_INFINITY;
  return Math.max(...sides) >= from && Math.min(...sides) < before;
}

const LOWER =
  'SELECT captured_at FROM frames WHERE stream_id = ? AND seq < ? ORDER BY seq DESC LIMIT 1';
const HIGHER =
  'SELECT captured_at FROM frames WHERE stream_id = ? AND seq > ? ORDER BY seq LIMIT 1';

/**
 * Capture times of the stored frames next to a place: in its epoch, or else at the nearest end of an epoch
 * that has any. Places are asked for epoch by epoch, newest first; so each epoch's ends are looked up once.
 */
class Neighbours {
  readonly #prepared: Prepare;
  readonly #epochs: readonly StoredEpoch[];
  /** The nearest older epoch with a stored frame, and the time of its last one. */
  #older: { readonly place: number; readonly time: number | undefined } = {
    place: 0,
    time: undefined,
  };
  /** Of the epochs newer than a place the nearest one's first stored frame. */
  #newer: { readonly place: number; readonly time: number | undefined } = {
    place: 0,
    time: undefined,
  };

  constructor(prepared: Prepare, epochs: readonly StoredEpoch[]) {
    this.#prepared = prepared;
    this.#epochs = epochs;
  }

  below(place: number, seq: number): number | undefined {
    return this.#capturedAt(LOWER, place, seq) ?? this.#lastBefore(place);
  }

  above(place: number, seq: number): number | undefined {
    return this.#capturedAt(HIGHER, place, seq) ?? this.#firstBehind(place);
  }

  #lastBefore(place: number): number | undefined {
    if (this.#older.place <= place) {
      let older = place;
      let time: number | undefined;
      while (time === undefined && older < this.#epochs.length) {
        older += 1;
        time = this.#capturedAt(LOWER, older, BEYOND);
      }
      this.#older = { place: older, time };
    }
    return this.#older.time;
  }

  #firstBehind(place: number): number | undefined {
    let { place: newer, time } = this.#newer;
    for (; newer < place; newer += 1) time = this.#capturedAt(HIGHER, newer, 0) ?? time;
    this.#newer = { place, time };
    return time;
  }

  #capturedAt(sql: string, place: number, seq: number): number | undefined {
    const epoch = this.#epochs[place];
    const row = epoch && this.#prepared(sql).get(epoch.stream, seq);
    return row && Number(row.captured_at);
  }
}
