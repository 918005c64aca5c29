/**
 * A closed segment's index file: what the segment says, written down beside it, so that opening a
 * long queue need not read every byte of it.
 *
 * It is a hint in both directions. A segment without an index that can be used is read whole; an
 * index that can't be written is left out. So no error of the disk leaves this file, and nothing
 * here has to be durable before anything else. It is believed when its own CRC holds and the
 * segment has the size, the header and the first and last bytes that it names: files that were cut,
 * repaired, or exchanged for those of another copy of the queue don't. Damage in between is found
 * when frames are read, each of which is checked by its own CRC, or missed by its number.
 */
import { crc32 } from 'node:zlib';
import type { Predecessor } from '#protocol/identity.ts';
import { countSeqs, GAP_REASONS } from '#protocol/settlement.ts';
import {
  createWhole,
  type FileHandle,
  type FilePort,
  type FileReader,
  readWhole,
} from './file-port.ts';
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
import {
  decodeSegmentHeader,
  type EpochRecord,
  reasonOf,
  SEGMENT_HEADER_BYTES,
  segmentName,
} from './segment.ts';
import type { FoundFrame, FoundRun, SegmentFacts } from './segment-facts.ts';
import type { Gap } from './types.ts';

const INDEX_KIND = 'holdfast-segment-index';
const INDEX_VERSION = 1;

/** A segment of so many runs, gaps or places that its index would be larger has none. */
const INDEX_BYTES_MAX = 131_072;

/**
 * How much of a segment's start and of its end an index is tied to. The start has the header and
 * the first epoch record, which tells copies of a queue apart.
 */
const EDGE_BYTES = 128;

/** What an index keeps; the rest of a segment's facts follows from its being believed. */
type IndexedFacts = Pick<SegmentFacts, 'number' | 'bytes' | 'runs' | 'places' | 'epochs' | 'gaps'>;

/** A run with the places that lie in it, as [seq, offset]. */
interface StoredRun extends FoundRun {
  readonly places: ReadonlyArray<readonly [number, number]>;
}

interface Index {
  readonly number: number;
  readonly bytes: number;
  readonly edges: number;
  readonly epochs: readonly EpochRecord[];
  readonly gaps: readonly Gap[];
  readonly runs: readonly StoredRun[];
}

const INDEX_NAME = /^index-(\d{20})$/;

/** The name of the index of a segment. */
function indexName(number: number): string {
  return `index-${String(number).padStart(20, '0')}`;
}

/** The number in an index's file name; `undefined` for any other name. */
export function indexNumber(name: string): number | undefined {
  const digits = INDEX_NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Writes the index of a segment that is whole, durable and never written to again. */
export function saveIndex(files: FilePort, facts: IndexedFacts): void {
  try {
    removeIndex(files, facts.number);
    const edges = withSegment(files, facts.number, (handle) =>
      crc32(readEdges(files, handle, facts.bytes)),
    );
    const content = encodeIndex({ ...facts, edges, runs: withPlaces(facts) });
    if (content.length <= INDEX_BYTES_MAX) createWhole(files, indexName(facts.number), content);
  } catch {
    // The next opening reads this segment whole. A disk that fails shows at the next record.
  }
}

/**
 * What a segment says, by its index; `undefined` when there is none to believe. Damage in the
 * segment is not in the answer.
 */
export function loadIndexedFacts(files: FileReader, number: number): SegmentFacts | undefined {
  try {
    const size = files.size(indexName(number));
    if (size === undefined || size > INDEX_BYTES_MAX) return undefined;
    const index = decodeIndex(readWhole(files, indexName(number)));
    if (index?.number !== number || files.size(segmentName(number)) !== index.bytes) {
      return undefined;
    }
    const edges = withSegment(files, number, (handle) => readEdges(files, handle, index.bytes));
    const header = decodeSegmentHeader(edges.subarray(0, SEGMENT_HEADER_BYTES));
    const isOurs = header.state === 'good' && header.number === number;
    return isOurs && crc32(edges) === index.edges ? toFacts(index, header) : undefined;
  } catch {
    // What can't be read here is read, and told of, with the segment itself.
    return undefined;
  }
}

/** Removes a segment's index, if it has one. Throws the port's own errors. */
export function removeIndex(files: FilePort, number: number): void {
  const name = indexName(number);
  if (files.size(name) !== undefined) files.unlink(name);
}

function encodeIndex({ number, bytes, edges, epochs, gaps, runs }: Index): Buffer {
  return sealJson(INDEX_KIND, INDEX_VERSION, {
    segment: number,
    bytes,
    edges,
    epochs: epochs.map(({ epoch, nextSeq, predecessor }) => ({
      epoch,
      next_seq: nextSeq,
      predecessor: predecessor && { epoch: predecessor.epoch, last_seq: predecessor.lastSeq },
    })),
    gaps: gaps.map(({ epoch, from, to, reason }) => [epoch, from, to, GAP_REASONS[reason]]),
    runs: runs.map(({ epoch, from, to, places }) => ({ epoch, from, to, places })),
  });
}

function decodeIndex(bytes: Buffer): Index | undefined {
  const unsealed = unsealJson(bytes, INDEX_KIND, INDEX_VERSION, toIndex);
  return unsealed.state === 'loaded' ? unsealed.value : undefined;
}

function toIndex(value: unknown): Index {
  const { segment, bytes, edges, epochs, gaps, runs } = object(value);
  return {
    number: count(segment, Number.MAX_SAFE_INTEGER),
    bytes: count(bytes, 0xffff_ffff),
    edges: count(edges, 0xffff_ffff),
    epochs: array(epochs).map(toEpoch),
    gaps: array(gaps).map(toGap),
    runs: array(runs).map(toRun),
  };
}

function toEpoch(value: unknown): EpochRecord {
  const { epoch, next_seq: nextSeq, predecessor } = object(value);
  return {
    epoch: uuid(epoch),
    nextSeq: seq(nextSeq),
    predecessor: predecessor === undefined ? undefined : toPredecessor(predecessor),
  };
}

function toPredecessor(value: unknown): Predecessor {
  const { epoch, last_seq: lastSeq } = object(value);
  return { epoch: uuid(epoch), lastSeq: count(lastSeq, Number.MAX_SAFE_INTEGER) };
}

function toGap(value: unknown): Gap {
  const [epoch, from, to, code] = array(value);
  const reason = reasonOf(count(code, 255));
  if (reason === undefined) throw new UnexpectedValue('a reason', code);
  return { epoch: uuid(epoch), ...toSeqs(from, to), reason };
}

function toRun(value: unknown): StoredRun {
  const { epoch, from, to, places } = object(value);
  const pairs = array(places).map((pair) => {
    const [of, offset] = array(pair);
    return [seq(of), count(offset, 0xffff_ffff)] as const;
  });
  return { epoch: uuid(epoch), ...toSeqs(from, to), places: pairs };
}

function toSeqs(from: unknown, to: unknown): { from: number; to: number } {
  const range = { from: seq(from), to: seq(to) };
  if (range.from > range.to) throw new UnexpectedValue('a range', range);
  return range;
}

function toFacts(index: Index, header: SegmentFacts['header']): SegmentFacts {
  const { number, bytes, epochs, gaps } = index;
  const runs = index.runs.map(({ epoch, from, to }) => ({ epoch, from, to }));
  const places = index.runs.flatMap((run) =>
    run.places.map(([of, offset]) => ({ epoch: run.epoch, seq: of, offset })),
  );
  const frames = countSeqs(runs);
  return { number, bytes, header, frames, runs, places, epochs, gaps, damage: [] };
}

function withPlaces({ runs, places }: IndexedFacts): StoredRun[] {
  const isIn = (run: FoundRun, place: FoundFrame): boolean =>
    place.epoch === run.epoch && place.seq >= run.from && place.seq <= run.to;
  return runs.map((run) => ({
    ...run,
    places: places
      .filter((place) => isIn(run, place))
      .map((place) => [place.seq, place.offset] as const),
  }));
}

function withSegment<T>(files: FileReader, number: number, read: (handle: FileHandle) => T): T {
  const handle = files.open(segmentName(number));
  try {
    return read(handle);
  } finally {
    files.close(handle);
  }
}

/** The first and the last bytes of a segment, one behind the other; they may overlap. */
function readEdges(files: FileReader, handle: FileHandle, bytes: number): Buffer {
  const length = Math.min(EDGE_BYTES, bytes);
  const edges = Buffer.alloc(2 * length);
  files.read(handle, edges.subarray(0, length), 0);
  files.read(handle, edges.subarray(length), bytes - length);
  return edges;
}
