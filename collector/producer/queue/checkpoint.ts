/**
 * The checkpoint file: what the server has settled, so that it is not sent again after a restart,
 * and how far each epoch goes. Sealed JSON (`sealed-json.ts`); the layout is in docs/queue-format.md.
 * Here: encoding, decoding with every value checked, and loading.
 *
 * It is a hint as far as sending goes: with an older one, or none, frames are sent again and the
 * server's key removes them. But it is the only memory of settled frames whose segments are gone,
 * so the core saves it before it unlinks a segment.
 */
import type { Epoch, Predecessor } from '#protocol/identity.ts';
import { SETTLED_STATES, type SettledRange } from '#protocol/settlement.ts';
import { type FileReader, readUnlessRefused } from './file-port.ts';
import {
  array,
  count,
  object,
  sealJson,
  seq,
  UnexpectedValue,
  unsealJson,
  uuid,
} from './sealed-json.ts';

export const CHECKPOINT_NAME = 'checkpoint';
const CHECKPOINT_KIND = 'holdfast-queue-checkpoint';
const CHECKPOINT_VERSION = 1;

/** Larger than any that is written: thousands of epochs with a thousand ranges each. */
const CHECKPOINT_BYTES_MAX = 268_435_456;

export interface CheckpointEpoch {
  readonly epoch: Epoch;
  readonly predecessor: Predecessor | undefined;
  readonly highest: number;
  readonly settled: readonly SettledRange[];
}

export interface Checkpoint {
  /** The store that settled it all; none as long as nothing is settled. */
  readonly storeId: string | undefined;
  /** No segment was ever made with this number or a higher one. 0: not known. */
  readonly nextSegment: number;
  /** Oldest first. */
  readonly epochs: readonly CheckpointEpoch[];
}

export type LoadedCheckpoint =
  | { readonly state: 'loaded'; readonly checkpoint: Checkpoint }
  | { readonly state: 'absent' }
  | { readonly state: 'unreadable'; readonly why: string; readonly isNewer?: boolean };

/** Loads the checkpoint. Content that can't be used, or read, is an answer; only the port's own errors are thrown. */
export function loadCheckpoint(files: FileReader): LoadedCheckpoint {
  const bytes = files.size(CHECKPOINT_NAME);
  if (bytes === undefined) return { state: 'absent' };
  if (bytes > CHECKPOINT_BYTES_MAX) return { state: 'unreadable', why: `it has ${bytes} bytes` };
  const content = readUnlessRefused(files, CHECKPOINT_NAME);
  if (content === undefined)
    return { state: 'unreadable', why: 'the disk refuses to read it (EIO)' };
  return decodeCheckpoint(content);
}

export function encodeCheckpoint(checkpoint: Checkpoint): Buffer {
  return sealJson(CHECKPOINT_KIND, CHECKPOINT_VERSION, {
    store_id: checkpoint.storeId,
    next_segment: checkpoint.nextSegment,
    epochs: checkpoint.epochs.map(({ epoch, predecessor, highest, settled }) => ({
      epoch,
      predecessor: predecessor && { epoch: predecessor.epoch, last_seq: predecessor.lastSeq },
      highest,
      settled: settled.map(({ from, to, state, code }) => [from, to, state, code]),
    })),
  });
}

export function decodeCheckpoint(bytes: Buffer): LoadedCheckpoint {
  const unsealed = unsealJson(bytes, CHECKPOINT_KIND, CHECKPOINT_VERSION, toCheckpoint);
  if (unsealed.state === 'unreadable') return unsealed;
  return { state: 'loaded', checkpoint: unsealed.value };
}

function toCheckpoint(value: unknown): Checkpoint {
  const { store_id: storeId, next_segment: nextSegment, epochs } = object(value);
  return {
    storeId: storeId === undefined ? undefined : uuid(storeId),
    nextSegment: nextSegment === undefined ? 0 : count(nextSegment, Number.MAX_SAFE_INTEGER),
    epochs: array(epochs).map(toEpoch),
  };
}

function toEpoch(value: unknown): CheckpointEpoch {
  const { epoch, predecessor, highest, settled } = object(value);
  return {
    epoch: uuid(epoch),
    predecessor: predecessor === undefined ? undefined : toPredecessor(predecessor),
    highest: seq(highest),
    settled: array(settled).map(toRange),
  };
}

function toPredecessor(value: unknown): Predecessor {
  const { epoch, last_seq: lastSeq } = object(value);
  return { epoch: uuid(epoch), lastSeq: seq(lastSeq) };
}

function toRange(value: unknown): SettledRange {
  const [from, to, name, code] = array(value);
  const range = { from: seq(from), to: seq(to) };
  const state = SETTLED_STATES.find((known) => known === name);
  if (state === undefined) throw new UnexpectedValue('a settled state', name);
  if (range.from > range.to) throw new UnexpectedValue('a range', value);
  return { ...range, state, code: count(code, 255) };
}
