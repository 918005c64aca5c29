/**
 * What one segment file says, found by reading all of it in bounded memory: its runs of frames,
 * epochs, gaps and damage. Reads only. A closed segment has it written down, too (`index-file.ts`). Epochs are still names here; `recovery.ts` puts the
 * segments together.
 *
 * A good record that does not continue its segment (an epoch that comes back, a seq that does not
 * ascend) is no record of this queue in this place, and counts as damage.
 */
import type { Epoch } from '#protocol/identity.ts';
import { SettledRanges } from '#protocol/settlement.ts';
import type { FilePort, FileReader } from './file-port.ts';
import { readAround, type ScannedFrame, Scanner } from './scan.ts';
import {
  decodeSegmentHeader,
  type EpochRecord,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  segmentName,
} from './segment.ts';
import { INDEX_STRIDE_BYTES } from './segment-index.ts';
import type { Damage, Gap } from './types.ts';

/**
 * How much is read at a time when a segment is read whole. Each of these scans has memory of its
 * own that stays until it is collected: with larger pieces an opening would leave a backlog's
 * segments their number times that behind.
 */
const SCAN_CHUNK_BYTES = 262_144;

export interface FoundRun {
  readonly epoch: Epoch;
  readonly from: number;
  to: number;
}

export interface FoundFrame {
  readonly epoch: Epoch;
  readonly seq: number;
  readonly offset: number;
}

interface FoundDamage {
  readonly offset: number;
  readonly end: number;
  /** The disk refuses to give some of it back. */
  readonly refused: boolean;
}

export interface SegmentFacts {
  readonly number: number;
  readonly bytes: number;
  readonly header: SegmentHeader;
  readonly frames: number;
  readonly runs: readonly FoundRun[];
  /** A frame every INDEX_STRIDE_BYTES, for the sparse index. */
  readonly places: readonly FoundFrame[];
  readonly epochs: readonly EpochRecord[];
  readonly gaps: readonly Gap[];
  /** Stretches behind the header that hold no good record, in order. */
  readonly damage: readonly FoundDamage[];
}

export function damagedBytes(facts: SegmentFacts): number {
  return facts.damage.reduce((sum, { offset, end }) => sum + end - offset, 0);
}

/** The frames that read, by epoch. */
export function framesIn(facts: SegmentFacts): ReadonlyMap<Epoch, SettledRanges> {
  const found = new Map<Epoch, SettledRanges>();
  for (const { epoch, from, to } of facts.runs) {
    const ranges = found.get(epoch) ?? new SettledRanges();
    ranges.add({ from, to, state: 'stored', code: 0 });
    found.set(epoch, ranges);
  }
  return found;
}

/** What is told of damage that reading has found in a segment. */
export function damageWhileOpen(facts: SegmentFacts): Damage {
  const file = segmentName(facts.number);
  const bytesLost = damagedBytes(facts);
  return {
    file,
    kind: 'damaged',
    setAsideAs: undefined,
    framesSaved: facts.frames,
    bytesLost,
    message:
      `${file} is damaged: ${bytesLost} bytes of it can't be read. Its ${facts.frames} good frames ` +
      'are kept, those that are gone are declared damaged. The file stays in place until they are ' +
      'settled, or until the next start, and is then moved to set-aside/. Check the disk',
  };
}

export function isEmpty(facts: SegmentFacts): boolean {
  return facts.frames === 0 && facts.epochs.length === 0 && facts.gaps.length === 0;
}

/**
 * Reads a segment file whole, or its first `bytes`. Damage is in the answer; only the port's own
 * errors are thrown.
 */
export function readSegmentFacts(
  files: FileReader,
  number: number,
  bytes = files.size(segmentName(number)) ?? 0,
): SegmentFacts {
  const name = segmentName(number);
  const handle = files.open(name);
  try {
    const start = Buffer.alloc(SEGMENT_HEADER_BYTES);
    const header = decodeSegmentHeader(start.subarray(0, readAround(files, handle, start, 0)));
    const collector = new FactsCollector();
    const readable =
      header.state === 'bad' || (header.state === 'good' && header.number === number);
    const scanner = new Scanner(files, handle, {
      from: SEGMENT_HEADER_BYTES,
      to: readable ? bytes : 0,
      chunkBytes: SCAN_CHUNK_BYTES,
      keepPayloads: false,
    });
    for (let record = scanner.next(); record !== undefined; record = scanner.next()) {
      if (record.kind === 'epoch') collector.epochs.push(record.record);
      else if (record.kind === 'gap') collector.gaps.push(record.gap);
      else if (record.kind === 'damage') collector.addDamage(record);
      else collector.addFrame(record);
    }
    return { number, bytes, header, ...collector.facts };
  } finally {
    files.close(handle);
  }
}

/** Copies the good records of a damaged segment into a new file, in order; durable on return. */
export function copyGoodRecords(files: FilePort, number: number, to: string, header: Buffer): void {
  const name = segmentName(number);
  const source = files.open(name);
  const target = files.create(to);
  try {
    files.write(target, header);
    let position = header.length;
    const order = new FactsCollector();
    const scanner = new Scanner(files, source, {
      from: SEGMENT_HEADER_BYTES,
      to: files.size(name) ?? 0,
      chunkBytes: SCAN_CHUNK_BYTES,
      keepPayloads: false,
    });
    for (let record = scanner.next(); record !== undefined; record = scanner.next()) {
      if (record.kind === 'damage') continue;
      if (record.kind === 'frame' && !order.addFrame(record)) continue;
      const bytes = scanner.bytes(record);
      bytes.writeUInt32BE(position, 8);
      files.write(target, bytes);
      position += bytes.length;
    }
    files.sync(target);
  } finally {
    files.close(source);
    files.close(target);
  }
}

class FactsCollector {
  readonly epochs: EpochRecord[] = [];
  readonly gaps: Gap[] = [];
  readonly #runs: FoundRun[] = [];
  readonly #places: FoundFrame[] = [];
  readonly #damage: FoundDamage[] = [];
  #frames = 0;

  get facts(): Omit<SegmentFacts, 'number' | 'bytes' | 'header'> {
    return {
      frames: this.#frames,
      runs: this.#runs,
      places: this.#places,
      epochs: this.epochs,
      gaps: this.gaps,
      damage: this.#damage,
    };
  }

  /** Answers false for a frame that does not continue the segment. */
  addFrame(frame: ScannedFrame): boolean {
    const { epoch, seq, offset, end } = frame;
    const last = this.#runs.at(-1);
    if (last?.epoch === epoch && last.to + 1 === seq) {
      last.to = seq;
    } else if (this.#continues(epoch, seq)) {
      this.#runs.push({ epoch, from: seq, to: seq });
    } else {
      this.addDamage({ offset, end, refused: false });
      return false;
    }
    this.#frames += 1;
    const place = this.#places.at(-1);
    if (place === undefined || offset - place.offset >= INDEX_STRIDE_BYTES) {
      this.#places.push({ epoch, seq, offset });
    }
    return true;
  }

  addDamage(stretch: FoundDamage): void {
    const { offset, end, refused } = stretch;
    const last = this.#damage.at(-1);
    if (last?.end !== offset) {
      this.#damage.push({ offset, end, refused });
    } else {
      this.#damage.pop();
      this.#damage.push({ offset: last.offset, end, refused: last.refused || refused });
    }
  }

  #continues(epoch: Epoch, seq: number): boolean {
    const last = this.#runs.at(-1);
    if (last?.epoch === epoch) return seq > last.to;
    return this.#runs.every((run) => run.epoch !== epoch);
  }
}
