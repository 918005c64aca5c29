/** What the queue's tests share: making cores, payloads and epochs, and reading a queue empty. */

import { type CoreOptions, QueueCore } from '#collector/producer/queue/core.ts';
import type { FilePort } from '#collector/producer/queue/file-port.ts';
import type { Queue } from '#collector/producer/queue/queue.ts';
import type { QueuePosition } from '#collector/producer/queue/types.ts';
import { type Epoch, type Frame, frameCrc } from '#protocol/identity.ts';
import type { ModelledFiles } from './modelled-files.ts';

export const STORE = '0192f6c4-0000-7000-8000-00000000aaaa';
export const OTHER_STORE = '0192f6c4-0000-7000-8000-00000000bbbb';

/** Numbered epochs; one mint for all openings of a queue. */
export function epochMint(): () => Epoch {
  let minted = 0;
  return () => {
    minted += 1;
    return `0192f6c4-0000-7000-8000-${String(minted).padStart(12, '0')}`;
  };
}

export function openCore(files: FilePort, options: Partial<CoreOptions> = {}): QueueCore {
  return new QueueCore(files, {
    path: 'queue',
    limitBytes: 1_048_576,
    whenFull: 'drop-oldest',
    segmentBytes: 65_536,
    mintEpoch: epochMint(),
    ...options,
  });
}

/** A payload that tells which frame it is, of a given length. */
export function payloadOf(n: number, bytes = 24): Buffer {
  const payload = Buffer.alloc(bytes, n % 251);
  payload.write(`frame ${n};`.slice(0, bytes));
  return payload;
}

/** Resolves when the frame is durable, to where it stands. */
export function appendTo(
  queue: Queue,
  payload: Uint8Array,
  capturedAt: number,
): Promise<QueuePosition> {
  return new Promise((resolve, reject) => {
    queue.append({ payload, capturedAt, resolve, reject });
  });
}

/** Appends frames `from` to `to` in one group commit. */
export function appendFrames(
  core: QueueCore,
  from: number,
  to: number,
  bytes = 24,
): QueuePosition[] {
  const positions: QueuePosition[] = [];
  for (let n = from; n <= to; n += 1) {
    const position = core.append(payloadOf(n, bytes), n * 1_000);
    if (position === undefined) throw new Error(`frame ${n} was refused`);
    positions.push(position);
  }
  core.commit();
  return positions;
}

/** Reads all pending frames in batches and checks their order and CRCs. */
export function readAll(core: QueueCore, batch = { frames: 7, bytes: 100_000 }): Frame[] {
  const frames: Frame[] = [];
  for (;;) {
    const more = core.readPending(frames.at(-1), batch);
    if (more.length === 0) return frames;
    for (const frame of more) {
      const before = frames.at(-1);
      if (before?.epoch === frame.epoch && frame.seq <= before.seq) {
        throw new Error(`seq ${frame.seq} came behind ${before.seq}`);
      }
      if (frame.crc !== frameCrc(frame)) throw new Error(`seq ${frame.seq} has another CRC`);
      frames.push(frame);
    }
  }
}

export function seqsOf(frames: readonly Frame[]): number[] {
  return frames.map(({ seq }) => seq);
}

/** A copy of the files as they are now, without segments' indexes: opening it reads everything. */
export function withoutIndexes(files: ModelledFiles): ModelledFiles {
  const copy = files.afterKill();
  for (const name of copy.names('index-')) copy.unlink(name);
  copy.syncDirectory('');
  return copy;
}

/** A generator of numbers from 0 to `max`, the same for the same seed (mulberry32). */
export function chooser(seed: number): (max: number) => number {
  let state = seed >>> 0;
  return (max) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % (max + 1);
  };
}
