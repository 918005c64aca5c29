/**
 * The frames that wait in a queue that is being looked at, oldest first, a handful at a time: memory
 * depends on none of their number. The queue's own reader finds them; each one's CRC is checked.
 *
 * A frame that is settled while it is being read may still come out: all that is said is true of
 * the moment of the view. A segment that has gone meanwhile is skipped: all in it was settled.
 */
import type { EpochState } from '#collector/producer/queue/epochs.ts';
import { QueueReadError } from '#collector/producer/queue/errors.ts';
import { PendingReader } from '#collector/producer/queue/pending-reader.ts';
import { segmentName } from '#collector/producer/queue/segment.ts';
import { isBefore, type Place } from '#collector/producer/queue/segment-index.ts';
import type { Epoch, Frame } from '#protocol/identity.ts';
import type { SeqRange } from '#protocol/settlement.ts';
import { systemCodeOf } from './errors.ts';
import type { QueueView } from './view.ts';

/** Which frames are wanted; what is left out doesn't matter. */
export interface Selection {
  /** What the epoch begins with. */
  readonly epoch?: string | undefined;
  readonly seqs?: SeqRange | undefined;
  /** Captured at or after, and before: microseconds since 1970 UTC. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

const BATCH_FRAMES = 4_096;
const BATCH_BYTES = 1_048_576;

interface Reading {
  /** How many are read at a time at most. */
  readonly framesMax?: number;
  /** Told of frames that should be there and don't read; they come out as damaged in the end. */
  readonly onUnreadable?: (epoch: Epoch, seqs: SeqRange) => void;
}

/** The selected frames that wait. Those of one batch share memory. */
export function* readFrames(
  view: QueueView,
  selection: Selection,
  { framesMax = BATCH_FRAMES, onUnreadable }: Reading = {},
): Generator<Frame[]> {
  const { from = 1, to = Number.POSITIVE_INFINITY } = selection.seqs ?? {};
  const epochs = view.epochs.inOrder.filter((state) => isSelected(state.epoch, selection));
  const [first, last] = [epochs[0], epochs.at(-1)];
  if (first === undefined || last === undefined) return;
  const end = { ordinal: last.ordinal, seq: to };
  let segments = view.segments;
  let place: Place = { ordinal: first.ordinal, seq: from - 1 };
  const reader = new PendingReader(view.files, view.path);
  const limits = { frames: Math.min(framesMax, BATCH_FRAMES), bytes: BATCH_BYTES };
  try {
    for (;;) {
      const read = readSome(reader, segments, place, limits);
      if ('gone' in read) {
        segments = segments.filter(({ number }) => !read.gone.endsWith(segmentName(number)));
        continue;
      }
      const { frames, missing } = read;
      for (const { state, from, to } of missing) onUnreadable?.(state.epoch, { from, to });
      const newest = frames.at(-1);
      const state = newest && view.epochs.get(newest.epoch);
      if (newest === undefined || state === undefined) return;
      const selected = frames.filter((frame) => matches(frame, selection));
      if (selected.length > 0) yield selected;
      place = { ordinal: state.ordinal, seq: newest.seq };
      if (!isBefore(place, end)) return;
    }
  } finally {
    reader.close();
  }
}

/** Frames behind a place, or the file that was to be read and is gone. */
function readSome(
  reader: PendingReader,
  ...[segments, place, limits]: Parameters<PendingReader['read']>
): Pick<ReturnType<PendingReader['read']>, 'frames' | 'missing'> | { readonly gone: string } {
  try {
    return reader.read(segments, place, limits);
  } catch (error) {
    if (error instanceof QueueReadError && systemCodeOf(error) === 'ENOENT')
      return { gone: error.file };
    throw error;
  }
}

/** The first frame behind a place; undefined when none waits there, or it can't be read. */
export function firstFrameBehind(
  view: QueueView,
  state: EpochState,
  seq: number,
): Frame | undefined {
  const reader = new PendingReader(view.files, view.path);
  try {
    const place = { ordinal: state.ordinal, seq };
    return reader.read(view.segments, place, { frames: 1, bytes: 0 }).frames[0];
  } catch (error) {
    if (error instanceof QueueReadError) return undefined;
    throw error;
  } finally {
    reader.close();
  }
}

function isSelected(epoch: Epoch, { epoch: prefix }: Selection): boolean {
  return prefix === undefined || epoch.startsWith(prefix);
}

function matches({ epoch, seq, capturedAt }: Frame, selection: Selection): boolean {
  const { from = 1, to = Number.POSITIVE_INFINITY } = selection.seqs ?? {};
  const { since = 0, until = Number.POSITIVE_INFINITY } = selection;
  return (
    isSelected(epoch, selection) &&
    seq >= from &&
    seq <= to &&
    capturedAt >= since &&
    capturedAt < until
  );
}
