/**
 * What the main thread and the queue's worker thread say to each other, and how frames are packed
 * for the way. Bytes cross by transfer: never by a copy of the memory that they happen to lie in.
 */
import type { Epoch, Frame } from '#protocol/identity.ts';
import type { SeqRange, SettledRange } from '#protocol/settlement.ts';
import type { QueueErrorFacts } from './errors.ts';
import type { Sending } from './sending-file.ts';
import type {
  Damage,
  Fate,
  Gap,
  HeldEpoch,
  QueueOptions,
  QueuePosition,
  QueueStats,
  ReadLimits,
  RecoveryReport,
  StoreLoss,
} from './types.ts';

/** What a worker is started with. */
export interface WorkerStart {
  readonly options: Required<QueueOptions>;
  readonly port: MessagePort;
}

/** The first message of a worker. */
export type Opening =
  | { readonly recovery: RecoveryReport; readonly stats: QueueStats }
  | { readonly error: QueueErrorFacts };

/** A queue's thread, as its client holds it; `queue-thread.ts` starts the real one. */
export interface QueueThread {
  /** What the opening found. Rejects when the thread ended without a word. */
  readonly opening: Promise<Opening>;
  /** Resolves when the thread has ended, however it came to it. */
  readonly ended: Promise<void>;
  /** Memory named is given away. */
  post(request: Request, memory: ArrayBuffer[]): void;
  /** To be called once, when the queue is open. `onError`: the thread died by a mistake of ours. */
  listen(onTurn: (turn: Turn) => void, onError: (cause: unknown) => void): void;
  /** Nothing more will be said. */
  close(): void;
}

export type StartThread = (options: Required<QueueOptions>) => QueueThread;

/** Questions and what is answered to each. */
export interface Answers {
  read: PackedFrames;
  gaps: Gap[];
  held: HeldEpoch[];
  settled: readonly SettledRange[];
  fates: Fate[];
  pendingUpTo: number;
  collectorId: string;
  declareLost: Gap;
  close: undefined;
}

export type Question =
  | ({ readonly type: 'read' } & ReadPlace)
  | { readonly type: 'settled'; readonly epoch: Epoch }
  | { readonly type: 'fates'; readonly positions: readonly QueuePosition[] }
  | { readonly type: 'pendingUpTo'; readonly position: QueuePosition }
  | { readonly type: 'declareLost'; readonly count: number }
  | { readonly type: 'gaps' | 'held' | 'collectorId' | 'close' };

/** From where on to read, and how much. */
export interface ReadPlace {
  readonly after: QueuePosition | undefined;
  readonly limits: ReadLimits;
}

export type Request =
  | {
      readonly type: 'append';
      readonly batch: ArrayBuffer;
      readonly count: number;
      /** What to read once these frames are durable, to be answered together with their outcome. */
      readonly tail: ReadPlace | undefined;
    }
  | { readonly type: 'ask'; readonly id: number; readonly question: Question }
  | { readonly type: 'sending'; readonly sending: Sending }
  | {
      readonly type: 'settle';
      readonly storeId: string;
      readonly epoch: Epoch;
      readonly ranges: readonly SettledRange[];
    }
  | {
      readonly type: 'reconcile';
      readonly storeId: string;
      readonly epoch: Epoch;
      readonly within: SeqRange;
      readonly ranges: readonly SettledRange[];
    };

/** What became of one append batch: its first `accepted` frames are durable, from `firstSeq` on. */
export interface AppendOutcome {
  readonly accepted: number;
  readonly epoch: Epoch;
  readonly firstSeq: number;
  /** Why the others are not accepted: the disk; without it, the queue's limit. */
  readonly diskFull?: QueueErrorFacts | undefined;
}

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: QueueErrorFacts };

/** Frames that were read as soon as they were durable. */
export interface Tail {
  readonly after: QueuePosition | undefined;
  readonly frames: PackedFrames;
}

/** Everything that a worker has to say after one round of work. */
export interface Turn {
  /** For the append batches in the order in which they were sent. */
  readonly appended: readonly AppendOutcome[];
  readonly answers: readonly Answer[];
  /** The frames of a `tail` that was asked for; left out where there are none. */
  readonly tail: Tail | undefined;
  readonly gaps: readonly Gap[];
  readonly damage: readonly Damage[];
  readonly losses: readonly StoreLoss[];
  /** How many frames of dead letters were put back and are pending again. */
  readonly replayed: number;
  /** Set once the queue has failed: append batches without an outcome were not confirmed. */
  readonly failure: QueueErrorFacts | undefined;
  readonly stats: QueueStats;
}

/** A frame on its way to the queue. */
export interface NewFrame {
  readonly payload: Uint8Array;
  readonly capturedAt: number;
}

/** Copies frames into one piece of memory: for each {captured_at, length} as f64, then payloads. */
export function packNewFrames(frames: readonly NewFrame[]): ArrayBuffer {
  let place = frames.length * 16;
  const payloadBytes = frames.reduce((sum, { payload }) => sum + payload.length, 0);
  const batch = new ArrayBuffer(place + payloadBytes);
  const table = new Float64Array(batch, 0, frames.length * 2);
  const bytes = new Uint8Array(batch);
  let at = 0;
  for (const { payload, capturedAt } of frames) {
    table[at] = capturedAt;
    table[at + 1] = payload.length;
    bytes.set(payload, place);
    at += 2;
    place += payload.length;
  }
  return batch;
}

/**
 * Gives away the frames of a batch one by one, as views of its memory, until one is not taken.
 * @param take Answers whether it has taken the frame.
 */
export function unpackNewFrames(
  batch: ArrayBuffer,
  count: number,
  take: (payload: Uint8Array, capturedAt: number) => boolean,
): void {
  const table = new Float64Array(batch, 0, count * 2);
  let place = count * 16;
  for (let at = 0; at < table.length; at += 2) {
    const length = table[at + 1] ?? 0;
    if (!take(new Uint8Array(batch, place, length), table[at] ?? 0)) return;
    place += length;
  }
}

/** Frames as a table of numbers and the memory in which their payloads lie. */
export interface PackedFrames {
  readonly epochs: readonly Epoch[];
  readonly buffers: readonly ArrayBuffer[];
  /** FIELDS numbers for each frame: epoch's index, seq, captured_at, CRC, buffer's index, place. */
  readonly table: Float64Array<ArrayBuffer>;
}

const FIELDS = 7;

/** Packs frames whose payloads lie in memory that nothing else uses: it is given away. */
export function packFrames(frames: readonly Frame[]): PackedFrames {
  const epochs: Epoch[] = [];
  const buffers: ArrayBuffer[] = [];
  const table = new Float64Array(frames.length * FIELDS);
  frames.forEach(({ epoch, seq, capturedAt, crc, payload }, i) => {
    if (epochs.at(-1) !== epoch) epochs.push(epoch);
    const buffer = payload.buffer as ArrayBuffer;
    if (buffers.at(-1) !== buffer) buffers.push(buffer);
    const at = i * FIELDS;
    table[at] = epochs.length - 1;
    table[at + 1] = seq;
    table[at + 2] = capturedAt;
    table[at + 3] = crc;
    table[at + 4] = buffers.length - 1;
    table[at + 5] = payload.byteOffset;
    table[at + 6] = payload.length;
  });
  return { epochs, buffers, table };
}

/** What has to be transferred with packed frames. */
export function memoryOf(packed: PackedFrames): ArrayBuffer[] {
  return [...packed.buffers, packed.table.buffer];
}

export function unpackFrames({ epochs, buffers, table }: PackedFrames): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < table.length; at += FIELDS) {
    const epoch = epochs[table[at] ?? 0];
    const buffer = buffers[table[at + 4] ?? 0];
    if (epoch === undefined || buffer === undefined) throw new Error('a frame without its memory');
    frames.push({
      epoch,
      seq: table[at + 1] ?? 0,
      capturedAt: table[at + 2] ?? 0,
      crc: table[at + 3] ?? 0,
      payload: new Uint8Array(buffer, table[at + 5], table[at + 6]),
    });
  }
  return frames;
}
