/** What every peer is measured with: its records, their way in and what came out. */
import { appendFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LateError } from '#bench/in-time.ts';
import { Arrivals, SinkFile } from '#bench/peers/arrivals.ts';
import { type Edge, fill, offer, Window } from '#bench/peers/handover.ts';
import { RECORD_BYTES } from '#bench/peers/peer.ts';
import { headOf, numberOf, recordOf } from '#bench/peers/records.ts';
import { seeded } from '../seed.ts';

const DEADLINE_MS = 10_000;

test('a record is printable, of its length, and says its number and capture time', () => {
  const heads = fc.record({
    number: fc.nat({ max: 999_999_999 }),
    capturedAtMs: fc.nat({ max: 999_999_999_999 }).map((us) => us / 1_000),
  });
  fc.assert(
    fc.property(heads, (head) => {
      const record = recordOf(head);
      expect(record.length).toBe(RECORD_BYTES);
      expect(record.toString('latin1')).toMatch(/^[ -~]*$/);
      expect(headOf(record)).toEqual(head);
      expect(numberOf(record)).toBe(head.number);
    }),
    seeded(),
  );
});

test('a record that was changed anywhere but in its capture time, or cut short, is none', () => {
  const record = recordOf({ number: 7, capturedAtMs: 1 });
  expect(headOf(record.subarray(1))).toBeUndefined();
  expect(numberOf(record.subarray(1))).toBeNaN();
  expect(numberOf(Buffer.alloc(RECORD_BYTES, '+'))).toBeNaN();
  for (const at of [0, 10, 27, 28, RECORD_BYTES - 1]) {
    const changed = Buffer.from(record);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    expect(headOf(changed)).toBeUndefined();
  }
});

test('an arrival is counted each time and timed at the first', async () => {
  const arrivals = new Arrivals();
  const stored = arrivals.stored(2, DEADLINE_MS);
  arrivals.note(recordOf({ number: 5, capturedAtMs: 100 }), 101.5);
  arrivals.note(recordOf({ number: 5, capturedAtMs: 100 }), 108);
  arrivals.note(recordOf({ number: 4, capturedAtMs: 100 }), 103);
  arrivals.note(recordOf({ number: 6, capturedAtMs: 100 }), 104);
  expect(await stored).toBe(103);
  expect(await arrivals.stored(1, DEADLINE_MS)).toBe(101.5);
  expect(arrivals.all()).toEqual([
    { number: 5, times: 2, latencyMs: 1.5 },
    { number: 4, times: 1, latencyMs: 3 },
    { number: 6, times: 1, latencyMs: 4 },
  ]);
});

test('too few records by the deadline, or one that is none, is told', async () => {
  const arrivals = new Arrivals();
  arrivals.note(Buffer.from('ready'), 0);
  const late = arrivals.stored(1, 1);
  await expect(late).rejects.toBeInstanceOf(LateError);
  await expect(late).rejects.toThrow(
    'the sink got 0 and 1 that are none of 1 records within 0.001 s',
  );
  expect(() => arrivals.all()).toThrow('1 of what the sink has are no records');
});

test('a record that is counted as it arrives is still judged: changed, it is none', async () => {
  const arrivals = new Arrivals();
  const changed = recordOf({ number: 5, capturedAtMs: 100 });
  changed.writeUInt8(changed.readUInt8(RECORD_BYTES - 1) ^ 1, RECORD_BYTES - 1);
  arrivals.note(changed, 101);
  expect(await arrivals.stored(1, DEADLINE_MS)).toBe(101);
  expect(() => arrivals.all()).toThrow('1 of what the sink has are no records');
});

test('nothing is waited for once nothing can come any more', async () => {
  const arrivals = new Arrivals();
  const waiting = arrivals.stored(1, DEADLINE_MS);
  arrivals.fail(new Error('it hung up'));
  await expect(waiting).rejects.toThrow('it hung up');
  await expect(arrivals.stored(1, DEADLINE_MS)).rejects.toThrow('it hung up');
});

test('a file is followed as it grows, wherever a write ends', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-peers-'));
  const path = join(directory, 'sink');
  const arrivals = new Arrivals();
  const sink = new SinkFile(path, arrivals);
  try {
    const count = 3_000;
    const lines = Array.from({ length: count }, (_, number) => [
      recordOf({ number, capturedAtMs: 0 }),
      Buffer.from('\n'),
    ]);
    const written = Buffer.concat(lines.flat());
    const steps = [1, 150, 60, 400_000];
    for (let from = 0, i = 0; from < written.length; i += 1) {
      const step = steps[i % steps.length] ?? 1;
      appendFileSync(path, written.subarray(from, from + step));
      from += step;
    }
    await arrivals.stored(count, DEADLINE_MS);
    expect(arrivals.all().map(({ number }) => number)).toEqual(lines.map((_, number) => number));
  } finally {
    sink.close();
    await rm(directory, { recursive: true });
  }
});

test.each([
  ['as fast as it goes', fill],
  ['at a rate', (edge: Edge, first: number, count: number) => offer(edge, first, count, 50_000)],
])(
  'records are given %s, each once, no more of them unacknowledged than allowed',
  async (_, give) => {
    const window = new Window(10);
    const given: (number | undefined)[] = [];
    let unacknowledged = 0;
    let most = 0;
    const send: Edge['send'] = (records) => {
      given.push(...records.map((record) => headOf(record)?.number));
      unacknowledged += records.length;
      most = Math.max(most, unacknowledged);
      setImmediate(() => {
        unacknowledged -= records.length;
        window.acknowledged(records.length);
      });
    };
    await give({ window, send }, 100, 1_000);
    expect(given).toEqual(Array.from({ length: 1_000 }, (_, i) => 100 + i));
    expect(most).toBeLessThanOrEqual(10);
    expect(unacknowledged).toBe(0);
  },
);

test('a refusal ends the handover', async () => {
  const window = new Window(10);
  const send = () => window.fail(new Error('refused'));
  await expect(fill({ window, send }, 0, 100)).rejects.toThrow('refused');
});
