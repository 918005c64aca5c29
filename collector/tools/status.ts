/** A queue in figures, as its files say: what `queue status` shows. Reads indexes, not frames. */
import { keptCollectorId } from '#collector/producer/queue/identity-file.ts';
import { SET_ASIDE } from '#collector/producer/queue/repair.ts';
import { loadSending, type Sending } from '#collector/producer/queue/sending-file.ts';
import type { Gap } from '#collector/producer/queue/types.ts';
import { countDeadLetters, type DeadLetterCounts } from './dead-letters.ts';
import { firstFrameBehind } from './frames.ts';
import { pendingCount, type QueueView, tailBytes, usedBytes } from './view.ts';

export interface QueueStatus {
  readonly collector: string | undefined;
  /** The store that settled what is settled. */
  readonly storeId: string | undefined;
  /** Oldest first; without those that nothing is known of but their name. */
  readonly epochs: readonly EpochStatus[];
  readonly frames: number;
  /** Microseconds since 1970 UTC. */
  readonly oldestCapturedAt: number | undefined;
  readonly newestCapturedAt: number | undefined;
  readonly segments: number;
  /** As the queue counts them against its limit. */
  readonly bytes: number;
  /** What of these bytes is settled and kept. */
  readonly keptBytes: number;
  /** Given up, and the server has not heard of it yet. */
  readonly gaps: readonly Gap[];
  /** Neither settled nor given up nor on disk: the next start declares them damaged. */
  readonly missing: readonly Omit<Gap, 'reason'>[];
  /** Behind the last whole record: a write under way, or what a crash left of one. */
  readonly tailBytes: number;
  /** Files that are damaged or don't belong here, in words. */
  readonly problems: readonly string[];
  readonly setAside: readonly string[];
  readonly deadLetters: DeadLetterCounts;
  readonly sending: Sending | undefined;
}

interface EpochStatus {
  readonly epoch: string;
  readonly highest: number;
  readonly pending: number;
}

export function statusOf(view: QueueView): QueueStatus {
  const { segments, gaps, missing, epochs, checkpoint, files } = view;
  const frames = pendingCount(view);
  const missingOf = new Map<string, number>();
  for (const { state, from, to } of missing) {
    missingOf.set(state.epoch, (missingOf.get(state.epoch) ?? 0) + to - from + 1);
  }
  const done = segments.filter(
    (segment) => segment.isDone && gaps.homedIn(segment.number).length === 0,
  );
  const oldest = epochs.inOrder.find(({ pendingFrames }) => pendingFrames > 0);
  const newest = epochs.inOrder.findLast(({ pendingFrames }) => pendingFrames > 0);
  return {
    collector: keptCollectorId(files),
    storeId: checkpoint.state === 'loaded' ? checkpoint.checkpoint.storeId : undefined,
    epochs: epochs.inOrder.map(({ epoch, highest, pendingFrames }) => ({
      epoch,
      highest,
      pending: pendingFrames - (missingOf.get(epoch) ?? 0),
    })),
    frames,
    oldestCapturedAt: oldest && firstFrameBehind(view, oldest, 0)?.capturedAt,
    newestCapturedAt: newest && newestCapturedAt(view),
    segments: segments.length,
    bytes: usedBytes(segments),
    keptBytes: usedBytes(done),
    gaps: gaps.pending(),
    missing: missing.map(({ state, from, to }) => ({ epoch: state.epoch, from, to })),
    tailBytes: tailBytes(view),
    problems: problemsOf(view),
    setAside: files.list(SET_ASIDE).sort(),
    deadLetters: countDeadLetters(files),
    sending: loadSending(files),
  };
}

/** What is wrong with files, as far as it shows without reading every byte. */
export function problemsOf({ checkpoint, found }: QueueView): string[] {
  const problems: string[] = [];
  if (checkpoint.state === 'unreadable') {
    problems.push(`checkpoint: can't be used: ${checkpoint.why}`);
  }
  for (const { name, verdict, facts } of found) {
    if (verdict.kind === 'set-aside') problems.push(`${name}: ${verdict.what}`);
    if (verdict.kind === 'repair') problems.push(`${name}: damaged; ${facts.frames} frames read`);
  }
  return problems;
}

/** Of the last frame that waits: it lies behind the last place that is known of its segment. */
function newestCapturedAt(view: QueueView): number | undefined {
  const last = view.segments.findLast(({ isDone }) => !isDone);
  const run = last?.runs.findLast(({ state, from, to }) => state.open(from, to).length > 0);
  if (run === undefined) return undefined;
  const seq = run.state.open(run.from, run.to).at(-1)?.to ?? run.to;
  return firstFrameBehind(view, run.state, seq - 1)?.capturedAt;
}
