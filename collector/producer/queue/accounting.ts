/**
 * Accounts for every seq of every known epoch, from what the segments and the checkpoint say. Pure:
 * an opening goes on with it (`recovery.ts`), and whoever only looks at a queue counts by it.
 *
 * Theory of operation. Evidence of how far an epoch goes comes from its frames, from gaps, from the
 * epoch records at the heads of segments, from its successor's record and from the checkpoint.
 * Every seq up to there must be settled, declared or on disk; what is none of these is missing. So
 * nothing depends on remembering what an interrupted recovery found: the next one finds it again.
 * When the checkpoint is lost, settled frames whose segments are gone can't be told from lost ones;
 * they come out as missing too, and to declare them harms nothing (stored beats declared).
 */
import { SettledRanges } from '#protocol/settlement.ts';
import type { Checkpoint } from './checkpoint.ts';
import { epochsInOrder } from './epoch-order.ts';
import type { EpochState, Epochs } from './epochs.ts';
import { Gaps } from './gaps.ts';
import type { MissingFrames } from './pending-reader.ts';
import type { SegmentFacts } from './segment-facts.ts';
import { Segment } from './segment-index.ts';

export interface Account {
  /** In ascending order. */
  readonly segments: readonly Segment[];
  readonly epochs: Epochs;
  readonly gaps: Gaps;
  /** Frames that should be there and aren't. They count as pending until they are declared. */
  readonly missing: readonly MissingFrames[];
}

/** @param kept What the segments say, in ascending order. */
export function accountFor(
  checkpoint: Checkpoint | undefined,
  kept: readonly SegmentFacts[],
): Account {
  const epochs = epochsInOrder(checkpoint, kept);
  const segments = kept.map((facts) => toSegment(facts, epochs));
  const onDisk = framesOnDisk(segments);
  takeBack(epochs, onDisk);
  const gaps = gapsOf(kept, epochs, onDisk);
  return { segments, epochs, gaps, missing: missingFrames(epochs, onDisk) };
}

function toSegment(facts: SegmentFacts, epochs: Epochs): Segment {
  const segment = new Segment(facts.number, facts.bytes);
  for (const { epoch, from, to } of facts.runs) {
    const state = epochs.get(epoch);
    if (state !== undefined) segment.addFrames(state, from, to);
  }
  for (const { epoch } of facts.gaps) {
    const state = epochs.get(epoch);
    if (state !== undefined) segment.addGap(state);
  }
  for (const { epoch, seq, offset } of facts.places) {
    const state = epochs.get(epoch);
    if (state !== undefined) segment.note(state, seq, offset);
  }
  return segment;
}

/** Frames by epoch, whatever became of them. */
type FramesOnDisk = ReadonlyMap<EpochState, SettledRanges>;

/**
 * Frames that were declared and are here are to be sent all the same, as stored beats declared: their
 * file was set aside or missing and is back in its place, or it was to be removed when the process
 * ended.
 */
function takeBack(epochs: Epochs, onDisk: FramesOnDisk): void {
  for (const state of epochs.inOrder) {
    const declared = state.settled.filter((range) => range.state === 'declared');
    for (const { from, to } of declared) {
      for (const here of onDisk.get(state)?.within(from, to) ?? []) state.reopen(here);
    }
  }
}

/** The gaps that are written down, without the frames that are here. */
function gapsOf(kept: readonly SegmentFacts[], epochs: Epochs, onDisk: FramesOnDisk): Gaps {
  const gaps = new Gaps();
  for (const facts of kept) {
    for (const gap of facts.gaps) {
      const state = epochs.get(gap.epoch);
      if (state === undefined) continue;
      const here = onDisk.get(state) ?? new SettledRanges();
      for (const gone of here.unsettled(gap.from, gap.to)) {
        gaps.add(state, { ...gap, ...gone }, facts.number);
      }
    }
  }
  gaps.dropSettled();
  return gaps;
}

/** Per epoch: what is neither settled nor declared nor on disk. */
function missingFrames(epochs: Epochs, onDisk: FramesOnDisk): MissingFrames[] {
  return epochs.inOrder.flatMap((state) => {
    const found = onDisk.get(state) ?? new SettledRanges();
    return state
      .open(1, state.highest)
      .flatMap(({ from, to }) => found.unsettled(from, to))
      .map(({ from, to }) => ({ state, from, to }));
  });
}

/** Which frames the segments hold, settled or not. */
export function framesOnDisk(segments: readonly Segment[]): Map<EpochState, SettledRanges> {
  const found = new Map<EpochState, SettledRanges>();
  for (const { state, from, to } of segments.flatMap(({ runs }) => runs)) {
    const ranges = found.get(state) ?? new SettledRanges();
    ranges.add({ from, to, state: 'stored', code: 0 });
    found.set(state, ranges);
  }
  return found;
}
