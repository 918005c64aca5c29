/**
 * The tables `collectors` and `streams`: who was heard, which epochs each has announced, and what
 * it holds of them. Part of the writer; runs within its transactions.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { EpochAnnouncement } from '#protocol/messages.ts';
import type { Announcement, Heard, StreamId } from './store.ts';

export class StreamTable {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Notes what a collector holds. Answers the streams of the epochs, in their order. */
  announce(announcement: Announcement): StreamId[] {
    const { collector, instance, connection, at, epochs, complete } = announcement;
    this.#prepared(`
      INSERT INTO collectors (collector, instance, first_heard_at, last_heard_at)
      VALUES (?1, ?2, ?3, ?3)
      ON CONFLICT DO UPDATE SET instance = ?2, last_heard_at = max(last_heard_at, ?3)`).run(
      collector,
      instance,
      at,
    );
    const streams = epochs.map((epoch) => this.#announceEpoch(announcement, epoch));
    if (complete) {
      this.#prepared(`
        UPDATE streams SET held = 0
        WHERE collector = ? AND held = 1 AND announced_in IS NOT ?`).run(collector, connection);
    }
    return streams;
  }

  collectorsKnown(): number {
    return Number(this.#prepared('SELECT count(*) AS known FROM collectors').get()?.known);
  }

  /** A seq of this stream has come: it exists, whatever was announced. */
  reached(stream: StreamId, seq: number): void {
    this.#prepared('UPDATE streams SET highest = ?2 WHERE id = ?1 AND highest < ?2').run(
      stream,
      seq,
    );
  }

  countDuplicates(stream: StreamId, count: number): void {
    this.#prepared(
      'UPDATE streams SET duplicates_refused = duplicates_refused + ? WHERE id = ?',
    ).run(count, stream);
  }

  heard({ collector, at, highest }: Heard): void {
    this.#prepared(
      'UPDATE collectors SET last_heard_at = ?2 WHERE collector = ?1 AND last_heard_at < ?2',
    ).run(collector, at);
    if (highest) this.reached(highest.stream, highest.seq);
  }

  #announceEpoch(announcement: Announcement, announced: EpochAnnouncement): StreamId {
    const { collector, connection, at } = announcement;
    const { epoch, lowest, highest, predecessor } = announced;
    // A predecessor that this store never met becomes a stream too, held by nobody: what it lacks
    // of it must show as missing.
    if (predecessor) {
      this.#prepared(`
        INSERT INTO streams (collector, epoch, lowest, highest, last_named, held)
        VALUES (?1, ?2, 1, 0, ?3, 0)
        ON CONFLICT DO UPDATE SET last_named = max(last_named, ?3)`).run(
        collector,
        predecessor.epoch,
        predecessor.lastSeq,
      );
    }
    // What an earlier connection knew of and this one doesn't was held by a queue that is gone (an
    // older copy of it is in its place): it stays known, but nobody holds it. An epoch that comes
    // again on the same connection is asked about in another part; all parts together are held.
    const row = this.#prepared(`
      INSERT INTO streams (collector, epoch, predecessor_epoch, predecessor_last, lowest, highest,
        held, announced_in, announced_at)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8)
      ON CONFLICT DO UPDATE SET predecessor_epoch = ?3, predecessor_last = ?4,
        lowest = CASE WHEN announced_in IS ?7 THEN min(lowest, ?5) ELSE ?5 END,
        highest = CASE WHEN announced_in IS ?7 THEN max(highest, ?6) ELSE ?6 END,
        last_named = max(last_named, highest),
        held = 1, announced_in = ?7, announced_at = ?8
      RETURNING id`).get(
      collector,
      epoch,
      predecessor?.epoch ?? null,
      predecessor?.lastSeq ?? null,
      lowest,
      highest,
      connection,
      at,
    );
    return Number(row?.id);
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
