/**
 * What the charts say is what was stored: against a plain reduction of all frames, whatever the order
 * of their arrival, with restarts, kills, retention, lost and damaged files in between.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { formatTime } from '#protocol/identity.ts';
import { COARSEST, LEVELS } from '#server/series/levels.ts';
import { DELIVERY_LAG } from '#server/series/readings.ts';
import { isDamage, SERIES_FILE, SeriesFile } from '#server/series/series-file.ts';
import { seeded } from '#test/unit/seed.ts';
import {
  BASE_US,
  type Expected,
  epochOf,
  expectReduced,
  isLate,
  lagOf,
  TestFollower,
  TestStore,
  timeOf,
} from './rig.ts';

const stores: TestStore[] = [];

afterEach(() => {
  for (const store of stores.splice(0)) {
    store.close();
    store.remove();
  }
});

function newStore(directory?: string): TestStore {
  const store = new TestStore(directory);
  stores.push(store);
  return store;
}

const SECOND = 1_000_000;
const SPREADS = [1_000, SECOND, 60 * SECOND, 86_400 * SECOND, 40 * 86_400 * SECOND];

const frame = fc.record({
  spread: fc.constantFrom(...SPREADS),
  offset: fc.nat({ max: 999_999 }),
  values: fc.array(fc.integer({ min: -1_000_000, max: 1_000_000 }), { maxLength: 3 }),
});
const batch = fc.record({
  type: fc.constant('batch' as const),
  stream: fc.nat({ max: 3 }),
  firstSeq: fc.integer({ min: 1, max: 60 }),
  lagUs: fc.constantFrom(0, 9 * SECOND, 11 * SECOND, 86_400 * SECOND),
  frames: fc.array(frame, { minLength: 1, maxLength: 12 }),
});
const steps = fc.record({ type: fc.constant('steps' as const), count: fc.nat({ max: 8 }) });
const restart = fc.record({ type: fc.constant('restart' as const) });
const prune = fc.record({
  type: fc.constant('prune' as const),
  stream: fc.nat({ max: 3 }),
  upTo: fc.integer({ min: 1, max: 60 }),
});
const history = fc.array(
  fc.oneof({ arbitrary: batch, weight: 5 }, { arbitrary: steps, weight: 3 }, restart, prune),
  { maxLength: 25 },
);
const question = fc.record({
  from: fc.option(fc.nat({ max: 50 * 86_400 }), { nil: undefined }),
  seconds: fc.integer({ min: 1, max: 50 * 86_400 }),
  points: fc.constantFrom(3, 100, 1_000, 5_000),
});

type Event = typeof history extends fc.Arbitrary<(infer One)[]> ? One : never;
type Batch = Extract<Event, { type: 'batch' }>;

/** Two collectors with two epochs each, what was put in, and what of it is to be seen. */
class Model {
  readonly store = newStore();
  readonly names = [0, 1, 2, 3].map((n) => ({ collector: `c${n % 2}`, epoch: epochOf(n) }));
  readonly streams = this.names.map(({ collector, epoch }) => this.store.stream(collector, epoch));
  following = new TestFollower(this.store.directory);
  readonly #pruned = this.streams.map(() => 0);
  readonly #held = this.streams.map(() => new Map<number, Expected[]>());
  /** Charted before retention took their frames. */
  readonly #gone: Expected[] = [];

  get all(): Expected[] {
    return [...this.#gone, ...this.#held.flatMap((map) => [...map.values()].flat())];
  }

  apply(event: Event): void {
    if (event.type === 'batch') this.#put(event);
    else if (event.type === 'prune') this.#prune(event.stream, event.upTo);
    else if (event.type === 'steps') {
      for (let n = 0; n < event.count; n += 1) this.following.follower.step();
    } else {
      this.following.close();
      this.following = new TestFollower(this.store.directory);
    }
  }

  end(): void {
    this.following.close();
    stores.pop();
    this.store.close();
    this.store.remove();
  }

  #put({ stream, firstSeq, lagUs, frames }: Batch): void {
    const { collector, epoch } = this.names[stream] ?? { collector: '', epoch: '' };
    const made = frames.map(({ spread, offset, values }, n) => ({
      seq: firstSeq + n,
      capturedAt: BASE_US + Math.floor((offset / 1e6) * spread),
      payload: JSON.stringify(Object.fromEntries(values.map((v, i) => [`m${i}`, v / 1_000]))),
      values,
    }));
    const receivedAt = Math.max(...made.map(({ capturedAt }) => capturedAt)) + lagUs;
    this.store.put(this.streams[stream] ?? -1, epoch, receivedAt, made);
    for (const { seq, capturedAt, values } of made) {
      // The first frame under a number stands, and a pruned number never returns.
      if (seq <= (this.#pruned[stream] ?? 0) || this.#held[stream]?.has(seq)) continue;
      const one = { collector, capturedAt, late: isLate(receivedAt, capturedAt) };
      const readings = values.map((v, i) => ({ ...one, metric: `m${i}`, value: v / 1_000 }));
      const lag = values.length > 0 ? [lagOf(collector, { capturedAt, receivedAt })] : [];
      this.#held[stream]?.set(seq, [...lag, ...readings]);
    }
  }

  #prune(stream: number, upTo: number): void {
    const id = this.streams[stream] ?? -1;
    for (const [seq, readings] of this.#held[stream] ?? []) {
      if (seq > upTo) continue;
      // What was charted stays; what retention took before that never is.
      if (this.following.file.followed(id, seq, seq).length > 0) this.#gone.push(...readings);
      this.#held[stream]?.delete(seq);
    }
    this.#pruned[stream] = Math.max(this.#pruned[stream] ?? 0, upTo);
    this.store.prune(id, 1, upTo);
  }
}

test('charts equal a reduction of all frames, whatever happened on the way', () => {
  fc.assert(
    fc.property(history, fc.array(question, { maxLength: 4 }), (events, questions) => {
      const model = new Model();
      for (const event of events) model.apply(event);
      const { following, all } = model;
      following.toItsEnd();
      expectReduced(following.ask(), all);
      for (const { from, seconds, points } of all.length > 0 ? questions : []) {
        const start = from === undefined ? undefined : BASE_US + from * SECOND;
        const to = (start ?? BASE_US) + seconds * SECOND;
        expectReduced(following.ask({ from: start, to, points }), all);
      }
      model.end();
    }),
    seeded({ numRuns: 30 }),
  );
}, 60_000);

/** A store with frames a second apart, some of which share a second or a hundredth. */
function filled(count: number): { store: TestStore; all: Expected[]; stream: number } {
  const store = newStore();
  const epoch = epochOf(1);
  const stream = store.stream('c', epoch);
  const all: Expected[] = [];
  const frames = Array.from({ length: count }, (_, n) => {
    const capturedAt = BASE_US + Math.floor(n * 0.7) * SECOND + (n % 5) * 3_000;
    all.push({ collector: 'c', metric: 'm', capturedAt, value: n, late: false });
    all.push(lagOf('c', { capturedAt, receivedAt: BASE_US }));
    return { seq: n + 1, capturedAt, payload: `{"m":${n}}` };
  });
  store.put(stream, epoch, BASE_US, frames);
  return { store, all, stream };
}

test('new frames are charted before old ones', () => {
  const { store, stream } = filled(3_000);
  const following = new TestFollower(store.directory);
  for (let n = 0; n < 3; n += 1) following.follower.step();
  expect(following.file.followed(stream, 1, 3_000)).toEqual([{ from: 2_489, to: 3_000 }]);
  expect(following.ask().complete_to).toBeNull();
  following.toItsEnd();
  expect(following.file.followed(stream, 1, 3_000)).toEqual([{ from: 1, to: 3_000 }]);
  expect(timeOf(following.ask().complete_to ?? '')).toBe(BASE_US);
  following.close();
});

test('a question has the frames of its collectors charted first, as far as time allows', () => {
  const { store, all } = filled(1_000);
  const following = new TestFollower(store.directory);
  let turns = 2;
  expect(following.follower.catchUp('c', () => --turns >= 0)).toBeUndefined();
  expect(following.follower.catchUp('c', () => true)).toBe(BASE_US);
  expectReduced(following.ask(), all);
  expect(following.follower.catchUp(undefined, () => true)).toBe(BASE_US);
  following.toItsEnd();
  expectReduced(following.ask(), all);
  following.close();
});

test('of a collector with many epochs and holes the newest are charted first, and time is kept', () => {
  const store = newStore();
  for (const n of [1, 2, 3]) {
    const stream = store.stream('c', epochOf(n));
    const frames = [1, 3, 5].map((seq) => ({
      seq,
      capturedAt: BASE_US + n * 10 * SECOND + seq * SECOND,
      payload: `{"m":${n * 10 + seq}}`,
    }));
    store.put(stream, epochOf(n), BASE_US + 60 * SECOND, frames);
  }
  const following = new TestFollower(store.directory);
  const charted = () =>
    following.ask({ metrics: ['m'] }).series[0]?.buckets.map(({ mean }) => mean) ?? [];
  for (const expected of [[35], [33, 35], [31, 33, 35], [25, 31, 33, 35]]) {
    const before = charted().length;
    following.follower.catchUp('c', () => charted().length === before);
    expect(charted()).toEqual(expected);
  }
  let looks = 4;
  following.toItsEnd();
  expect(following.follower.catchUp('c', () => --looks > 0)).toBeUndefined();
  expect(looks).toBe(0);
  expect(following.follower.catchUp('c', () => true)).toBe(BASE_US);
  following.close();
});

test('a follower that is killed again and again charts each frame once', async () => {
  const { store, all } = filled(3_000);
  const child = fileURLToPath(new URL('./following-child.ts', import.meta.url));
  for (let kills = 0; ; kills += 1) {
    const process = spawn(globalThis.process.execPath, [child, store.directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(process, 'exit');
    let told = 0;
    // The child tells of each transaction and is killed at one that comes a little later each time.
    process.stdout.on('data', (bytes: Buffer) => {
      told += bytes.length;
      if (told > kills) process.kill('SIGKILL');
    });
    const [code] = await ended;
    if (code === null) continue;
    expect(code).toBe(0);
    expect(kills).toBeGreaterThan(2);
    break;
  }
  const following = new TestFollower(store.directory);
  expectReduced(following.ask(), all);
  following.close();
});

test('at each level but the coarsest the oldest buckets go, and coarser ones answer for them', () => {
  const store = newStore();
  const epoch = epochOf(1);
  const stream = store.stream('c', epoch);
  const following = new TestFollower(store.directory, { bucketsMax: 1_000 });
  const all: Expected[] = [];
  for (let batch = 0; batch < 12; batch += 1) {
    const frames = Array.from({ length: 500 }, (_, n) => {
      const seq = batch * 500 + n + 1;
      const capturedAt = BASE_US + seq * SECOND;
      all.push({ collector: 'c', metric: 'm', capturedAt, value: seq, late: false });
      all.push(lagOf('c', { capturedAt, receivedAt: BASE_US }));
      return { seq, capturedAt, payload: `{"m":${seq}}` };
    });
    store.put(stream, epoch, BASE_US, frames);
    following.toItsEnd();
  }
  const second = LEVELS.indexOf(SECOND);
  const { buckets, keptFrom } = following.file.extent(1, second);
  expect(buckets).toBeLessThan(2_000);
  expect(keptFrom * SECOND).toBeGreaterThan(BASE_US + 4_000 * SECOND);
  expect([...following.file.within(1, second, 0, 2 ** 39)]).toHaveLength(buckets);
  expect(following.file.extent(1, COARSEST).keptFrom).toBe(0);
  const answer = following.ask({ points: 5_000 });
  expect(answer.bucket_seconds).toBe(10);
  expectReduced(answer, all);
  const recent = following.ask({ from: keptFrom * SECOND, points: buckets + 1 });
  expect(recent.bucket_seconds).toBe(1);
  expectReduced(recent, all);
  // A late frame from before is in what is kept.
  const capturedAt = BASE_US + 5 * SECOND + 1;
  const receivedAt = BASE_US + 60 * SECOND;
  store.put(stream, epoch, receivedAt, [{ seq: 7_000, capturedAt, payload: '{"m":-1}' }]);
  following.toItsEnd();
  all.push({ collector: 'c', metric: 'm', capturedAt, value: -1, late: true });
  all.push(lagOf('c', { capturedAt, receivedAt }));
  expectReduced(following.ask({ points: 5_000 }), all);
  following.close();
});

test('series of one collector are bounded; what is left out is counted, the rest goes on', () => {
  const store = newStore();
  const epoch = epochOf(1);
  const stream = store.stream('c', epoch);
  const frames = Array.from({ length: 20 }, (_, n) => ({
    seq: n + 1,
    capturedAt: BASE_US + n * SECOND,
    payload: JSON.stringify(
      Object.fromEntries(Array.from({ length: 500 }, (_, k) => [`k${n * 500 + k}`, k])),
    ),
  }));
  store.put(stream, epoch, BASE_US, frames);
  const following = new TestFollower(store.directory, { seriesPerCollectorMax: 300 });
  following.toItsEnd();
  const metrics = following.ask().series.map(({ metric }) => metric);
  expect(metrics.filter((metric) => metric !== DELIVERY_LAG)).toHaveLength(300);
  // The server's own is beside them, and of every frame: those of which all else is left out, too.
  expect(metrics).toHaveLength(301);
  const [lag] = following.ask({ metrics: [DELIVERY_LAG], points: 1 }).series;
  expect(lag?.buckets).toMatchObject([{ count: 20 }]);
  expect(following.file.collectors()).toMatchObject([{ collector: 'c', leftOut: 9_700 }]);
  following.close();
});

test('how long each charted frame was on its way is a series of its own', () => {
  const store = newStore();
  const epoch = epochOf(1);
  const stream = store.stream('c', epoch);
  const put = (receivedAt: number, seq: number, capturedAt: number, payload: string) =>
    store.put(stream, epoch, receivedAt, [{ seq, capturedAt, payload }]);
  put(BASE_US + 1_250, 1, BASE_US, '{"m":1}');
  put(BASE_US + 31 * SECOND, 2, BASE_US + SECOND, '{"m":2,"n":3}');
  // A collector whose clock is ahead.
  put(BASE_US, 3, BASE_US + 2 * SECOND, '{"m":4}');
  put(BASE_US + 9 * SECOND, 4, BASE_US + 3 * SECOND, '"no numbers"');
  const following = new TestFollower(store.directory);
  following.toItsEnd();
  const answer = following.ask({ metrics: [DELIVERY_LAG], points: 4 });
  const bucket = (seconds: number, value: number, late: number) => ({
    t: formatTime(BASE_US + seconds * SECOND),
    min: value,
    max: value,
    mean: value,
    count: 1,
    late,
  });
  expect(answer.series).toEqual([
    {
      collector: 'c',
      metric: 'holdfast.delivery.lag',
      unit: 's',
      attributes: {},
      buckets: [bucket(0, 0.00125, 0), bucket(1, 30, 1), bucket(2, -2, 0)],
    },
  ]);
  following.close();
});

test('no payload has a say in the delivery lag', () => {
  const store = newStore();
  const epoch = epochOf(1);
  const stream = store.stream('c', epoch);
  const forged = [
    '{"metrics":[{"name":"holdfast.delivery.lag","unit":"s","value":99},{"name":"m","value":1}]}',
    '{"holdfast":{"delivery":{"lag":99}},"attributes":{"room":"hall"},"m":1}',
    '{"holdfast.delivery.lag":99}',
  ];
  const frames = forged.map((payload, n) => ({ seq: n + 1, capturedAt: BASE_US, payload }));
  store.put(stream, epoch, BASE_US + SECOND, frames);
  const following = new TestFollower(store.directory);
  following.toItsEnd();
  const [lag, ...others] = following.ask({ metrics: [DELIVERY_LAG] }).series;
  expect(others).toEqual([]);
  expect(lag).toMatchObject({ unit: 's', attributes: {}, buckets: [{ max: 1, count: 2 }] });
  expect(following.file.collectors()).toMatchObject([{ collector: 'c', leftOut: 3 }]);
  following.close();
});

test('a file without the delivery lag is made anew', () => {
  const { store } = filled(3);
  new TestFollower(store.directory).close();
  const before = new DatabaseSync(join(store.directory, SERIES_FILE));
  before.exec('PRAGMA user_version = 1');
  before.close();
  expect(damageOf(store.directory)).toContain('of version 1');
});

function damageOf(directory: string): string | undefined {
  try {
    const following = new TestFollower(directory);
    try {
      following.toItsEnd();
      following.ask();
    } finally {
      following.close();
    }
    return undefined;
  } catch (error) {
    if (isDamage(error)) return error.message;
    throw error;
  }
}

test('a store that is an older copy of itself is noticed, as is another store', () => {
  const { store: before, stream, all } = filled(100);
  before.close();
  stores.pop();
  const copy = mkdtempSync(join(tmpdir(), 'holdfast-series-'));
  cpSync(before.directory, copy, { recursive: true });
  const store = newStore(before.directory);
  store.put(stream, epochOf(1), BASE_US, [{ seq: 101, capturedAt: BASE_US, payload: '{"m":1}' }]);
  const following = new TestFollower(store.directory);
  following.toItsEnd();
  following.close();
  cpSync(join(store.directory, SERIES_FILE), join(copy, SERIES_FILE));
  expect(damageOf(copy)).toContain('no longer has all charted frames of c');
  SeriesFile.remove(copy);
  expect(damageOf(copy)).toBeUndefined();
  const again = new TestFollower(copy);
  expectReduced(again.ask(), all);
  again.close();
  const other = newStore();
  cpSync(join(copy, SERIES_FILE), join(other.directory, SERIES_FILE));
  expect(damageOf(other.directory)).toContain('another store');
  rmSync(copy, { recursive: true });
});

test('a damaged file is noticed, not answered from', () => {
  const { store } = filled(3_000);
  expect(damageOf(store.directory)).toBeUndefined();
  const file = openSync(join(store.directory, SERIES_FILE), 'r+');
  for (let at = 4_096 * 12; at < 4_096 * 40; at += 64)
    writeSync(file, Buffer.from([0xa5]), 0, 1, at);
  expect(damageOf(store.directory)).toBeDefined();
  writeSync(file, Buffer.alloc(4_096, 1), 0, 4_096, 0);
  expect(damageOf(store.directory)).toBeDefined();
});
