/**
 * The store as something that is derived from it sees it: which frames are there, by streams and runs
 * of seqs, and the frames themselves. A read-only connection of its own, for a thread of its own.
 *
 * Invariants: each call is one short statement or a page of bounded size (a reader that stays keeps
 * the write-ahead log from being emptied); it never writes. Throws StoreError.
 *
 * Runs of seqs, not row ids: rows can be removed, and a store can be an older copy of itself; what is
 * settled of a stream says in any case what is there.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { SeqRange } from '#protocol/settlement.ts';
import { storeErrorOf } from './sqlite-errors.ts';
import { openForReading, readStoreId } from './sqlite-schema.ts';
import { StoreError, type StreamId } from './store.ts';

export interface StreamName {
  readonly collector: string;
  readonly epoch: string;
}

/** A run of seqs of one stream. */
export interface Run extends SeqRange {
  readonly stream: StreamId;
}

export interface FollowedFrame {
  readonly seq: number;
  /** Microseconds since 1970 UTC, as `receivedAt`. */
  readonly capturedAt: number;
  readonly receivedAt: number;
  readonly payload: Uint8Array;
}

/** The codes of `settled.state`; docs/store-format.md. */
const STORED = 3;
const PRUNED = 4;

export class FollowedStore {
  readonly storeId: string;
  readonly #database: DatabaseSync;
  readonly #version: StatementSync;
  readonly #name: StatementSync;
  readonly #streams: StatementSync;
  readonly #runsAfter: StatementSync;
  readonly #runsOf: StatementSync;
  readonly #kept: StatementSync;
  readonly #frames: StatementSync;

  constructor(directory: string) {
    try {
      const database = openForReading(directory);
      this.#database = database;
      this.storeId = readStoreId(database);
      this.#version = database.prepare('PRAGMA data_version');
      this.#name = database.prepare('SELECT collector, epoch FROM streams WHERE id = ?');
      this.#streams = database.prepare(
        'SELECT id FROM streams WHERE collector = ? ORDER BY epoch DESC',
      );
      this.#runsAfter = database.prepare(`
        SELECT stream_id, first, last FROM settled
        WHERE (stream_id, first) > (?, ?) AND state = ${STORED} ORDER BY stream_id, first LIMIT ?`);
      this.#runsOf = database.prepare(
        `SELECT first, last FROM settled WHERE stream_id = ? AND state = ${STORED} ORDER BY first DESC`,
      );
      this.#kept = database.prepare(`
        SELECT first, last FROM settled
        WHERE stream_id = ?1 AND first <= ?3 AND last >= ?2 AND state IN (${STORED}, ${PRUNED})
        ORDER BY first`);
      this.#frames = database.prepare(`
        SELECT seq, captured_at, received_at, payload FROM frames
        WHERE stream_id = ? AND seq BETWEEN ? AND ? ORDER BY seq DESC`);
    } catch (error) {
      throw storeErrorOf(error, `opening the store in ${directory} for following it`);
    }
  }

  /** Another number after a commit. */
  version(): number {
    return this.#reading(() => Number(this.#version.get()?.data_version));
  }

  nameOf(stream: StreamId): StreamName | undefined {
    return this.#reading(() => {
      const row = this.#name.get(stream);
      return row && { collector: String(row.collector), epoch: String(row.epoch) };
    });
  }

  /** Newest epoch first. */
  streamsOf(collector: string): StreamId[] {
    return this.#reading(() => this.#streams.all(collector).map(({ id }) => Number(id)));
  }

  /** The next runs of stored seqs behind a place, by stream and seq. */
  storedAfter(stream: StreamId, first: number, limit: number): Run[] {
    return this.#reading(() => this.#runsAfter.all(stream, first, limit).map(runOf));
  }

  /** The runs of stored seqs of a stream, newest first. */
  storedOf(stream: StreamId): Run[] {
    return this.#reading(() =>
      this.#runsOf.all(stream).map((row) => runOf({ ...row, stream_id: stream })),
    );
  }

  /** True when each seq of the run is stored, or was and is pruned. */
  holds({ stream, from, to }: Run): boolean {
    return this.#reading(() => {
      let next = from;
      for (const row of this.#kept.iterate(stream, from, to)) {
        if (Number(row.first) > next) return false;
        next = Number(row.last) + 1;
      }
      return next > to;
    });
  }

  /**
   * The frames of a run from its end downwards, until so many, or so many bytes, are there; and how far
   * down that is: what lies between that has no frame is gone.
   */
  newestOf({ stream, from, to }: Run, limit: number, bytesMax: number) {
    return this.#reading(() => {
      const frames: FollowedFrame[] = [];
      const lowest = Math.max(from, to - limit + 1);
      let bytes = 0;
      for (const row of this.#frames.iterate(stream, lowest, to)) {
        const frame = frameOf(row);
        frames.push(frame);
        bytes += frame.payload.length;
        if (bytes >= bytesMax) return { frames, downTo: frame.seq };
      }
      return { frames, downTo: lowest };
    });
  }

  close(): void {
    this.#database.close();
  }

  #reading<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw error instanceof StoreError ? error : storeErrorOf(error, 'following the store');
    }
  }
}

function runOf(row: Record<string, unknown>): Run {
  return { stream: Number(row.stream_id), from: Number(row.first), to: Number(row.last) };
}

function frameOf(row: Record<string, unknown>): FollowedFrame {
  return {
    seq: Number(row.seq),
    capturedAt: Number(row.captured_at),
    receivedAt: Number(row.received_at),
    payload: row.payload instanceof Uint8Array ? row.payload : new Uint8Array(),
  };
}
