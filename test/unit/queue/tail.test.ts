/** A reader at the end of the queue: what it is spared, and that it never gets anything wrong. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Queue, type QueuePosition } from '#collector/producer/queue/queue.ts';
import { startThread } from '#collector/producer/queue/queue-thread.ts';
import type { Request, StartThread } from '#collector/producer/queue/thread.ts';
import { appendTo } from './support.ts';

const LIMITS = { frames: 100, bytes: 100_000 };

let directory: string;
let queue: Queue;
let asked: Request[];

/** The real thread, with a note of what goes to it. */
const start: StartThread = (options) => {
  const thread = startThread(options);
  const post: typeof thread.post = (request, memory) => {
    asked.push(request);
    thread.post(request, memory);
  };
  return { ...thread, post };
};

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-tail-'));
  asked = [];
  queue = await Queue.open({ path: join(directory, 'queue') }, start);
});

afterEach(async () => {
  await queue.close();
  rmSync(directory, { recursive: true });
});

function append(text: string): Promise<QueuePosition> {
  return appendTo(queue, Buffer.from(text), 1);
}

async function readTexts(after: QueuePosition | undefined): Promise<string[]> {
  const frames = await queue.readPending(after, LIMITS);
  return frames.map(({ payload }) => Buffer.from(payload).toString());
}

function readsAsked(): number {
  return asked.filter((request) => request.type === 'ask' && request.question.type === 'read')
    .length;
}

test('a reader at the end gets what is appended with no further way to the thread', async () => {
  let last = await append('a');
  expect(await readTexts(undefined)).toEqual(['a']);
  const reads = readsAsked();
  for (const text of ['b', 'c', 'd']) {
    expect(await readTexts(last)).toEqual([]);
    const appended = await append(text);
    expect(await readTexts(last)).toEqual([text]);
    last = appended;
  }
  expect(readsAsked()).toBe(reads);
});

test('appends behind the tail, and other readers, find what is theirs', async () => {
  const a = await append('a');
  expect(await readTexts(a)).toEqual([]);
  const b = await append('b');
  await append('c');
  expect(await readTexts(a)).toEqual(['b']);
  expect(await readTexts(b)).toEqual(['c']);
  expect(await readTexts(b)).toEqual(['c']);
  expect(await readTexts(undefined)).toEqual(['a', 'b', 'c']);
});

test('a tail that was read for one place is not taken for what lies behind another', async () => {
  const a = await append('a');
  expect(await readTexts(a)).toEqual([]);
  const b = await append('b');
  expect(await readTexts(b)).toEqual([]);
  const c = await append('c');
  expect(await readTexts(a)).toEqual(['b', 'c']);
  expect(await readTexts(b)).toEqual(['c']);
  expect(await readTexts(c)).toEqual([]);
});

test('a closed queue says so to a reader at the end too', async () => {
  const a = await append('a');
  await queue.close();
  await expect(queue.readPending(a, LIMITS)).rejects.toMatchObject({ code: 'queue_closed' });
});
