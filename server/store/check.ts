/**
 * Reads all of a store and tells what is damaged, changing nothing. In short steps of bounded size,
 * so that a store can be checked while a server writes to it, and so that a server can do it on the
 * side.
 *
 * Each step reads some rows of one stream in one snapshot, by the primary key's index into the
 * table, and holds three things against each other: the rows and their CRCs, their entries in the
 * index by capture, and what the table `settled` calls stored. So a page that is gone, a bit that is
 * wrong and a row that was lost all show, by collector, epoch and seq. What that leaves out, free
 * pages and the like, is SQLite's own check's (`structure`), which takes one long look.
 */
import type { DatabaseSync } from 'node:sqlite';
import { FrameCrc, SEQ_MAX } from '#protocol/identity.ts';
import { type SeqRange, type SettledRange, SettledRanges } from '#protocol/settlement.ts';
import { settledRangeOf } from './settled-table.ts';
import { type Prepare, statementsOf } from './statements.ts';

const STEP_FRAMES_MAX = 1_000;
const STEP_BYTES_MAX = 4_194_304;
/** A store that is damaged all over need not be told of whole. */
const PROBLEMS_MAX = 1_000;
/** Of what SQLite says of single pages, which tells a person little. */
const STRUCTURE_LINES_MAX = 3;

export type FrameProblemKind =
  /** The row doesn't match its CRC. */
  | 'damaged'
  /** The row is stored, by what is settled, and isn't there. */
  | 'missing'
  /** The row can't be read. */
  | 'unreadable'
  /** The row is there and not called stored. */
  | 'unsettled'
  /** The row is not found by its capture time. */
  | 'unindexed';

export type StoreProblem =
  | ({
      readonly kind: FrameProblemKind;
      readonly collector: string;
      readonly epoch: string;
    } & SeqRange)
  /** The files, the log or a table as such; in words. */
  | { readonly kind: 'file'; readonly text: string };

interface Stream {
  readonly id: number;
  readonly collector: string;
  readonly epoch: string;
  readonly crc: FrameCrc;
}

export class StoreCheck {
  readonly #database: DatabaseSync;
  readonly #structure: boolean;
  readonly #prepared: Prepare;
  readonly #problems: StoreProblem[] = [];
  #streams: Stream[] | undefined;
  #stream = 0;
  /** Up to this seq the present stream has been read. */
  #after = 0;
  /** Rows of the next step: fewer where reading fails, to find out where. */
  #rowsMax = STEP_FRAMES_MAX;
  #omitted = 0;
  #frames = 0;
  #tables: 'unread' | 'read' = 'unread';
  #done = false;

  /** @param structure Whether to end with SQLite's own check, which is one long transaction. */
  constructor(database: DatabaseSync, { structure }: { readonly structure: boolean }) {
    this.#database = database;
    this.#prepared = statementsOf(database);
    this.#structure = structure;
  }

  get done(): boolean {
    return this.#done;
  }

  /** Frames that were read so far. */
  get frames(): number {
    return this.#frames;
  }

  /** The first of them; neighbours of one stream are one. */
  get problems(): readonly StoreProblem[] {
    return this.#problems;
  }

  /** How many further ones there were. */
  get omitted(): number {
    return this.#omitted;
  }

  /** A small piece of work; nothing when all is done. */
  step(): void {
    if (this.#done) return;
    if (this.#streams === undefined) this.#streams = this.#readStreams();
    else if (this.#stream < this.#streams.length) this.#stepStream();
    else if (this.#tables === 'unread') this.#readTables();
    else this.#checkStructure();
  }

  #readStreams(): Stream[] {
    try {
      return this.#prepared('SELECT id, collector, epoch FROM streams ORDER BY id')
        .all()
        .map((row) => {
          const epoch = String(row.epoch);
          const crc = new FrameCrc(epoch);
          return { id: Number(row.id), collector: String(row.collector), epoch, crc };
        });
    } catch (error) {
      this.#tell({ kind: 'file', text: `the table streams can't be read: ${textOf(error)}` });
      return [];
    }
  }

  #stepStream(): void {
    const stream = this.#streams?.[this.#stream];
    if (stream === undefined) return;
    try {
      const atEnd = this.#inSnapshot(() => this.#readRows(stream));
      this.#rowsMax = Math.min(this.#rowsMax * 2, STEP_FRAMES_MAX);
      if (atEnd) this.#nextStream();
    } catch (error) {
      if (this.#rowsMax > 1) this.#rowsMax = Math.ceil(this.#rowsMax / 8);
      else this.#skipRow(stream, error);
    }
  }

  #nextStream(): void {
    this.#stream += 1;
    this.#after = 0;
    this.#rowsMax = STEP_FRAMES_MAX;
  }

  /** Reads the next rows. Answers whether there are none behind them. */
  #readRows(stream: Stream): boolean {
    const runs = new SettledRanges();
    const found: [FrameProblemKind, number][] = [];
    let bytes = 0;
    let count = 0;
    let last = this.#after;
    let atEnd = true;
    for (const row of this.#rowsBehind(stream, this.#rowsMax + 1)) {
      if (count >= this.#rowsMax || bytes >= STEP_BYTES_MAX) {
        atEnd = false;
        break;
      }
      const seq = Number(row.seq);
      const { payload } = row;
      const whole =
        payload instanceof Uint8Array &&
        stream.crc.of(seq, Number(row.captured_at), payload) === row.crc;
      if (!whole) found.push(['damaged', seq]);
      if (row.by_capture !== 1) found.push(['unindexed', seq]);
      runs.add({ from: seq, to: seq, state: 'stored', code: 0 });
      bytes += payload instanceof Uint8Array ? payload.length : 0;
      count += 1;
      last = seq;
    }
    const part = { from: this.#after + 1, to: atEnd ? SEQ_MAX : last };
    const storedRuns = this.#storedWithin(stream, part);
    for (const [kind, seq] of found) this.#tellOf(stream, kind, { from: seq, to: seq });
    for (const { from, to } of storedRuns) {
      for (const run of runs.unsettled(from, to)) this.#tellOf(stream, 'missing', run);
    }
    const settled = new SettledRanges(storedRuns);
    for (const { from, to } of runs.ranges) {
      for (const run of settled.unsettled(from, to)) this.#tellOf(stream, 'unsettled', run);
    }
    this.#frames += count;
    this.#after = last;
    return atEnd;
  }

  #rowsBehind({ id }: Stream, limit: number) {
    return this.#prepared(`
      SELECT seq, captured_at, crc, payload, EXISTS (
        SELECT 1 FROM frames AS entry INDEXED BY frames_by_capture
        WHERE entry.stream_id = frames.stream_id AND entry.captured_at = frames.captured_at
          AND entry.seq = frames.seq) AS by_capture
      FROM frames WHERE stream_id = ? AND seq > ? ORDER BY seq LIMIT ?`).iterate(
      id,
      this.#after,
      limit,
    );
  }

  #storedWithin({ id }: Stream, { from, to }: SeqRange): SettledRange[] {
    const rows = this.#prepared(`
      SELECT first, last, state, code FROM settled
      WHERE stream_id = ?1 AND state = 3 AND first <= ?3 AND first >= coalesce(
        (SELECT first FROM settled WHERE stream_id = ?1 AND first <= ?2
         ORDER BY first DESC LIMIT 1), ?2)
      ORDER BY first`)
      .all(id, from, to)
      .map(settledRangeOf);
    return new SettledRanges(rows).within(from, to);
  }

  /** A single row can't be read: it is the next one that is called stored. */
  #skipRow(stream: Stream, error: unknown): void {
    let next: number | undefined;
    try {
      next = this.#storedWithin(stream, { from: this.#after + 1, to: SEQ_MAX })[0]?.from;
    } catch {
      next = undefined;
    }
    if (next === undefined) {
      const { collector, epoch } = stream;
      const text = `of ${collector}, epoch ${epoch}, nothing behind seq ${this.#after} can be read: ${textOf(error)}`;
      this.#tell({ kind: 'file', text });
      this.#nextStream();
      return;
    }
    this.#tellOf(stream, 'unreadable', { from: next, to: next });
    this.#after = next;
  }

  #readTables(): void {
    this.#tables = 'read';
    for (const table of ['meta', 'collectors', 'settled', 'conflicts']) {
      try {
        for (const row of this.#prepared(`SELECT * FROM ${table}`).iterate()) void row;
      } catch (error) {
        this.#tell({ kind: 'file', text: `the table ${table} can't be read: ${textOf(error)}` });
      }
    }
  }

  #checkStructure(): void {
    this.#done = true;
    if (!this.#structure) return;
    try {
      const lines = this.#prepared('PRAGMA quick_check(100)')
        .all()
        .flatMap((row) => String(row.quick_check).split('\n'))
        .filter((line) => line !== 'ok' && !line.startsWith('***'));
      if (lines.length === 0) return;
      const more = lines.length - STRUCTURE_LINES_MAX;
      const shown = lines.slice(0, STRUCTURE_LINES_MAX).join('; ');
      const text = `SQLite's own check of the pages: ${shown}${more > 0 ? ` (and ${more} more)` : ''}`;
      this.#tell({ kind: 'file', text });
    } catch (error) {
      this.#tell({ kind: 'file', text: `SQLite's own check ended early: ${textOf(error)}` });
    }
  }

  #tellOf({ collector, epoch }: Stream, kind: FrameProblemKind, { from, to }: SeqRange): void {
    const last = this.#problems.at(-1);
    const joins =
      last?.kind === kind &&
      last.collector === collector &&
      last.epoch === epoch &&
      last.to + 1 === from;
    if (joins) this.#problems[this.#problems.length - 1] = { ...last, to };
    else this.#tell({ kind, collector, epoch, from, to });
  }

  #tell(problem: StoreProblem): void {
    if (this.#problems.length < PROBLEMS_MAX) this.#problems.push(problem);
    else this.#omitted += 1;
  }

  #inSnapshot<T>(read: () => T): T {
    this.#database.exec('BEGIN');
    try {
      return read();
    } finally {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    }
  }
}

/** What reading all of a store came to where it can be worked on all the same. */
export interface CheckOutcome {
  readonly frames: number;
  /** Frames whose bytes no longer match their CRC; nothing else is wrong. */
  readonly damaged: number;
  /** Where they are, in words; the first of them. */
  readonly problems: readonly string[];
}

export function outcomeOf(frames: number, problems: readonly StoreProblem[]): CheckOutcome {
  const damaged = problems.reduce(
    (sum, problem) => (problem.kind === 'file' ? sum : sum + problem.to - problem.from + 1),
    0,
  );
  return { frames, damaged, problems: problems.map(describeProblem) };
}

/**
 * Whether a store with this problem must not be worked on: writing to it may make it worse. A row
 * with a wrong bit harms nobody else.
 */
export function isStructural({ kind }: StoreProblem): boolean {
  return kind !== 'damaged';
}

/** A problem in words. */
export function describeProblem(problem: StoreProblem): string {
  if (problem.kind === 'file') return problem.text;
  const { kind, collector, epoch, from, to } = problem;
  const frames = from === to ? `frame ${from}` : `frames ${from} to ${to}`;
  return `${collector}, epoch ${epoch}, ${frames}: ${WORDS[kind]}`;
}

const WORDS: Readonly<Record<FrameProblemKind, string>> = {
  damaged: 'the bytes no longer match their CRC',
  missing: 'called stored, but there is no row',
  unreadable: "the row can't be read",
  unsettled: 'there is a row that is not called stored',
  unindexed: 'not found by capture time',
};

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
