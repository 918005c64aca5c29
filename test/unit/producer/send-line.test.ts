/** The line of sends by itself: its order, its bound, and who waits for whom. */
import { beforeEach, expect, test } from 'vitest';
import type { QueuePosition, SentFrame } from '#collector/producer/queue/queue.ts';
import { SendLine } from '#collector/producer/send-line.ts';

const EPOCH = '0192f6c4-0000-7000-8000-000000000001';
/** Room for two frames of 36 bytes, with what each counts beside its payload. */
const ROOM_BYTES = 200;

let line: SendLine<number>;
/** What the queue has and has not answered. */
let taken: SentFrame[];

beforeEach(() => {
  line = new SendLine(ROOM_BYTES, ({ seq }: QueuePosition) => seq);
  taken = [];
});

const open = () => line.open((frame) => void taken.push(frame));
const send = (bytes = 36, signal?: AbortSignal) => line.send(Buffer.alloc(bytes), 1, signal);
const accept = (seq: number, frame = taken.shift()) => frame?.resolve({ epoch: EPOCH, seq });

/** Whether it is settled once all that is due was done. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = () => {
    settled = true;
  };
  promise.then(note, note);
  await new Promise(setImmediate);
  return settled;
}

test('sends wait for a queue, then for room, and go in the order of the calls', async () => {
  const sent = [1, 2, 3, 4].map(() => send());
  expect(line.unsynced).toMatchObject({ frames: 0, waiting: 4 });
  open();
  expect(line.unsynced).toEqual({ frames: 2, bytes: 200, limitBytes: ROOM_BYTES, waiting: 2 });
  accept(1);
  expect(line.unsynced).toMatchObject({ frames: 2, waiting: 1 });
  for (const seq of [2, 3, 4]) accept(seq);
  expect(await Promise.all(sent)).toEqual([1, 2, 3, 4]);
  expect(line.accepted).toBe(4);
  expect(line.unsynced).toMatchObject({ frames: 0, bytes: 0, waiting: 0 });
});

test('none overtakes one that waits for more room than is there', async () => {
  open();
  const [, large, small] = [send(), send(150), send(1)];
  expect(line.unsynced).toMatchObject({ frames: 1, waiting: 2 });
  accept(1);
  accept(2);
  accept(3);
  expect(await Promise.all([large, small])).toEqual([2, 3]);
});

test('idle waits for all so far, one that is answered before its turn or not, and no later one', async () => {
  open();
  const [slow, refused, waiting] = [send(), send(), send()];
  const idle = line.idle();
  taken.pop()?.reject(new Error('too large'));
  await expect(refused).rejects.toThrow('too large');
  const later = send(0);
  expect(await isSettled(idle)).toBe(false);
  accept(1);
  expect(await slow).toBe(1);
  expect(await isSettled(idle)).toBe(false);
  accept(2);
  expect(await waiting).toBe(2);
  await idle;
  expect(await isSettled(later)).toBe(false);
  expect(line.unsynced.frames).toBe(1);
});

test('who waits for idle behind another waits for what that one waits for, too', async () => {
  open();
  const slow = send();
  const first = line.idle();
  const refused = send();
  const second = line.idle();
  taken.pop()?.reject(new Error('too large'));
  await expect(refused).rejects.toThrow('too large');
  expect(await isSettled(first)).toBe(false);
  expect(await isSettled(second)).toBe(false);
  accept(1);
  expect(await slow).toBe(1);
  await Promise.all([first, second]);
});

test('a queue that can take nothing more: what waits is rejected, and what comes', async () => {
  open();
  const [handedOver, , waiting] = [send(), send(), send()];
  line.refuse(new Error('failed'));
  await expect(waiting).rejects.toThrow('failed');
  await expect(send()).rejects.toThrow('failed');
  expect(taken).toHaveLength(2);
  accept(1);
  expect(await handedOver).toBe(1);
  line.pause();
  const next = send();
  accept(2);
  open();
  accept(3);
  expect(await next).toBe(3);
});

test('a signal that can not be let go of costs nobody an answer', async () => {
  open();
  const { signal } = new AbortController();
  signal.removeEventListener = () => {
    throw new Error('not mine');
  };
  const [own, other] = [send(36, signal), send()];
  accept(1);
  accept(2);
  expect(await Promise.all([own, other])).toEqual([1, 2]);
  expect(line.unsynced.frames).toBe(0);
});

test('memory that is given away before the answer counts as it did', async () => {
  open();
  const payload = new Uint8Array(36);
  line.send(payload, 1, undefined);
  structuredClone(payload, { transfer: [payload.buffer] });
  accept(1);
  expect(line.unsynced).toMatchObject({ frames: 0, bytes: 0 });
});

test('an abort takes a send out of the line, and not back from the queue', async () => {
  open();
  const [one, two] = [new AbortController(), new AbortController()];
  const handedOver = send(36, one.signal);
  send();
  const waiting = send(36, two.signal);
  one.abort();
  two.abort();
  await expect(handedOver).rejects.toMatchObject({ code: 'aborted', mayBeStored: true });
  await expect(waiting).rejects.toMatchObject({ code: 'aborted', mayBeStored: false });
  expect(line.unsynced).toMatchObject({ frames: 2, waiting: 0 });
  accept(1);
  accept(2);
  expect(line.accepted).toBe(2);
  await line.idle();
});
