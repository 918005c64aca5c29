/**
 * Finds which epochs a queue knows and in which order they were made, from what the segments and
 * the checkpoint say. Only for the opening; afterwards epochs are added as they are minted.
 *
 * Rules: epochs with frames stand as their frames do in the files (reading relies on it). Any other
 * known epoch stands before the one that names it as predecessor, or else where the checkpoint has
 * it. An epoch that is only named as a predecessor is known, too, unless the checkpoint has its
 * successor: then it was settled and forgotten.
 */
import type { Epoch, Predecessor } from '#protocol/identity.ts';
import type { Checkpoint, CheckpointEpoch } from './checkpoint.ts';
import { EpochState, Epochs } from './epochs.ts';
import type { SegmentFacts } from './segment-facts.ts';

/** Takes in the epochs with their reach and the checkpoint's settlements; gaps come later. */
export function epochsInOrder(
  checkpoint: Checkpoint | undefined,
  segments: readonly SegmentFacts[],
): Epochs {
  const known = new KnownEpochs(checkpoint?.epochs ?? []);
  for (const facts of segments) known.takeIn(facts);
  known.addLostPredecessors();
  const epochs = new Epochs();
  for (const state of known.inOrder(segments)) epochs.add(state);
  for (const { epoch, settled } of checkpoint?.epochs ?? []) {
    for (const range of settled) epochs.get(epoch)?.settle(range);
  }
  return epochs;
}

class KnownEpochs {
  readonly #inCheckpoint: ReadonlySet<Epoch>;
  readonly #states = new Map<Epoch, EpochState>();

  constructor(checkpoint: readonly CheckpointEpoch[]) {
    this.#inCheckpoint = new Set(checkpoint.map(({ epoch }) => epoch));
    for (const { epoch, predecessor, highest } of checkpoint) {
      this.#know(epoch, highest, predecessor);
    }
  }

  takeIn(facts: SegmentFacts): void {
    for (const { epoch, nextSeq, predecessor } of facts.epochs) {
      this.#know(epoch, nextSeq - 1, predecessor);
    }
    for (const { epoch, to } of facts.runs) this.#know(epoch, to);
    for (const { epoch, to } of facts.gaps) this.#know(epoch, to);
  }

  /** Takes in what epochs say of their predecessors. */
  addLostPredecessors(): void {
    for (const { epoch, predecessor } of [...this.#states.values()]) {
      if (predecessor === undefined) continue;
      const isKnown = this.#states.has(predecessor.epoch);
      if (isKnown || !this.#inCheckpoint.has(epoch)) {
        this.#know(predecessor.epoch, predecessor.lastSeq);
      }
    }
  }

  inOrder(segments: readonly SegmentFacts[]): EpochState[] {
    const withFrames = new Set(segments.flatMap(({ runs }) => runs.map(({ epoch }) => epoch)));
    const ordered = new Set<EpochState>();
    for (const epoch of [...withFrames, ...this.#states.keys()]) {
      const line: EpochState[] = [];
      let state = this.#states.get(epoch);
      while (state !== undefined && !ordered.has(state) && !line.includes(state)) {
        line.unshift(state);
        const before: Predecessor | undefined = state.predecessor;
        if (before === undefined || withFrames.has(before.epoch)) break;
        state = this.#states.get(before.epoch);
      }
      for (const next of line) ordered.add(next);
    }
    return [...ordered];
  }

  #know(epoch: Epoch, reach: number, predecessor?: Predecessor): void {
    const state = this.#states.get(epoch) ?? new EpochState(epoch);
    state.reaches(reach);
    state.predecessor ??= predecessor;
    this.#states.set(epoch, state);
  }
}
