/**
 * `./holdfast collector queue …` as a process: on a queue that nobody has open, on one that is in
 * use, and on a damaged one. What only looks leaves no trace, and what people get wrong is told in
 * words, with exit code 2.
 */
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { parseRow } from '#chaos/oracle/export.ts';
import { Producer } from '#collector/producer/producer.ts';
import { Queue } from '#collector/producer/queue/queue.ts';
import { asNewer, recordsOf } from '../../queue/damage.ts';
import { appendTo, payloadOf } from '../../queue/support.ts';
import { openStore, serve, stopServing } from '../../server/serving.ts';
import { TOKEN } from '../../server/wire-client.ts';
import { contentOf, held, heldJson, jsonBeside, run, start } from './running.ts';

const LOOKING = [
  ['queue', 'status'],
  ['queue', 'list'],
  ['queue', 'export'],
  ['queue', 'verify'],
];
const FRAMES = 600;
const SEGMENT_BYTES = 16_384;

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-tools-'));
  path = join(folder, 'queue');
});

afterEach(() => rmSync(folder, { recursive: true }));

/** Each command is a process of its own, and this machine may be busy. */
vi.setConfig({ testTimeout: 120_000 });

/** A queue of FRAMES frames, of which 1 to 100 are stored, in several segments. */
async function fill(): Promise<Queue> {
  const queue = await Queue.open({ path, segmentBytes: SEGMENT_BYTES });
  await queue.collectorId();
  const appended = Array.from({ length: FRAMES }, (_, i) =>
    appendTo(queue, payloadOf(i + 1, 100), 1_764_000_000_000_000 + i),
  );
  const [first] = await Promise.all(appended);
  const stored = { from: 1, to: 100, state: 'stored', code: 0 } as const;
  queue.settle('0192f6c4-0000-7000-8000-00000000aaaa', first?.epoch ?? '', [stored]);
  // The settlement is on disk, then.
  await queue.close();
  return Queue.open({ path, segmentBytes: SEGMENT_BYTES });
}

function segments(): string[] {
  return readdirSync(path)
    .filter((name) => name.startsWith('segment-'))
    .sort();
}

/** Flips bytes of a frame in the middle of a segment; answers its file, and where it lies. */
function hurt(index: number): { name: string; offset: number; seq: number } {
  const name = segments().at(index) ?? '';
  const content = readFileSync(join(path, name));
  const frames = recordsOf(name, content).filter(({ names }) => names.length > 0);
  const victim = frames[Math.floor(frames.length / 2)];
  if (victim === undefined) throw new Error('no frame to be hurt');
  content.fill(0xee, victim.offset + 60, victim.offset + 70);
  writeFileSync(join(path, name), content);
  return { name, offset: victim.offset, seq: Number(victim.names[0]?.split('/')[1]) };
}

describe('a queue that nobody has open', () => {
  beforeEach(async () => (await fill()).close());

  test('is shown as the queue itself has it, and left as it was', async () => {
    const before = contentOf(path);
    const status = heldJson(['queue', 'status', '--path', path]);
    const { frames } = heldJson(['queue', 'list', '--all', '--path', path]);
    const exported = held(['queue', 'export', '--path', path]).trimEnd().split('\n');
    expect(held(['queue', 'verify', '--path', path])).toContain('whole');
    expect(contentOf(path)).toEqual(before);

    const queue = await Queue.open({ path });
    const read = await queue.readPending(undefined, { frames: 10_000, bytes: 1e9 });
    const { stats } = queue;
    const collector = await queue.collectorId();
    await queue.close();
    expect(status.collector).toBe(collector);
    expect(status.queue.frames).toBe(read.length);
    expect(status.queue.bytes).toBe(stats.bytes);
    expect(read).toHaveLength(FRAMES - 100);
    expect(frames.map(({ epoch, seq }: { epoch: string; seq: number }) => [epoch, seq])).toEqual(
      read.map(({ epoch, seq }) => [epoch, seq]),
    );
    for (const [i, frame] of read.entries()) {
      const row = JSON.parse(exported[i] ?? '');
      expect(row).not.toHaveProperty('received_at');
      const parsed = parseRow(JSON.stringify({ ...row, received_at: row.captured_at }));
      expect(parsed).toMatchObject({
        collector,
        epoch: frame.epoch,
        seq: frame.seq,
        capturedAt: frame.capturedAt,
        checksum: frame.crc.toString(16).padStart(8, '0'),
      });
      expect(parsed?.payload.equals(frame.payload)).toBe(true);
    }
    expect(exported).toHaveLength(read.length);
  });

  test('lists its oldest frames, twenty unless told otherwise', () => {
    const lines = held(['queue', 'list', '--path', path]).trimEnd().split('\n');
    expect(lines).toHaveLength(22);
    expect(lines[0]).toMatch(/^EPOCH +SEQ +CAPTURED +BYTES +TRIES +WAITS BECAUSE$/);
    expect(lines[1]).toMatch(/ 101 +2025-11-24T16:00:00\.000100Z +100 +\? +unknown/);
    expect(lines.at(-1)).toBe('20 of 500 that wait; --all lists them all.');
    const few = held(['queue', 'list', '--seq', '200..210', '--limit', '3', '--path', path]);
    expect(few.trimEnd().split('\n')).toHaveLength(5);
  });

  test('is found by HOLDFAST_QUEUE_PATH, without a token', () => {
    expect(held(['queue', 'status'], { HOLDFAST_QUEUE_PATH: path })).toContain('500 frames');
  });

  test('has nothing to repair', () => {
    const before = contentOf(path);
    expect(held(['queue', 'repair', '--yes', '--path', path])).toContain('nothing to repair');
    expect(contentOf(path)).toEqual(before);
  });
});

describe('a damaged queue', () => {
  beforeEach(async () => (await fill()).close());

  test('is told by the exit code of whatever looks at it, too', () => {
    const name = segments().at(1) ?? '';
    writeFileSync(join(path, name), 'GIF89a '.repeat(2_000));
    for (const command of ['status', 'list']) {
      const { status, stdout, stderr } = run(['queue', command, '--path', path]);
      expect(status).toBe(1);
      expect(stdout).not.toBe('');
      expect(stderr).toContain('is damaged');
    }
  });

  test('is named by file, place and loss; repaired only when told to; and loses nothing that reads', async () => {
    const wounds = [hurt(2), hurt(4)];
    const lost = wounds.map(({ seq }) => seq);
    const before = contentOf(path);
    const verified = run(['queue', 'verify', '--json', '--path', path]);
    expect(verified.status).toBe(1);
    const report = JSON.parse(verified.stdout);
    expect(report.damage).toMatchObject(wounds.map(({ name, offset }) => ({ file: name, offset })));
    expect(report.lost.map(({ from }: { from: number }) => from)).toEqual(lost);

    const exported = run(['queue', 'export', '--path', path]);
    expect(exported.status).toBe(1);
    expect(exported.stderr).toContain('2 frames of this queue');
    expect(exported.stdout.trimEnd().split('\n')).toHaveLength(FRAMES - 102);
    expect(run(['queue', 'list', '--all', '--path', path]).status).toBe(1);

    const planned = run(['queue', 'repair', '--path', path]);
    expect(planned.status).toBe(1);
    for (const { name } of wounds) expect(planned.stdout).toContain(name);
    expect(planned.stderr).toContain('nothing was changed');
    const after = contentOf(path);
    expect(after).toEqual({ ...before, lock: after.lock });

    const originals = wounds.map(({ name }) => readFileSync(join(path, name)));
    expect(held(['queue', 'repair', '--yes', '--path', path])).toContain('Repaired; 498 frames');
    expect(held(['queue', 'verify', '--path', path])).toContain('whole');
    for (const [i, { name }] of wounds.entries()) {
      expect(readFileSync(join(path, 'set-aside', name))).toEqual(originals[i]);
    }
    const status = heldJson(['queue', 'status', '--path', path]);
    expect(
      status.gaps.map(({ from, reason }: { from: number; reason: string }) => [from, reason]),
    ).toEqual(lost.map((seq) => [seq, 'damaged']));
    const queue = await Queue.open({ path });
    expect(queue.recovery.damage).toEqual([]);
    const read = await queue.readPending(undefined, { frames: 10_000, bytes: 1e9 });
    await queue.close();
    expect(read.map(({ seq }) => seq)).toEqual(
      Array.from({ length: FRAMES - 100 }, (_, i) => i + 101).filter((seq) => !lost.includes(seq)),
    );
    // What was settled and only kept reads, too: it stays.
    expect(segments().length).toBeGreaterThanOrEqual(
      Object.keys(before).filter((name) => name.startsWith('segment-')).length,
    );
  });

  test('one of a newer format is left alone', () => {
    const name = segments()[1] ?? '';
    writeFileSync(join(path, name), asNewer(readFileSync(join(path, name))));
    const before = contentOf(path);
    for (const command of ['status', 'export', 'repair']) {
      const { status, stdout, stderr } = run(['queue', command, '--path', path]);
      expect(status).toBe(2);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/newer format .*Nothing was touched/);
    }
    expect({ ...contentOf(path), lock: '' }).toEqual({ ...before, lock: '' });
  });

  test('a checkpoint of a newer format is not taken for damage', () => {
    const file = join(path, 'checkpoint');
    writeFileSync(file, readFileSync(file, 'utf8').replace('checkpoint 1 ', 'checkpoint 2 '));
    const { status, stderr } = run(['queue', 'status', '--path', path]);
    expect(status).toBe(2);
    expect(stderr).toContain('newer');
  });
});

describe('a queue in use', () => {
  test('is looked at without disturbing it, whatever comes and goes meanwhile', async () => {
    mkdirSync(path);
    const holder = start(new URL('./busy-holder.ts', import.meta.url), [path]);
    const ended = once(holder, 'close');
    try {
      const [said] = await once(holder.stdout, 'data');
      expect(String(said)).toBe('busy\n');
      for (let round = 0; round < 3; round += 1) {
        const status = heldJson(['queue', 'status', '--path', path]);
        expect(status.queue.frames).toBeGreaterThan(0);
        expect(status.missing).toEqual([]);
        expect(status.problems).toEqual([]);
        expect(held(['queue', 'verify', '--path', path])).toContain('whole');
        const { frames } = heldJson(['queue', 'list', '--limit', '50', '--path', path]);
        expect(frames).toHaveLength(50);
        const rows = held(['queue', 'export', '--path', path]).trimEnd().split('\n');
        const seqs = rows.map((row) => JSON.parse(row).seq);
        expect(new Set(seqs).size).toBe(seqs.length);
        expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
      }
      const repair = run(['queue', 'repair', '--yes', '--path', path]);
      expect(repair.status).toBe(2);
      expect(repair.stderr).toContain('open elsewhere');
      expect(holder.exitCode).toBeNull();
    } finally {
      holder.kill('SIGKILL');
      await ended;
    }
    expect(held(['queue', 'verify', '--path', path])).toContain('whole');
  });
});

test('why frames wait, and how often they were sent, is what the running producer says', async () => {
  // Frames arrive, and nobody ever hears that they are stored.
  const store = Object.assign(await openStore(), { commit: () => new Promise<never>(() => {}) });
  const { port, ingest } = await serve({ store });
  const server = { host: '127.0.0.1', port };
  const producer = new Producer({ server, token: TOKEN, queuePath: path });
  const first = async () => (await jsonBeside(['queue', 'list', '--path', path])).frames[0];
  const patience = { timeout: 60_000 };
  try {
    await producer.send(Buffer.from('one'), { capturedAt: 1 });
    await expect.poll(first, patience).toMatchObject({ seq: 1, tries: 1 });
    expect((await first()).waits_because).toBe('sent, not yet confirmed');
    await ingest.close();
    await expect
      .poll(async () => (await first()).waits_because, patience)
      .toMatch(/^the link is away/);
    expect((await first()).tries).toBeGreaterThan(0);
  } finally {
    await producer.close({ deadlineMs: 0 });
    await stopServing();
  }
  const waiting = { tries: null, waits_because: 'no collector runs on this queue' };
  expect(await first()).toMatchObject(waiting);
});

describe('what is no queue', () => {
  function expectWords(args: readonly string[], words: RegExp): void {
    const { status, stdout, stderr } = run(args);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(words);
    expect(stderr).not.toContain('    at ');
  }

  test('is told in words', () => {
    expectWords(['queue', 'status', '--path', join(folder, 'nowhere')], /no such directory/);
    expectWords(['queue', 'list', '--path', folder], /is empty/);
    writeFileSync(join(folder, 'letter.txt'), 'Dear Sir or Madam');
    expectWords(['queue', 'verify', '--path', folder], /is no queue: it holds letter\.txt/);
    expectWords(['queue', 'repair', '--path', folder], /is no queue/);
    expectWords(['queue', 'export', '--path', join(folder, 'letter.txt')], /is a file/);
    expect(readdirSync(folder)).toEqual(['letter.txt']);
  });

  test('bad options are told in words', () => {
    expectWords(['queue', 'list', '--seq', '7..3'], /must be a seq/);
    expectWords(['queue', 'list', '--since', 'yesterday'], /must be a time/);
    expectWords(['queue', 'mend'], /unknown command 'mend'\n.*there are: status, list, export/);
  });

  /** Root may read everything, so for it the queue is one that another user must go on owning. */
  test('a queue of others is told in words', async () => {
    await (await fill()).close();
    const isRoot = process.getuid?.() === 0;
    if (isRoot) chownSync(path, 65_534, 65_534);
    else chmodSync(path, 0o000);
    try {
      if (isRoot) {
        expectWords(['queue', 'repair', '--yes', '--path', path], /belongs to user 65534/);
      } else {
        for (const command of LOOKING) expectWords([...command, '--path', path], /may not be read/);
      }
    } finally {
      chmodSync(path, 0o700);
    }
  });
});

test('help has examples everywhere', () => {
  const commands = [...LOOKING, ['queue', 'repair'], ['queue']];
  for (const command of commands) expect(held([...command, '--help'])).toContain('Examples:');
});

test('an unfinished repair is seen as it will be completed', async () => {
  await (await fill()).close();
  const name = segments()[2] ?? '';
  cpSync(join(path, name), join(path, name.replace('.log', '.repaired')));
  rmSync(join(path, name));
  const status = heldJson(['queue', 'status', '--path', path]);
  expect(status.queue.frames).toBe(FRAMES - 100);
  expect(status.missing).toEqual([]);
  expect(held(['queue', 'verify', '--path', path])).toContain('whole');
});
