/** `./holdfast server export` and `audit`, as processes on the files of a store. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatTime } from '#protocol/identity.ts';
import { SqliteStore } from '#server/store/sqlite-store.ts';
import { Program } from './program.ts';
import {
  announce,
  batchOf,
  EPOCH_A,
  EPOCH_B,
  epochOf,
  frameOf,
  framesOf,
} from './store-contract.ts';

let directory: string;
let store: SqliteStore;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-data-'));
  store = await SqliteStore.open({ directory, fresh: { storeId: 'the store', createdAt: 1 } });
});

afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

async function run(...args: string[]) {
  const program = new Program({ HOLDFAST_STORE_PATH: directory }, ...args);
  const exitCode = await program.exited();
  return { exitCode, out: program.out, err: program.err };
}

async function fill(count = 3): Promise<void> {
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, count)]);
  await store.commit(batchOf(streams[0] ?? -1, { frames: framesOf(EPOCH_A, 1, count) }));
}

function seqsIn(ndjson: string): number[] {
  const lines = ndjson.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line).seq);
}

describe('export', () => {
  test('reads a store that a server works on, and one that has stopped', async () => {
    await fill(2_500);
    const live = await run('export');
    expect(live).toMatchObject({ exitCode: 0, err: '' });
    expect(seqsIn(live.out)).toEqual(Array.from({ length: 2_500 }, (_, i) => i + 1));
    await store.close();
    expect((await run('export')).out).toBe(live.out);
  });

  test('keeps to its filters and goes on behind a line', async () => {
    await fill(9);
    const at = (seq: number) => formatTime(frameOf(EPOCH_A, seq).capturedAt);
    const filter = ['--collector', 'c1', '--epoch', EPOCH_A, '--from', at(2), '--to', at(8)];
    const csv = await run('export', '--format', 'csv', ...filter);
    const lines = csv.out.trimEnd().split('\r\n');
    expect(lines).toHaveLength(7);
    const after = lines[3]?.split(',').slice(0, 4).join(',') ?? '';
    expect(seqsIn((await run('export', ...filter, '--after', after)).out)).toEqual([5, 6, 7]);
  });

  test('writes a file that is whole when it is there', async () => {
    await fill(3);
    const output = join(directory, 'out.ndjson');
    expect(await run('export', '--output', output)).toEqual({ exitCode: 0, out: '', err: '' });
    expect(seqsIn(readFileSync(output, 'utf8'))).toEqual([1, 2, 3]);
    expect(existsSync(`${output}.part`)).toBe(false);
    const nowhere = await run('export', '--output', join(directory, 'no', 'where'));
    expect(nowhere.exitCode).toBe(2);
    expect(nowhere.err).toMatch(
      /^the export can't be written to .*ENOENT.*\. Nothing was written$/m,
    );
    mkdirSync(join(directory, 'a folder'));
    const onFolder = await run('export', '--output', join(directory, 'a folder'));
    expect(onFolder.exitCode).toBe(2);
    expect(onFolder.err).toMatch(/What was written is in .*a folder\.part$/m);
  });

  test('says that a frame is damaged, and gives it all the same', async () => {
    const { streams } = await announce(store, [epochOf(EPOCH_A, 1, 1)]);
    const damaged = { ...frameOf(EPOCH_A, 1), payload: Buffer.from('FRAME 1') };
    await store.commit(batchOf(streams[0] ?? -1, { frames: [damaged] }));
    const { exitCode, out, err } = await run('export');
    expect(exitCode).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ seq: 1, crc_ok: false });
    expect(err).toContain('1 of the exported frames is not what was captured');
  });
});

test.each(['export', 'audit'])(
  '%s of a collector that was never heard ends with 2',
  async (command) => {
    await fill();
    const { exitCode, out, err } = await run(command, '--collector', 'c9');
    expect(exitCode).toBe(2);
    expect(out).toBe('');
    expect(err).toMatch(/^the store in .* has never heard of c9$/m);
  },
);

describe('audit', () => {
  test('holds when nothing is missing', async () => {
    await fill();
    const { exitCode, out } = await run('audit');
    expect(exitCode).toBe(0);
    expect(out).toContain('stored 3, declared 0');
    expect(out).toMatch(/nothing is missing\n$/);
  });

  test('does not hold when a frame is, and names it', async () => {
    const predecessor = { epoch: EPOCH_A, lastSeq: 4 };
    const { streams } = await announce(store, [epochOf(EPOCH_B, 1, 1, predecessor)]);
    await store.commit(batchOf(streams[0] ?? -1, { frames: framesOf(EPOCH_B, 1, 1) }));
    const { exitCode, out, err } = await run('audit');
    expect(exitCode).toBe(1);
    expect(out).toContain('missing 1 to 4\n');
    expect(err).toContain('4 frames are missing');
    const json = await run('audit', '--json', '--collector', 'c1');
    expect(json.exitCode).toBe(1);
    expect(JSON.parse(json.out)).toMatchObject({
      store_id: 'the store',
      collectors: [{ collector: 'c1', totals: { missing: 4, stored: 1 } }],
    });
  });
});

test.each([
  [['audit', '--collector', 'nobody'], 'has never heard of nobody'],
  [['export', '--collector', 'No Body'], 'must be a collector id'],
  [['export', '--epoch', 'x'], 'must be a UUID'],
  [['export', '--from', 'yesterday'], 'must be an RFC 3339 time'],
  [
    ['export', '--from', '2030-01-01T00:00:00Z', '--to', '2029-01-01T00:00:00Z'],
    '--to must not be before --from',
  ],
  [['store', 'frob'], 'there are: check, salvage, backup, restore, prune; and'],
  [['export', '--after', 'c1'], 'must be collector, epoch, seq'],
  [['export', '--format', 'xml'], 'Allowed choices are ndjson, csv'],
])('%s is refused in words', async (args, words) => {
  await fill();
  const { exitCode, err } = await run(...args);
  expect(exitCode).toBe(2);
  expect(err).toContain(words);
  expect(err).not.toMatch(/^\s+at /m);
});

test('what is no store is not read', async () => {
  await store.close();
  const path = join(directory, 'holdfast.db');
  rmSync(path);
  expect(await run('audit')).toMatchObject({
    exitCode: 2,
    err: expect.stringContaining('no store'),
  });
  writeFileSync(path, 'a diary, and not a short one'.repeat(10));
  const diary = await run('export');
  expect(diary).toMatchObject({
    exitCode: 2,
    err: expect.stringContaining('not a Holdfast store'),
  });
});
