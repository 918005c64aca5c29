/**
 * What the reader asks of SQLite is answered from indexes, whatever is asked: nothing walks the
 * frames, and nothing is sorted. With twenty million rows there is no other way to be quick.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SqliteReader } from '#server/store/sqlite-reader.ts';
import { openForReading } from '#server/store/sqlite-schema.ts';
import { SqliteStore } from '#server/store/sqlite-store.ts';
import type { FrameQuery } from '#server/store/store.ts';
import { announce, batchOf, EPOCH_A, epochOf, frameOf, framesOf } from './store-contract.ts';

const directory = mkdtempSync(join(tmpdir(), 'holdfast-plans-'));
let database: DatabaseSync;
let reader: SqliteReader;
const asked = new Set<string>();

beforeAll(async () => {
  const fresh = { storeId: 'x', createdAt: 1 };
  const store = await SqliteStore.open({ directory, fresh });
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 9)]);
  await store.commit(batchOf(streams[0] ?? -1, { frames: framesOf(EPOCH_A, 1, 9) }));
  await store.close();
  database = openForReading(directory);
  const prepare = (sql: string) => {
    asked.add(sql);
    return database.prepare(sql);
  };
  const spied = new Proxy(database, {
    get: (target, name) => {
      if (name === 'prepare') return prepare;
      const value = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  reader = new SqliteReader(spied);
});

afterAll(() => {
  database.close();
  rmSync(directory, { recursive: true });
});

/** Every question in every form. */
function askAll(): void {
  reader.collectors();
  reader.audit(undefined);
  reader.audit('c1');
  reader.summary([1]);
  reader.gaps({ collector: 'c1' });
  const place = { collector: 'c1', epoch: EPOCH_A, seq: 3 };
  const after = { ...place, capturedAt: frameOf(EPOCH_A, 3).capturedAt };
  for (const order of ['oldest', 'newest'] as const) {
    for (const narrowed of [{}, { collector: 'c1' }, { collector: 'c1', epoch: EPOCH_A }]) {
      const query: FrameQuery = { ...narrowed, order, limit: 2 };
      reader.frames(query);
      reader.frames({ ...query, after });
      reader.frames({ ...query, capturedFrom: 1, capturedBefore: 2 });
    }
  }
}

function planOf(sql: string): string[] {
  const rows = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
  return rows.map(({ detail }) => String(detail));
}

test('no question walks a large table or sorts what it finds', () => {
  askAll();
  const questions = [...asked].filter((sql) => !sql.startsWith('PRAGMA'));
  const plans = questions.map((sql) => ({ sql, plan: planOf(sql) }));
  expect(plans.length).toBeGreaterThan(10);
  for (const { sql, plan } of plans) {
    for (const step of plan) {
      // Collectors and streams are few: one for each collector, and for each opening of its queue.
      expect(step, sql).not.toMatch(/^SCAN (?!collectors|streams)/);
      expect(step, sql).not.toContain('TEMP B-TREE');
    }
  }
});

test('one collector is found without looking at the others', () => {
  askAll();
  const narrowed = [...asked].filter((sql) => /collector = \?/.test(sql));
  expect(narrowed.length).toBeGreaterThan(3);
  for (const sql of narrowed) expect(planOf(sql).join('; '), sql).not.toMatch(/^SCAN|; SCAN/);
});

test('a question that does walk the frames would be seen', () => {
  const [step] = planOf('SELECT count(payload) FROM frames WHERE captured_at > 5');
  expect(step).toMatch(/^SCAN (?!collectors|streams)/);
});

test('what goes on behind a place begins its search there, not at the beginning of all', () => {
  askAll();
  const continued = [...asked].filter((sql) => sql.includes('(captured_at, seq)'));
  expect(continued).toHaveLength(2);
  for (const sql of continued) expect(planOf(sql).join('; '), sql).toContain('(captured_at,seq)');
});
