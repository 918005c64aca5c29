/**
 * Everything that reads the SQLite store. Synchronous; runs in the reader's thread
 * (`reader-worker.ts`), so that a long answer never holds a commit up.
 *
 * Invariants: each call is one short transaction over a bounded number of rows and bytes, for a
 * reader that stays keeps the write-ahead log from being emptied; it never writes.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { auditEpoch, type StreamFacts } from './audit.ts';
import { settledRangeOf } from './settled-table.ts';
import { storeErrorOf } from './sqlite-errors.ts';
import type {
  CollectorAudit,
  ExportFilter,
  FramePage,
  FramePosition,
  FrameQuery,
  KnownCollector,
  NewestFrame,
  StoredFrame,
} from './store.ts';

/** A page or a chunk ends after the frame that brings it to this. */
const ANSWER_BYTES_MAX = 4_194_304;
const CHUNK_FRAMES_MAX = 1_000;

/** A place in the order of an export: collector, epoch, seq. */
export type ExportPosition = Omit<FramePosition, 'capturedAt'>;

interface Stream {
  readonly id: number;
  readonly collector: string;
  readonly epoch: string;
}

export class SqliteReader {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  collectors(): KnownCollector[] {
    return this.#transaction('reading the collectors', () =>
      this.#prepared('SELECT collector, instance, last_heard_at FROM collectors ORDER BY collector')
        .all()
        .map((row) => ({
          collector: String(row.collector),
          instance: String(row.instance),
          lastHeardAt: Number(row.last_heard_at),
          newest: this.#newestOf(String(row.collector)),
        })),
    );
  }

  audit(collector: string | undefined): CollectorAudit[] {
    return this.#transaction('reading the audit', () =>
      this.#prepared(`
        SELECT collector, last_heard_at FROM collectors
        WHERE collector = coalesce(?1, collector) ORDER BY collector`)
        .all(collector ?? null)
        .map((row) => ({
          collector: String(row.collector),
          lastHeardAt: Number(row.last_heard_at),
          epochs: this.#auditOf(String(row.collector)),
        })),
    );
  }

  /** A page in the order of capture. */
  frames(query: FrameQuery): FramePage {
    return this.#transaction('reading frames', () => {
      const streams = this.#streamsOf(query);
      if (query.order === 'newest') streams.reverse();
      const { after } = query;
      const start = after ? streams.findIndex((stream) => notBefore(stream, after, query)) : 0;
      const frames: StoredFrame[] = [];
      let bytes = 0;
      for (const stream of start < 0 ? [] : streams.slice(start)) {
        for (const row of this.#rowsByCapture(stream, query, query.limit - frames.length + 1)) {
          if (frames.length >= query.limit || bytes >= ANSWER_BYTES_MAX) {
            return { frames, last: false };
          }
          const frame = frameOf(stream, row);
          frames.push(frame);
          bytes += frame.payload.length;
        }
      }
      return { frames, last: true };
    });
  }

  /** The next frames of an export, by seq; empty at its end. */
  exportChunk(filter: ExportFilter, after: ExportPosition | undefined): StoredFrame[] {
    return this.#transaction('exporting frames', () => {
      const frames: StoredFrame[] = [];
      let bytes = 0;
      for (const stream of this.#streamsOf(filter)) {
        if (after && compare(stream, after) < 0) continue;
        const afterSeq = after && compare(stream, after) === 0 ? after.seq : 0;
        for (const row of this.#rowsBySeq(stream, afterSeq, CHUNK_FRAMES_MAX)) {
          const frame = frameOf(stream, row);
          frames.push(frame);
          bytes += frame.payload.length;
          if (frames.length >= CHUNK_FRAMES_MAX || bytes >= ANSWER_BYTES_MAX) return frames;
        }
      }
      return frames;
    });
  }

  close(): void {
    this.#database.close();
  }

  #newestOf(collector: string): NewestFrame | undefined {
    const newest = this.#prepared(`
      SELECT seq, captured_at, received_at FROM frames WHERE stream_id = ?
      ORDER BY seq DESC LIMIT 1`);
    for (const stream of this.#streamsOf({ collector }).reverse()) {
      const row = newest.get(stream.id);
      if (row === undefined) continue;
      return {
        epoch: stream.epoch,
        seq: Number(row.seq),
        capturedAt: Number(row.captured_at),
        receivedAt: Number(row.received_at),
      };
    }
    return undefined;
  }

  #auditOf(collector: string) {
    const settled = this.#prepared(
      'SELECT first, last, state, code FROM settled WHERE stream_id = ? ORDER BY first',
    );
    return this.#prepared(`
      SELECT id, epoch, lowest, highest, last_named, held, duplicates_refused,
        (SELECT count(*) FROM conflicts WHERE stream_id = id) AS conflicts_refused
      FROM streams WHERE collector = ? ORDER BY epoch`)
      .all(collector)
      .map((row) => auditEpoch(factsOf(row), settled.all(Number(row.id)).map(settledRangeOf)));
  }

  #streamsOf({ collector, epoch }: ExportFilter): Stream[] {
    return this.#prepared(`
      SELECT id, collector, epoch FROM streams
      WHERE collector = coalesce(?1, collector) AND epoch = coalesce(?2, epoch)
      ORDER BY collector, epoch`)
      .all(collector ?? null, epoch ?? null)
      .map((row) => ({
        id: Number(row.id),
        collector: String(row.collector),
        epoch: String(row.epoch),
      }));
  }

  #rowsByCapture(stream: Stream, query: FrameQuery, limit: number) {
    const [beyond, direction] = query.order === 'oldest' ? ['>', 'ASC'] : ['<', 'DESC'];
    const { after } = query;
    const within = after && compare(stream, after) === 0 ? after : undefined;
    const place = within ? `AND (captured_at, seq) ${beyond} (?4, ?5)` : '';
    return this.#prepared(`
      SELECT seq, captured_at, received_at, crc, payload FROM frames
      WHERE stream_id = ?1 AND captured_at >= ?2 AND captured_at < ?3 ${place}
      ORDER BY captured_at ${direction}, seq ${direction} LIMIT ${within ? '?6' : '?4'}`).iterate(
      stream.id,
      ...captureBounds(query),
      ...(within ? [within.capturedAt, within.seq] : []),
      limit,
    );
  }

  #rowsBySeq(stream: Stream, afterSeq: number, limit: number) {
    return this.#prepared(`
      SELECT seq, captured_at, received_at, crc, payload FROM frames
      WHERE stream_id = ? AND seq > ? ORDER BY seq LIMIT ?`).iterate(stream.id, afterSeq, limit);
  }

  #transaction<T>(doing: string, read: () => T): T {
    try {
      this.#database.exec('BEGIN');
      try {
        return read();
      } finally {
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      }
    } catch (error) {
      throw storeErrorOf(error, doing);
    }
  }

  /** Each statement is compiled once. */
  #prepared(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

function captureBounds(filter: FrameQuery): [number, number] {
  return [filter.capturedFrom ?? 0, filter.capturedBefore ?? 2 ** 53];
}

/** By collector, then epoch: the order of everything that spans streams. */
function compare(stream: Stream, place: { collector: string; epoch: string }): number {
  if (stream.collector !== place.collector) return stream.collector < place.collector ? -1 : 1;
  if (stream.epoch !== place.epoch) return stream.epoch < place.epoch ? -1 : 1;
  return 0;
}

/** True for the stream of a place and those behind it in the query's order. */
function notBefore(stream: Stream, place: FramePosition, { order }: FrameQuery): boolean {
  const order0 = compare(stream, place);
  return order === 'oldest' ? order0 >= 0 : order0 <= 0;
}

function factsOf(row: Record<string, unknown>): StreamFacts {
  return {
    epoch: String(row.epoch),
    lowest: Number(row.lowest),
    highest: Number(row.highest),
    lastNamed: Number(row.last_named),
    held: row.held === 1,
    duplicatesRefused: Number(row.duplicates_refused),
    conflictsRefused: Number(row.conflicts_refused),
  };
}

function frameOf(stream: Stream, row: Record<string, unknown>): StoredFrame {
  return {
    collector: stream.collector,
    epoch: stream.epoch,
    seq: Number(row.seq),
    capturedAt: Number(row.captured_at),
    receivedAt: Number(row.received_at),
    crc: Number(row.crc),
    payload: row.payload instanceof Uint8Array ? row.payload : new Uint8Array(),
  };
}
