/**
 * Takes out of a store's files what is on their pages, page by page, whether or not a page is where
 * its tree says: the database's pages first, then those of the log in their order, behind a place
 * where the log is damaged, too.
 *
 * Which table a record is of shows in its shape. A frame proves itself by its CRC, which covers its
 * epoch; everything else is taken from pages alone that are not known to be altered.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { FrameCrc, isCollectorId, isUuid } from '#protocol/identity.ts';
import { SETTLED_STATES } from '#protocol/settlement.ts';
import type { StoreFacts } from './facts.ts';
import {
  type PageContext,
  type PageRecord,
  type PageValue,
  pageBytesIn,
  recordsOf,
} from './pages.ts';
import { pagesOfLog } from './wal.ts';

/** A row of `frames` that is what its collector has sent. */
export interface CarvedFrame {
  readonly rowid: number;
  readonly stream: number;
  readonly seq: number;
  readonly capturedAt: number;
  readonly receivedAt: number;
  readonly crc: number;
  readonly payload: Uint8Array;
}

const READ_BYTES = 1_048_576;
const PAGE_BYTES_DEFAULT = 4_096;

/** A page, and whether it is known to be other than what was written. */
interface FoundPage {
  readonly number: number;
  readonly bytes: Uint8Array;
  readonly altered: boolean;
}

export class Carving {
  readonly #path: string;
  readonly #file: number;
  readonly #pageBytes: number;
  readonly #context: PageContext;
  /** Where the newest version of a page is in the log. */
  readonly #inLog = new Map<number, number>();
  readonly #log: number | undefined;

  /** Opens the database and its log for reading. */
  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, 'r');
    const log = `${path}-wal`;
    this.#log = existsSync(log) ? openSync(log, 'r') : undefined;
    const header = Buffer.alloc(100);
    readSync(this.#file, header, 0, 100, 0);
    const named = pageBytesIn(header);
    const isPower = named >= 512 && (named & (named - 1)) === 0;
    this.#pageBytes = isPower ? named : PAGE_BYTES_DEFAULT;
    for (const { pageNumber, at, whole } of pagesOfLog(log)) {
      if (whole) this.#inLog.set(pageNumber, at);
    }
    const usableBytes = this.#pageBytes - (isPower ? header.readUInt8(20) : 0);
    this.#context = { usableBytes, overflow: (number) => this.#newest(number) };
  }

  close(): void {
    closeSync(this.#file);
    if (this.#log !== undefined) closeSync(this.#log);
  }

  /** Adds everything that isn't a frame. */
  gatherFacts(facts: StoreFacts): void {
    for (const page of this.#pages()) {
      if (page.altered) continue;
      for (const record of this.#recordsOf(page)) addFact(facts, record);
    }
  }

  /** The frames of these streams; the same one more than once where it is in several versions. */
  *frames(facts: StoreFacts): Generator<CarvedFrame> {
    const crcs = new Map<number, FrameCrc>();
    for (const { id, epoch } of facts.streams.values()) crcs.set(id, new FrameCrc(epoch));
    for (const page of this.#pages()) {
      for (const record of this.#recordsOf(page)) {
        const frame = frameOf(record);
        const crc = frame && crcs.get(frame.stream);
        const holds = crc?.of(frame?.seq ?? 0, frame?.capturedAt ?? 0, frame?.payload ?? NOTHING);
        if (frame !== undefined && holds === frame.crc) yield frame;
      }
    }
  }

  #recordsOf({ number, bytes }: FoundPage): Generator<PageRecord> {
    return recordsOf(bytes, number === 1, this.#context);
  }

  *#pages(): Generator<FoundPage> {
    const { size } = fstatSync(this.#file);
    const pagesAtOnce = Math.max(1, Math.floor(READ_BYTES / this.#pageBytes));
    const buffer = Buffer.alloc(pagesAtOnce * this.#pageBytes);
    for (let at = 0; at < size; at += buffer.length) {
      const got = this.#read(buffer, at);
      for (let from = 0; from + this.#pageBytes <= got; from += this.#pageBytes) {
        const number = (at + from) / this.#pageBytes + 1;
        yield { number, bytes: buffer.subarray(from, from + this.#pageBytes), altered: false };
      }
    }
    for (const { pageNumber, bytes, whole } of pagesOfLog(`${this.#path}-wal`)) {
      yield { number: pageNumber, bytes, altered: !whole };
    }
  }

  /** What a bad sector keeps back is left out, page by page: those are empty. Answers the length. */
  #read(buffer: Buffer, at: number): number {
    try {
      return readSync(this.#file, buffer, 0, buffer.length, at);
    } catch {
      buffer.fill(0);
      const end = Math.min(buffer.length, fstatSync(this.#file).size - at);
      for (let from = 0; from + this.#pageBytes <= end; from += this.#pageBytes) {
        try {
          readSync(this.#file, buffer, from, this.#pageBytes, at + from);
        } catch {
          buffer.fill(0, from, from + this.#pageBytes);
        }
      }
      return end;
    }
  }

  #newest(number: number): Uint8Array | undefined {
    const page = Buffer.alloc(this.#pageBytes);
    const at = this.#inLog.get(number);
    try {
      const got =
        at !== undefined && this.#log !== undefined
          ? readSync(this.#log, page, 0, page.length, at)
          : readSync(this.#file, page, 0, page.length, (number - 1) * this.#pageBytes);
      return got === page.length ? page : undefined;
    } catch {
      return undefined;
    }
  }
}

const NOTHING = new Uint8Array();

function frameOf({ rowid, values }: PageRecord): CarvedFrame | undefined {
  if (rowid === undefined || values.length !== 6) return undefined;
  const [stream, seq, capturedAt, receivedAt, crc, payload] = values;
  const isFrame =
    isNumber(stream) &&
    isNumber(seq) &&
    seq > 0 &&
    isNumber(capturedAt) &&
    isNumber(receivedAt) &&
    isNumber(crc) &&
    payload instanceof Uint8Array;
  return isFrame ? { rowid, stream, seq, capturedAt, receivedAt, crc, payload } : undefined;
}

function addFact(facts: StoreFacts, { rowid, values }: PageRecord): void {
  if (rowid !== undefined) addStream(facts, rowid, values);
  else if (values.length === 2) addMeta(facts, values);
  else if (values.length === 3) addStreamName(facts, values);
  else if (values.length === 4) addCollector(facts, values);
  else if (values.length === 5) addSettled(facts, values);
  else if (values.length === 7) addConflict(facts, values);
}

function addMeta(facts: StoreFacts, [key, value]: readonly PageValue[]): void {
  if (typeof value !== 'string') return;
  if (key === 'store_id' && isUuid(value)) facts.storeId = value;
  if (key === 'created_at' && Number.isSafeInteger(Number(value))) facts.createdAt = Number(value);
}

function addCollector(facts: StoreFacts, values: readonly PageValue[]): void {
  const [collector, instance, firstHeardAt, lastHeardAt] = values;
  if (!isText(collector) || !isCollectorId(collector) || !isText(instance)) return;
  if (!isNumber(firstHeardAt) || !isNumber(lastHeardAt)) return;
  facts.addCollector({ collector, instance, firstHeardAt, lastHeardAt });
}

function addStream(facts: StoreFacts, id: number, values: readonly PageValue[]): void {
  if (values.length !== 12) return;
  const [, collector, epoch, predecessorEpoch, predecessorLast] = values;
  const [lowest, highest, lastNamed, held, announcedIn, announcedAt, duplicatesRefused] =
    values.slice(5);
  if (!isText(collector) || !isCollectorId(collector) || !isText(epoch) || !isUuid(epoch)) return;
  if (!isNumber(lowest) || !isNumber(highest) || !isNumber(lastNamed)) return;
  facts.addStream({
    id,
    collector,
    epoch,
    predecessorEpoch: isText(predecessorEpoch) ? predecessorEpoch : null,
    predecessorLast: isNumber(predecessorLast) ? predecessorLast : null,
    lowest,
    highest,
    lastNamed,
    held: held === 1 ? 1 : 0,
    announcedIn: isText(announcedIn) ? announcedIn : null,
    announcedAt: isNumber(announcedAt) ? announcedAt : null,
    duplicatesRefused: isNumber(duplicatesRefused) ? duplicatesRefused : 0,
  });
}

/** The index of `streams` still has the name of one whose row is gone. */
function addStreamName(facts: StoreFacts, [collector, epoch, id]: readonly PageValue[]): void {
  if (!isText(collector) || !isCollectorId(collector) || !isText(epoch) || !isUuid(epoch)) return;
  if (!isNumber(id) || facts.streams.has(id)) return;
  facts.addStream({
    id,
    collector,
    epoch,
    predecessorEpoch: null,
    predecessorLast: null,
    lowest: 1,
    highest: 0,
    lastNamed: 0,
    held: 0,
    announcedIn: null,
    announcedAt: null,
    duplicatesRefused: 0,
  });
}

function addSettled(facts: StoreFacts, values: readonly PageValue[]): void {
  const [stream, from, to, number, code] = values;
  if (!isNumber(stream) || !isNumber(from) || !isNumber(to) || !isNumber(code)) return;
  const state = isNumber(number) ? SETTLED_STATES[number - 1] : undefined;
  if (state === undefined || from < 1 || to < from) return;
  facts.addSettled(stream, { from, to, state, code });
}

function addConflict(facts: StoreFacts, values: readonly PageValue[]): void {
  if (!values.every(isNumber)) return;
  const [stream = 0, seq = 0, capturedAt = 0, crc = 0] = values;
  const [firstRefusedAt = 0, lastRefusedAt = 0, refused = 0] = values.slice(4);
  facts.addConflict({ stream, seq, capturedAt, crc, firstRefusedAt, lastRefusedAt, refused });
}

function isNumber(value: PageValue): value is number {
  return typeof value === 'number';
}

function isText(value: PageValue): value is string {
  return typeof value === 'string';
}
