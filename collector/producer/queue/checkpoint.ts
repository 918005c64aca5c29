/**
 * The checkpoint file: what the server has settled, so that it is not sent again after a restart,
 * and how far each epoch goes. One line of identification, one line of JSON; the layout is in
 * docs/queue-format.md. Here: encoding, decoding with every value checked, and loading.
 *
 * It is a hint as far as sending goes: with an older one, or none, frames are sent again and the
 * server's key removes them. But it is the only memory of settled frames whose segments are gone,
 * so the core saves it before it unlinks a segment.
 */
import { crc32 } from 'node:zlib';
import { type Epoch, isUuid, type Predecessor } from '#protocol/identity.ts';
import { SETTLED_STATES, type SettledRange } from '#protocol/settlement.ts';
import { type FilePort, readWhole } from './file-port.ts';
import { isSeq } from './segment.ts';

export const CHECKPOINT_NAME = 'checkpoint';
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
  /** Oldest first. */
  readonly epochs: readonly CheckpointEpoch[];
}

export type LoadedCheckpoint =
  | { readonly state: 'loaded'; readonly checkpoint: Checkpoint }
  | { readonly state: 'absent' }
  | { readonly state: 'unreadable'; readonly why: string };

/** Loads the checkpoint. Unusable content is an answer; only the port's own errors are thrown. */
export function loadCheckpoint(files: FilePort): LoadedCheckpoint {
  const bytes = files.size(CHECKPOINT_NAME);
  if (bytes === undefined) return { state: 'absent' };
  if (bytes > CHECKPOINT_BYTES_MAX) return { state: 'unreadable', why: `it has ${bytes} bytes` };
  return decodeCheckpoint(readWhole(files, CHECKPOINT_NAME));
}

export function encodeCheckpoint(checkpoint: Checkpoint): Buffer {
  const body = JSON.stringify({
    store_id: checkpoint.storeId,
    epochs: checkpoint.epochs.map(({ epoch, predecessor, highest, settled }) => ({
      epoch,
      predecessor: predecessor && { epoch: predecessor.epoch, last_seq: predecessor.lastSeq },
      highest,
      settled: settled.map(({ from, to, state, code }) => [from, to, state, code]),
    })),
  });
  const crc = crc32(body).toString(16).padStart(8, '0');
  return Buffer.from(`holdfast-queue-checkpoint ${CHECKPOINT_VERSION} ${crc}\n${body}\n`);
}

export function decodeCheckpoint(bytes: Buffer): LoadedCheckpoint {
  const text = bytes.toString();
  const head = /^holdfast-queue-checkpoint (\d{1,9}) ([0-9a-f]{8})\n/.exec(text);
  if (head === null) return { state: 'unreadable', why: 'it does not begin like a checkpoint' };
  if (Number(head[1]) !== CHECKPOINT_VERSION) {
    return { state: 'unreadable', why: `it has format version ${head[1]}` };
  }
  const body = text.slice(head[0].length, -1);
  if (!text.endsWith('\n') || crc32(body) !== Number.parseInt(head[2] ?? '', 16)) {
    return { state: 'unreadable', why: 'its checksum does not match' };
  }
  try {
    return { state: 'loaded', checkpoint: toCheckpoint(JSON.parse(body)) };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof UnexpectedValue) {
      return { state: 'unreadable', why: error.message };
    }
    throw error;
  }
}

/** A value in the file that no queue writes. Never leaves this file. */
class UnexpectedValue extends Error {
  constructor(what: string, value: unknown) {
    super(`${what} is ${JSON.stringify(value)?.slice(0, 80)}`);
  }
}

function toCheckpoint(value: unknown): Checkpoint {
  const { store_id: storeId, epochs } = object(value);
  return {
    storeId: storeId === undefined ? undefined : uuid(storeId),
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
  if (typeof code !== 'number' || !Number.isInteger(code) || code < 0 || code > 255) {
    throw new UnexpectedValue('a code', code);
  }
  return { ...range, state, code };
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UnexpectedValue('an object', value);
  }
  return value as Record<string, unknown>;
}

function array(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new UnexpectedValue('a list', value);
  return value;
}

function uuid(value: unknown): string {
  if (typeof value !== 'string' || !isUuid(value)) throw new UnexpectedValue('a UUID', value);
  return value;
}

function seq(value: unknown): number {
  if (typeof value !== 'number' || !isSeq(value)) throw new UnexpectedValue('a seq', value);
  return value;
}
