/**
 * SQLite's pages as bytes: the records that lie on one, read without SQLite and without the pages
 * above it. For a store whose tree is damaged (`carving.ts`); the format is SQLite's own
 * (sqlite.org/fileformat2.html, "B-tree Pages" and "Record Format").
 *
 * Nothing here is trusted: a length or a place that can't be ends the record, not the page.
 */

/** A value of a record. Integers beyond what a number holds exactly are left out as undefined. */
export type PageValue = number | string | Uint8Array | null | undefined;

export interface PageRecord {
  /** On a page of a table with row ids; undefined on one of an index. */
  readonly rowid: number | undefined;
  readonly values: readonly PageValue[];
}

export interface PageContext {
  /** Of a page, that SQLite uses: without what is reserved at its end. */
  readonly usableBytes: number;
  /** A page that a record goes on on; undefined when there is none of that number. */
  readonly overflow: (pageNumber: number) => Uint8Array | undefined;
}

const LEAF_OF_TABLE = 13;
const LEAF_OF_INDEX = 10;
const INNER_OF_INDEX = 2;
/** The database's own header, on the first page. */
const FILE_HEADER_BYTES = 100;
/** A frame's row is at most its payload and some numbers. */
const RECORD_BYTES_MAX = 1_114_112;

/** How long pages are, by the database's own header. */
export function pageBytesIn(header: Buffer): number {
  const named = header.readUInt16BE(16);
  return named === 1 ? 65_536 : named;
}

/** The records of a page; none on one that has no records, or isn't one of these kinds. */
export function* recordsOf(
  page: Uint8Array,
  isFirst: boolean,
  context: PageContext,
): Generator<PageRecord> {
  const view = new DataView(page.buffer, page.byteOffset, page.length);
  const start = isFirst ? FILE_HEADER_BYTES : 0;
  const kind = view.getUint8(start);
  if (kind !== LEAF_OF_TABLE && kind !== LEAF_OF_INDEX && kind !== INNER_OF_INDEX) return;
  const pointers = start + (kind === INNER_OF_INDEX ? 12 : 8);
  const count = Math.min(
    view.getUint16(start + 3),
    Math.floor((context.usableBytes - pointers) / 2),
  );
  for (let index = 0; index < count; index += 1) {
    const at = view.getUint16(pointers + 2 * index);
    const record = recordAt(page, at, kind, context);
    if (record !== undefined) yield record;
  }
}

function recordAt(
  page: Uint8Array,
  at: number,
  kind: number,
  context: PageContext,
): PageRecord | undefined {
  const cursor = new Cursor(page, kind === INNER_OF_INDEX ? at + 4 : at);
  const length = cursor.varint();
  const rowid = kind === LEAF_OF_TABLE ? cursor.varint() : undefined;
  if (cursor.failed || length < 2 || length > RECORD_BYTES_MAX) return undefined;
  const bytes = payloadOf(page, cursor.at, length, kind === LEAF_OF_TABLE, context);
  if (bytes === undefined) return undefined;
  const values = valuesOf(bytes);
  return values && { rowid, values };
}

/** A record's bytes, put together from its page and those that it goes on on. */
function payloadOf(
  page: Uint8Array,
  at: number,
  length: number,
  inTable: boolean,
  { usableBytes, overflow }: PageContext,
): Uint8Array | undefined {
  const localMin = Math.floor(((usableBytes - 12) * 32) / 255) - 23;
  const localMax = inTable ? usableBytes - 35 : Math.floor(((usableBytes - 12) * 64) / 255) - 23;
  if (length <= localMax)
    return at + length <= page.length ? page.subarray(at, at + length) : undefined;
  const fitting = localMin + ((length - localMin) % (usableBytes - 4));
  const local = fitting <= localMax ? fitting : localMin;
  if (at + local + 4 > page.length) return undefined;
  const bytes = new Uint8Array(length);
  bytes.set(page.subarray(at, at + local));
  let filled = local;
  let next = u32(page, at + local);
  while (filled < length) {
    const more = next === 0 ? undefined : overflow(next);
    if (more === undefined) return undefined;
    const part = Math.min(length - filled, usableBytes - 4);
    bytes.set(more.subarray(4, 4 + part), filled);
    filled += part;
    next = u32(more, 0);
  }
  return bytes;
}

function valuesOf(record: Uint8Array): PageValue[] | undefined {
  const header = new Cursor(record, 0);
  const headerBytes = header.varint();
  if (header.failed || headerBytes > record.length) return undefined;
  const values: PageValue[] = [];
  let at = headerBytes;
  while (header.at < headerBytes) {
    const type = header.varint();
    const length = lengthOf(type);
    if (header.failed || length === undefined || at + length > record.length) return undefined;
    values.push(valueIn(type, record.subarray(at, at + length)));
    at += length;
  }
  return values;
}

const INTEGER_BYTES = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0] as const;

function lengthOf(type: number): number | undefined {
  if (type >= 12) return Math.floor((type - 12) / 2);
  return INTEGER_BYTES[type];
}

function valueIn(type: number, bytes: Uint8Array): PageValue {
  if (type === 0) return null;
  if (type === 8 || type === 9) return type - 8;
  if (type >= 12) return type % 2 === 0 ? bytes : Buffer.from(bytes).toString('utf8');
  if (type === 7) return undefined;
  let value = (bytes[0] ?? 0) > 127 ? -1n : 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : undefined;
}

function u32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
}

/** Reads SQLite's varints: up to nine bytes, the high ones first. */
class Cursor {
  readonly #bytes: Uint8Array;
  at: number;
  failed = false;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  varint(): number {
    let value = 0;
    for (let index = 0; index < 8; index += 1) {
      const byte = this.#bytes[this.at];
      if (byte === undefined) break;
      this.at += 1;
      value = value * 128 + (byte & 127);
      if (byte < 128) {
        this.failed ||= !Number.isSafeInteger(value);
        return value;
      }
    }
    // A nine-byte one is beyond all that a store has.
    this.failed = true;
    return 0;
  }
}
