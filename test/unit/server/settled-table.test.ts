/** The table of settled ranges against the set in memory that has the same rules. */
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SETTLED_STATES, SettledRanges } from '#protocol/settlement.ts';
import { SettledTable, settledRangeOf } from '#server/store/settled-table.ts';
import { seeded } from '../seed.ts';

const range = fc
  .tuple(
    fc.integer({ min: 1, max: 30 }),
    fc.integer({ min: 0, max: 4 }),
    fc.constantFrom(...SETTLED_STATES),
    fc.integer({ min: 0, max: 1 }),
  )
  .map(([from, more, state, code]) => ({ from, to: from + more, state, code }));

function newTable(): DatabaseSync {
  const database = new DatabaseSync(':memory:');
  database.exec(`CREATE TABLE settled (stream_id INTEGER, first INTEGER, last INTEGER,
    state INTEGER, code INTEGER, PRIMARY KEY (stream_id, first)) STRICT, WITHOUT ROWID`);
  return database;
}

test('rows stay merged, and equal to the set, whatever is settled in whatever portions', () => {
  fc.assert(
    fc.property(fc.array(fc.array(range, { minLength: 1, maxLength: 4 })), (portions) => {
      using database = newTable();
      const table = new SettledTable(database);
      const model = new SettledRanges();
      // Another stream's rows must never be met.
      table.settle(2, [], [{ from: 1, to: 100, state: 'pruned', code: 0 }]);
      for (const added of portions) {
        const after = table.settle(1, table.around(1, added), added);
        for (const part of added) model.add(part);
        for (const { from, to } of added) {
          expect(after.within(from, to)).toEqual(model.within(from, to));
        }
      }
      const rows = database.prepare('SELECT * FROM settled WHERE stream_id = 1 ORDER BY first');
      expect(rows.all().map(settledRangeOf)).toEqual(model.ranges);
      expect(table.within(1, { from: 10, to: 25 }, 64)).toEqual(model.within(10, 25));
      expect(table.within(1, { from: 10, to: 25 }, 2)).toEqual(model.within(10, 25).slice(0, 2));
    }),
    seeded({ numRuns: 300 }),
  );
});
