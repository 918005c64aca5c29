/** The ledger: what a killed writer leaves, what a reader makes of it, and what it refuses. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatLine, type LedgerLine } from '#chaos/ledger/lines.ts';
import { linesOf } from '#chaos/ledger/lines-of.ts';
import { type Ledger, LedgerReader } from '#chaos/ledger/reader.ts';
import { LedgerWriter } from '#chaos/ledger/writer.ts';

const CHILD = fileURLToPath(new URL('./ledger-child.ts', import.meta.url));
const SHA256 = '0'.repeat(64);
const START = { run: 'r', collector: 'load-1', seed: 1, at: 0, settings: {} };

let directory: string;
let path: string;
let child: ChildProcess | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-ledger-'));
  path = join(directory, 'ledger.jsonl');
});

afterEach(async () => {
  child?.kill('SIGKILL');
  await rm(directory, { recursive: true });
});

async function read(): Promise<Ledger> {
  const reader = new LedgerReader();
  return reader.finish(await linesOf(path, reader));
}

function attempt(n: number): LedgerLine {
  return { type: 'attempt', n, captured_at: 1_000 + n, bytes: 1, sha256: SHA256 };
}

/** Opens, starts, appends and closes without an end, as a process that was killed. */
async function session(...lines: LedgerLine[]): Promise<void> {
  const ledger = await LedgerWriter.open(path);
  await ledger.start(START);
  for (const line of lines) ledger.append(line);
  await ledger.close();
}

describe('a ledger', () => {
  test('tells each attempt with its outcome', async () => {
    await session(
      attempt(1),
      attempt(2),
      attempt(3),
      attempt(4),
      { type: 'accepted', n: 2, epoch: 'e', seq: 1 },
      { type: 'refused', n: 1, code: 'queue_full', reason: 'no room' },
      { type: 'unsure', n: 3, code: 'queue_failed', reason: 'the disk' },
      { type: 'skipped', frames: 7, reason: 'stalled' },
      { type: 'end', at: 1, attempts: 4 },
    );
    const { attempts, skipped, ended, problems, torn } = await read();
    const outcomes = attempts.map(({ outcome }) => outcome);
    expect(outcomes).toEqual(['refused', 'accepted', 'indeterminate', 'indeterminate']);
    expect(attempts[1]?.identity).toEqual({ epoch: 'e', seq: 1 });
    expect({ skipped, ended, problems, torn }).toEqual({
      skipped: 7,
      ended: true,
      problems: [],
      torn: 0,
    });
  });

  test('goes on with its numbers after a restart, and has no end while one is going on', async () => {
    await session(attempt(1), { type: 'end', at: 1, attempts: 1 });
    const ledger = await LedgerWriter.open(path);
    expect(ledger.past).toEqual({
      attempts: 1,
      lastCapturedAt: 1_001,
      seed: 1,
      tornBytes: 0,
    });
    await ledger.start(START);
    ledger.append(attempt(2));
    await ledger.close();
    const { attempts, ended, problems, starts } = await read();
    expect(attempts.map(({ n }) => n)).toEqual([1, 2]);
    expect(starts.map(({ next }) => next)).toEqual([1, 2]);
    expect({ ended, problems }).toEqual({ ended: false, problems: [] });
  });

  test('tells a torn last line from damage, wherever it was torn', async () => {
    await session(attempt(1), attempt(2));
    const whole = readFileSync(path, 'utf8');
    const last = whole.slice(whole.trimEnd().lastIndexOf('\n') + 1);
    for (let kept = 1; kept < last.length; kept += 1) {
      writeFileSync(path, whole.slice(0, whole.length - last.length + kept));
      const torn = await read();
      expect(torn).toMatchObject({ torn: 1, ended: false, problems: [] });
      expect(torn.attempts).toHaveLength(1);
      await session(attempt(2), { type: 'end', at: 1, attempts: 2 });
      const continued = await read();
      expect(continued).toMatchObject({ torn: 1, ended: true, problems: [] });
      expect(continued.attempts).toHaveLength(2);
    }
  });

  test('is damaged when a line in the middle does not read, and is then not continued', async () => {
    await session(attempt(1), attempt(2), attempt(3));
    const whole = readFileSync(path, 'utf8');
    writeFileSync(path, whole.replace('"n":2', '"n":"2'));
    const { problems } = await read();
    expect(problems[0]).toEqual({ line: 3, text: 'is no line of a ledger' });
    await expect(LedgerWriter.open(path)).rejects.toMatchObject({ code: 'ledger_damaged' });
    expect(readFileSync(path, 'utf8')).toBe(whole.replace('"n":2', '"n":"2'));
  });

  test.each([
    ['a line is missing', [attempt(1), attempt(3)], 'attempt 3, where 2 is next'],
    ['an answer has no attempt', [{ type: 'accepted', n: 9, epoch: 'e', seq: 1 }], 'accepted of 9'],
    [
      'an attempt has two answers',
      [
        attempt(1),
        { type: 'accepted', n: 1, epoch: 'e', seq: 1 },
        { type: 'refused', n: 1, code: 'c', reason: 'r' },
      ],
      'refused of 1, which was accepted before',
    ],
    [
      'the end counts otherwise',
      [attempt(1), { type: 'end', at: 1, attempts: 2 }],
      'an end after 2 attempts',
    ],
    [
      'something stands behind the end',
      [{ type: 'end', at: 1, attempts: 0 }, attempt(1)],
      'attempt behind an end',
    ],
  ] as const)('is damaged when %s', async (_, lines, text) => {
    await session(...lines);
    const { problems } = await read();
    expect(problems[0]?.text).toContain(text);
  });

  test('is damaged when it does not open with a start', async () => {
    appendFileSync(path, formatLine(attempt(1)));
    expect((await read()).problems[0]?.text).toBe('attempt before any start');
  });

  test('that can not be opened says so with the reason, and names the setting', async () => {
    const nowhere = join(directory, 'none', 'ledger.jsonl');
    await expect(LedgerWriter.open(nowhere)).rejects.toMatchObject({
      code: 'ledger_open_failed',
      message: expect.stringContaining('HOLDFAST_LEDGER_PATH'),
    });
  });
});

test('what was synced before a SIGKILL is read back whole, kill after kill', async () => {
  for (let kill = 1; kill <= 5; kill += 1) {
    child = spawn(process.execPath, [CHILD, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exit = once(child, 'exit');
    const stdout = child.stdout;
    if (stdout === null) throw new Error('the child has an output');
    let synced = 0;
    let batches = 0;
    for await (const line of createInterface({ input: stdout })) {
      if (!line.startsWith('synced ')) continue;
      synced = Number(line.slice('synced '.length));
      batches += 1;
      if (batches === 10 * kill) child.kill('SIGKILL');
    }
    await exit;
    const { attempts, problems, ended, starts } = await read();
    expect(problems).toEqual([]);
    expect(attempts.length).toBeGreaterThanOrEqual(synced);
    expect({ ended, starts: starts.length }).toEqual({ ended: false, starts: kill });
  }
});
