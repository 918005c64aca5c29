/**
 * Everything that reads the SQLite store. Synchronous; runs in the reader's thread
 * (`reader-worker.ts`), so that a long answer never holds a commit up.
 *
 * Invariants: each call is one short transaction over a bounded number of rows and bytes, for a
 * reader that stays keeps the write-ahead log from being emptied; it never writes.
 */
import type { DatabaseSync } from 'node:sqlite';
import { auditEpoch, type StreamFacts, totalsOf } from './audit.ts';
import { extentOf, findGaps } from './gaps.ts';
import { settledRangeOf } from './settled-table.ts';
import { storeErrorOf } from './sqlite-errors.ts';
import { type Prepare, statementsOf } from './statements.ts';
import type {
  CollectorAudit,
  FramePage,
  FrameQuery,
  GapQuery,
  KnownCollector,
  NewestFrame,
  PlacedGaps,
  StoredFrame,
  StoreSummary,
} from './store.ts';

/** A page ends after the frame that brings it to this. */
const ANSWER_BYTES_MAX = 4_194_304;

interface Stream {
  readonly id: number;
  readonly collector: string;
  readonly epoch: string;
}

export class SqliteReader {
  readonly #database: DatabaseSync;
  readonly #prepared: Prepare;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#prepared = statementsOf(database);
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
    const [which, ...values] = collector === undefined ? ['true'] : ['collector = ?', collector];
    return this.#transaction('reading the audit', () =>
      this.#prepared(
        `SELECT collector, last_heard_at FROM collectors WHERE ${which} ORDER BY collector`,
      )
        .all(...values)
        .map((row) => ({
          collector: String(row.collector),
          lastHeardAt: Number(row.last_heard_at),
          epochs: this.#auditOf(String(row.collector)),
        })),
    );
  }

  gaps(query: GapQuery): PlacedGaps {
    return this.#transaction('reading the gaps', () => findGaps(this.#prepared, query));
  }

  summary(silentSince: readonly number[]): StoreSummary {
    return this.#transaction('summing up', () => {
      const heard = this.#prepared('SELECT collector, last_heard_at FROM collectors').all();
      const pages = (name: string) => Number(this.#prepared(`PRAGMA ${name}`).get()?.[name]);
      return {
        totals: totalsOf(heard.flatMap(({ collector }) => this.#auditOf(String(collector)))),
        collectors: heard.length,
        silent: silentSince.map(
          (since) => heard.filter((row) => Number(row.last_heard_at) < since).length,
        ),
        bytes: pages('page_count') * pages('page_size'),
      };
    });
  }

  /** A page in the order of capture. */
  frames(query: FrameQuery): FramePage {
    return this.#transaction('reading frames', () => {
      const frames: StoredFrame[] = [];
      let bytes = 0;
      for (const stream of this.#streamsOf(query)) {
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

  close(): void {
    this.#database.close();
  }

  #newestOf(collector: string): NewestFrame | undefined {
    const newest = this.#prepared(`
      SELECT seq, captured_at, received_at FROM frames WHERE stream_id = ?
      ORDER BY seq DESC LIMIT 1`);
    for (const stream of this.#streamsOf({ collector, order: 'newest' })) {
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

  /** The streams that a query reaches, its `after` among them, one by one in its order. */
  *#streamsOf({
    collector,
    epoch,
    order,
    after,
  }: Pick<FrameQuery, 'collector' | 'epoch' | 'order' | 'after'>): Generator<Stream> {
    const [from, direction] = order === 'oldest' ? ['>=', 'ASC'] : ['<=', 'DESC'];
    const conditions = [
      ...(collector === undefined ? [] : [['collector = ?', collector]]),
      ...(epoch === undefined ? [] : [['epoch = ?', epoch]]),
      ...(after ? [[`(collector, epoch) ${from} (?, ?)`, after.collector, after.epoch]] : []),
    ];
    const where = conditions.map(([condition]) => condition).join(' AND ') || 'true';
    const rows = this.#prepared(`
      SELECT id, collector, epoch FROM streams WHERE ${where}
      ORDER BY collector ${direction}, epoch ${direction}`).iterate(
      ...conditions.flatMap(([, ...values]) => values),
    );
    for (const row of rows) {
      yield { id: Number(row.id), collector: String(row.collector), epoch: String(row.epoch) };
    }
  }

  #rowsByCapture(stream: Stream, query: FrameQuery, limit: number) {
    const { after } = query;
    const begun = after?.collector === stream.collector && after.epoch === stream.epoch;
    const within = begun ? after : undefined;
    const { from, before } = captureBounds(query);
    const rest = query.order === 'oldest' ? before : from;
    const bounds = within ? [within.capturedAt, within.seq, rest] : [from, before];
    const sql = rowsByCapture(query.order, within !== undefined);
    return this.#prepared(sql).iterate(stream.id, ...bounds, limit);
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
}

function captureBounds(filter: FrameQuery): { from: number; before: number } {
  return { from: filter.capturedFrom ?? 0, before: filter.capturedBefore ?? 2 ** 53 };
}

/**
 * Rows of a stream by capture time: its id, then from and before, or where one is `begun` the place of
 * its last row and the bound on the far side; and how many. That place is the only bound on its side,
 * as SQLite begins its search at one: given two it took the other one, and went through all that was
 * read already for each further piece of an export.
 */
function rowsByCapture(order: FrameQuery['order'], begun: boolean): string {
  const isAscending = order === 'oldest';
  const [beyond, direction] = isAscending ? ['>', 'ASC'] : ['<', 'DESC'];
  const rest = isAscending ? 'captured_at < ?4' : 'captured_at >= ?4';
  const bounds = begun
    ? `(captured_at, seq) ${beyond} (?2, ?3) AND ${rest}`
    : 'captured_at >= ?2 AND captured_at < ?3';
  return `
    SELECT seq, captured_at, received_at, crc, payload FROM frames
    WHERE stream_id = ?1 AND ${bounds}
    ORDER BY captured_at ${direction}, seq ${direction} LIMIT ${begun ? '?5' : '?4'}`;
}

function factsOf(row: Record<string, unknown>): StreamFacts {
  return {
    ...extentOf(row),
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
