/**
 * A store and its follower in the test's own thread, and the same answers made by hand: a plain
 * reduction of all readings that were put in.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { formatTime, frameCrc } from '#protocol/identity.ts';
import { Follower, LATE_US } from '#server/series/follower.ts';
import { DELIVERY_LAG } from '#server/series/readings.ts';
import { SeriesFile } from '#server/series/series-file.ts';
import { answerSeries, type SeriesQuestion } from '#server/series/series-query.ts';
import { FollowedStore } from '#server/store/followed-store.ts';
import { type OpenedStore, openStore } from '#server/store/opening.ts';
import { packBatches } from '#server/store/packed-batches.ts';
import { SettledTable } from '#server/store/settled-table.ts';
import { SqliteWriter } from '#server/store/sqlite-writer.ts';
import type { AnnounceAnswer } from '#server/store/store.ts';

export const BASE_US = 1_760_000_000_000_000;

export interface TestFrame {
  readonly seq: number;
  readonly capturedAt: number;
  readonly payload: string | Uint8Array;
}

/** What a frame means to a chart. */
export interface Expected {
  readonly collector: string;
  readonly metric: string;
  readonly capturedAt: number;
  readonly value: number;
  readonly late: boolean;
}

interface Answer {
  readonly complete_to: string | null;
  readonly from: string;
  readonly to: string;
  readonly bucket_seconds: number;
  readonly series: {
    readonly collector: string;
    readonly metric: string;
    readonly unit: string;
    readonly attributes: Record<string, string>;
    readonly buckets: {
      readonly t: string;
      readonly mean: number;
      readonly count: number;
      readonly late: number;
    }[];
  }[];
}

export function epochOf(n: number): string {
  return `01900000-0000-7000-8000-${String(n).padStart(12, '0')}`;
}

/** A store that is written in this thread. */
export class TestStore {
  readonly directory: string;
  readonly #opened: OpenedStore;
  readonly #writer: SqliteWriter;

  constructor(directory = mkdtempSync(join(tmpdir(), 'holdfast-series-'))) {
    this.directory = directory;
    this.#opened = openStore(directory, {
      fresh: { storeId: randomUUID(), createdAt: 1 },
    });
    this.#writer = new SqliteWriter(this.#opened.database, directory);
  }

  stream(collector: string, epoch: string): number {
    const announcement = {
      collector,
      instance: 'i',
      connection: randomUUID(),
      at: 1,
      epochs: [{ epoch, lowest: 1, highest: 1, predecessor: undefined }],
      complete: false,
    };
    const items = [{ kind: 'announce', announcement }] as const;
    const { results } = this.#writer.run({ items, batches: packBatches([]) });
    return (results[0] as AnnounceAnswer).streams[0] ?? -1;
  }

  put(stream: number, epoch: string, receivedAt: number, frames: readonly TestFrame[]): void {
    const wire = frames.map(({ seq, capturedAt, payload: given }) => {
      const payload = typeof given === 'string' ? Buffer.from(given) : given;
      const crc = frameCrc({ epoch, seq, capturedAt, payload });
      return { seq, capturedAt, payload, crc };
    });
    const ascending = wire.sort((a, b) => a.seq - b.seq);
    const batch = { collector: 'c', stream, receivedAt, gaps: [], rejects: [], frames: ascending };
    this.#writer.run({ items: [{ kind: 'batches', count: 1 }], batches: packBatches([batch]) });
  }

  /** As retention does it: the rows go, the seqs are remembered as pruned. */
  prune(stream: number, from: number, to: number): void {
    const { database } = this.#opened;
    const settled = new SettledTable(database);
    database.exec('BEGIN');
    database
      .prepare('DELETE FROM frames WHERE stream_id = ? AND seq BETWEEN ? AND ?')
      .run(stream, from, to);
    const pruned = { from, to, state: 'pruned', code: 0 } as const;
    settled.settle(stream, settled.around(stream, [pruned]), [pruned]);
    database.exec('COMMIT');
  }

  close(): void {
    this.#writer.close();
    this.#opened.lock.release();
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }
}

/** A follower of a store's directory. */
export class TestFollower {
  readonly store: FollowedStore;
  readonly file: SeriesFile;
  readonly follower: Follower;

  constructor(
    directory: string,
    limits: { seriesPerCollectorMax?: number; bucketsMax?: number } = {},
  ) {
    this.store = new FollowedStore(directory);
    this.file = new SeriesFile(directory, this.store.storeId);
    this.follower = new Follower({
      store: this.store,
      file: this.file,
      seriesPerCollectorMax: limits.seriesPerCollectorMax ?? 100,
      bucketsMax: limits.bucketsMax ?? 1_000_000,
      wallTime: () => BASE_US,
    });
  }

  toItsEnd(): void {
    // A pass ends without what was stored while it ran; the next one finds that.
    for (let idle = 0; idle < 2; ) idle = this.follower.step() === 'idle' ? idle + 1 : 0;
  }

  ask(question: Partial<SeriesQuestion> = {}): Answer {
    const all = {
      collectors: [],
      metrics: [],
      attributes: [],
      from: undefined,
      to: undefined,
      points: 1_000,
      form: 'buckets' as const,
    };
    const { catalogue, completeTo } = this.follower;
    const answer = answerSeries(this.file, catalogue, { ...all, ...question }, completeTo);
    if ('wrong' in answer) throw new Error(answer.wrong);
    return JSON.parse(answer.json);
  }

  close(): void {
    this.file.close();
    this.store.close();
  }
}

export function isLate(receivedAt: number, capturedAt: number): boolean {
  return receivedAt - capturedAt > LATE_US;
}

/** What the server adds for a frame of which anything is charted. */
export function lagOf(
  collector: string,
  frame: { readonly capturedAt: number; readonly receivedAt: number },
): Expected {
  const { capturedAt, receivedAt } = frame;
  const value = (receivedAt - capturedAt) / 1e6;
  return {
    collector,
    metric: DELIVERY_LAG,
    capturedAt,
    value,
    late: isLate(receivedAt, capturedAt),
  };
}

/** Holds an answer against a reduction of all that was put in. */
export function expectReduced(answer: Answer, all: readonly Expected[]): void {
  const step = Math.round(answer.bucket_seconds * 1e6);
  const [from, to] = [answer.from, answer.to].map((time) => (time ? timeOf(time) : 0));
  const lines = new Map<string, Expected[]>();
  for (const one of all) {
    const key = `${one.collector} ${one.metric}`;
    lines.set(key, [...(lines.get(key) ?? []), one]);
  }
  expect(answer.series.map(({ collector, metric }) => `${collector} ${metric}`)).toEqual(
    [...lines.keys()].sort(),
  );
  for (const { collector, metric, buckets } of answer.series) {
    const within = (lines.get(`${collector} ${metric}`) ?? []).filter(
      ({ capturedAt }) => capturedAt >= (from ?? 0) && capturedAt < (to ?? 0),
    );
    expect(buckets).toEqual(reduced(within, step));
  }
}

function reduced(readings: readonly Expected[], step: number) {
  const steps = new Map<number, Expected[]>();
  for (const one of readings) {
    const number = Math.floor(one.capturedAt / step);
    steps.set(number, [...(steps.get(number) ?? []), one]);
  }
  return [...steps]
    .sort(([a], [b]) => a - b)
    .map(([number, inside]) => {
      const values = inside.map(({ value }) => value);
      return {
        t: formatTime(number * step),
        min: Math.min(...values),
        max: Math.max(...values),
        mean: expect.closeTo(values.reduce((sum, value) => sum + value, 0) / values.length, 6),
        count: values.length,
        late: inside.filter(({ late }) => late).length,
      };
    });
}

/** Of a time as the API writes it. */
export function timeOf(text: string): number {
  return Date.parse(`${text.slice(0, 23)}Z`) * 1_000 + Number(text.slice(23, 26));
}
