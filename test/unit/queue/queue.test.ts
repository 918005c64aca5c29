/** The queue as its users have it: the client, the worker thread, the lock, real files. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Queue, type QueueEvent, type QueueOptions } from '#collector/producer/queue/queue.ts';
import { type Frame, isCollectorId, PAYLOAD_BYTES_MAX } from '#protocol/identity.ts';
import { appendTo, STORE } from './support.ts';

let path: string;
let queues: Queue[];
let children: ChildProcess[];

beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), 'holdfast-queue-')), 'queue');
  queues = [];
  children = [];
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(queues.map((queue) => queue.close()));
  rmSync(join(path, '..'), { recursive: true, force: true });
});

async function open(options: Partial<QueueOptions> = {}): Promise<Queue> {
  const queue = await Queue.open({ path, ...options });
  queues.push(queue);
  return queue;
}

async function holder(...args: string[]): Promise<ChildProcess> {
  const file = fileURLToPath(new URL('./queue-holder.ts', import.meta.url));
  const child = spawn(process.execPath, [file, path, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  await once(child.stdout, 'data');
  return child;
}

async function readAll(queue: Queue): Promise<Frame[]> {
  const frames: Frame[] = [];
  for (;;) {
    const more = await queue.readPending(frames.at(-1), { frames: 100, bytes: 100_000 });
    if (more.length === 0) return frames;
    frames.push(...more);
  }
}

function text(frame: Frame | undefined): string {
  return Buffer.from(frame?.payload ?? []).toString();
}

describe('a queue', () => {
  test('gives back what was appended, after a reopening too', async () => {
    const queue = await open();
    const payloads = Array.from({ length: 500 }, (_, i) => `payload ${i}`);
    const positions = await Promise.all(
      payloads.map((payload, i) => appendTo(queue, Buffer.from(payload), 1_000_000 + i)),
    );
    expect(positions.map(({ seq }) => seq)).toEqual(payloads.map((_, i) => i + 1));
    await queue.close();
    const again = await open();
    const frames = await readAll(again);
    expect(frames.map(text)).toEqual(payloads);
    expect(frames.map(({ capturedAt }) => capturedAt)).toEqual(
      payloads.map((_, i) => 1_000_000 + i),
    );
    expect(again.recovery).toMatchObject({ frames: 500, tornBytes: 0, damage: [], gaps: [] });
    expect(again.stats).toMatchObject({ frames: 500, oldestCapturedAt: 1_000_000, failed: false });
  });

  test('keeps its directory and its files to its user', async () => {
    const queue = await open();
    await appendTo(queue, Buffer.from('x'), 1);
    await queue.collectorId();
    await queue.close();
    expect(statSync(path).mode & 0o777).toBe(0o700);
    const modes = readdirSync(path).map((name) => [name, statSync(join(path, name)).mode & 0o777]);
    expect(modes.map(([name]) => name)).toEqual(expect.arrayContaining(['lock', 'collector-id']));
    for (const [, mode] of modes) expect(mode).toBe(0o600);
  });

  test('bounds what is on its way to the disk, and keeps the order of the calls', async () => {
    const queue = await open({ unsyncedBytesMax: 1_000 });
    const appends = Array.from({ length: 300 }, (_, i) =>
      appendTo(queue, Buffer.alloc(i * 10, i), i),
    );
    const large = appendTo(queue, Buffer.alloc(50_000), 1);
    expect((await Promise.all(appends)).map(({ seq }) => seq)).toEqual(
      appends.map((_, i) => i + 1),
    );
    expect(await large).toMatchObject({ seq: 301 });
  });

  test('does not hold on to the memory of the caller', async () => {
    const queue = await open();
    const payload = Buffer.from('mine');
    await appendTo(queue, payload, 1);
    payload.fill(0);
    expect(text((await readAll(queue))[0])).toBe('mine');
  });

  test('remembers settlements, tells what it holds, and hears of its changes', async () => {
    const events: QueueEvent[] = [];
    const queue = await open();
    const stop = queue.on((event) => events.push(event));
    const { epoch } = await appendTo(queue, Buffer.from('a'), 1);
    await appendTo(queue, Buffer.from('b'), 2);
    expect(events).toEqual([
      { type: 'appended', epoch, seq: 1 },
      { type: 'appended', epoch, seq: 2 },
    ]);
    queue.settle(STORE, epoch, [{ from: 1, to: 1, state: 'stored', code: 0 }]);
    expect(await queue.held()).toEqual([
      { epoch, lowest: 1, highest: 2, predecessor: undefined, onlyRemembered: false },
    ]);
    expect(await queue.settled(epoch)).toEqual([{ from: 1, to: 1, state: 'stored', code: 0 }]);
    expect(queue.stats).toMatchObject({ frames: 1, storeId: STORE });
    stop();
    await appendTo(queue, Buffer.from('c'), 3);
    expect(events).toHaveLength(2);
    await queue.close();
    expect((await readAll(await open())).map(text)).toEqual(['b', 'c']);
  });

  test('writes settlements down by itself', async () => {
    const queue = await open();
    const { epoch } = await appendTo(queue, Buffer.from('a'), 1);
    queue.settle(STORE, epoch, [{ from: 1, to: 1, state: 'stored', code: 0 }]);
    await expect.poll(() => readdirSync(path), { timeout: 10_000 }).toContain('checkpoint');
  });

  test('tells of what it gives up when it is full', async () => {
    const queue = await open({ limitBytes: 65_536 });
    const gaps: QueueEvent[] = [];
    queue.on((event) => event.type === 'gap' && gaps.push(event));
    for (let i = 0; i < 100; i += 1) await appendTo(queue, Buffer.alloc(2_000, i), i);
    const frames = await readAll(queue);
    const [gap] = await queue.pendingGaps();
    expect(gap).toMatchObject({ from: 1, to: (frames[0]?.seq ?? 0) - 1, reason: 'evicted' });
    expect(gaps[0]).toMatchObject({ type: 'gap', gap: { from: 1, reason: 'evicted' } });
    expect(queue.stats.evicted).toBe(gap?.to);
  });

  test('refuses when it is full and set to, and takes all that fits', async () => {
    const queue = await open({ limitBytes: 98_304, whenFull: 'refuse' });
    const appends = Array.from({ length: 100 }, (_, i) => appendTo(queue, Buffer.alloc(2_000), i));
    const results = await Promise.allSettled(appends);
    const accepted = results.filter(({ status }) => status === 'fulfilled').length;
    expect(accepted).toBeGreaterThan(20);
    expect(results[accepted]).toMatchObject({
      status: 'rejected',
      reason: { code: 'queue_full', retry: 'transient' },
    });
    expect(await readAll(queue)).toHaveLength(accepted);
  });

  test('rejects a payload over the limit, and a time that is none', async () => {
    const queue = await open();
    await expect(appendTo(queue, Buffer.alloc(PAYLOAD_BYTES_MAX + 1), 1)).rejects.toMatchObject({
      code: 'payload_too_large',
    });
    for (const capturedAt of [-1, 1.5, Number.NaN, 2 ** 53]) {
      await expect(appendTo(queue, Buffer.alloc(1), capturedAt)).rejects.toThrow(RangeError);
    }
    expect(await appendTo(queue, Buffer.alloc(PAYLOAD_BYTES_MAX), 2 ** 53 - 1)).toMatchObject({
      seq: 1,
    });
    expect((await readAll(queue))[0]?.payload).toHaveLength(PAYLOAD_BYTES_MAX);
  });

  test('refuses settings out of range', async () => {
    await expect(Queue.open({ path, limitBytes: 1 })).rejects.toThrow(/limitBytes/);
    await expect(Queue.open({ path, segmentBytes: 0 })).rejects.toThrow(/segmentBytes/);
  });
});

describe('closing', () => {
  test('finishes the appends that wait, and takes no more', async () => {
    const queue = await open({ unsyncedBytesMax: 100 });
    const appends = Array.from({ length: 50 }, (_, i) => appendTo(queue, Buffer.alloc(90), i));
    const closed = queue.close();
    await expect(appendTo(queue, Buffer.alloc(1), 1)).rejects.toMatchObject({
      code: 'queue_closed',
    });
    await expect(queue.declareLost(1)).rejects.toMatchObject({ code: 'queue_closed' });
    await closed;
    await queue.close();
    expect(await Promise.all(appends)).toHaveLength(50);
    expect(await readAll(await open())).toHaveLength(50);
  });

  test('lets the process end', async () => {
    const child = await holder('5', 'close');
    if (child.exitCode === null) await once(child, 'exit');
    expect(child.exitCode).toBe(0);
  });
});

describe('the lock', () => {
  test('keeps a second opener of the same process out, until the first has closed', async () => {
    const queue = await open();
    await expect(Queue.open({ path })).rejects.toMatchObject({ code: 'queue_in_use', path });
    await expect(Queue.open({ path })).rejects.toMatchObject({ code: 'queue_in_use' });
    await appendTo(queue, Buffer.from('still mine'), 1);
    await queue.close();
    expect((await readAll(await open())).map(text)).toEqual(['still mine']);
  });

  test('keeps another process out, and is free again when its holder is killed', async () => {
    const child = await holder('20');
    await expect(Queue.open({ path })).rejects.toMatchObject({ code: 'queue_in_use', path });
    child.kill('SIGKILL');
    await once(child, 'exit');
    const queue = await open();
    const frames = await readAll(queue);
    expect(frames.map(text)).toEqual(frames.map((_, i) => `frame ${i + 1}`));
    expect(frames).toHaveLength(20);
    expect(await appendTo(queue, Buffer.from('next'), 1)).toMatchObject({ seq: 1 });
    expect((await queue.held())[1]?.predecessor).toEqual({ epoch: frames[0]?.epoch, lastSeq: 20 });
  });
});

describe('a queue that fails', () => {
  test('rejects what waits and what comes, says so once, and can be closed', async () => {
    const queue = await open({ segmentBytes: 10_000 });
    const events: QueueEvent[] = [];
    queue.on((event) => event.type === 'failed' && events.push(event));
    await appendTo(queue, Buffer.alloc(9_000), 1);
    rmSync(path, { recursive: true });
    const appends = [1, 2, 3].map((i) => appendTo(queue, Buffer.alloc(9_000), i));
    for (const result of await Promise.allSettled(appends)) {
      expect(result).toMatchObject({
        status: 'rejected',
        reason: { code: 'queue_failed', retry: 'permanent', cause: { code: 'ENOENT' } },
      });
    }
    await expect(appendTo(queue, Buffer.alloc(1), 1)).rejects.toMatchObject({
      code: 'queue_failed',
    });
    await expect(queue.declareLost(1)).rejects.toMatchObject({ code: 'queue_failed' });
    expect(events).toMatchObject([{ type: 'failed', error: { code: 'queue_failed' } }]);
    expect(queue.stats.failed).toBe(true);
    await queue.close();
  });

  test('to open touches nothing in a directory that is of something else', async () => {
    mkdirSync(path);
    writeFileSync(join(path, 'holdfast.db'), 'somebody has this');
    const foreign = { code: 'queue_foreign', path, holds: 'holdfast.db' };
    await expect(Queue.open({ path })).rejects.toMatchObject(foreign);
    expect(readdirSync(path)).toEqual(['holdfast.db']);

    // The top of a volume is no foreign place.
    rmSync(join(path, 'holdfast.db'));
    mkdirSync(join(path, 'lost+found'));
    const queue = await open();
    await queue.close();
    // Nor is a queue that somebody has put a file into.
    writeFileSync(join(path, 'notes.txt'), 'ours');
    await open();
  });

  test('to open says what is in the way', async () => {
    writeFileSync(path, 'a file, not a directory');
    await expect(Queue.open({ path })).rejects.toMatchObject({
      code: 'queue_open_failed',
      message: expect.stringContaining(path),
      cause: { code: 'ENOTDIR' },
    });
  });
});

describe('the collector id', () => {
  test('is made once from the host name, and kept', async () => {
    const queue = await open();
    const id = await queue.collectorId();
    expect(isCollectorId(id)).toBe(true);
    expect(id).toMatch(/-[0-9a-f]{8}$/);
    expect(await queue.collectorId()).toBe(id);
    await queue.close();
    expect(await (await open()).collectorId()).toBe(id);
  });

  test('that is none is said, and nothing else suffers', async () => {
    const queue = await open();
    writeFileSync(join(path, 'collector-id'), '../../Etc\n');
    await expect(queue.collectorId()).rejects.toMatchObject({
      code: 'collector_id_invalid',
      found: '../../Etc',
    });
    expect(await appendTo(queue, Buffer.from('x'), 1)).toMatchObject({ seq: 1 });
  });
});
