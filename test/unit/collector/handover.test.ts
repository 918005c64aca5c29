/** Samples on their way into the queue: bounded, counted, and told when they are lost. */
import { describe, expect, test } from 'vitest';
import { Handover, type Receipt } from '#collector/sampler/handover.ts';
import { FakeClock, promisesRan } from './fake-clock.ts';

const PAYLOAD = new Uint8Array([1]);

const RECEIPT: Receipt = { epoch: 'e', seq: 1 };

function start(send: (payload: Uint8Array) => Promise<Receipt>, heldBytesMax = 10_000) {
  const clock = new FakeClock();
  const declared: number[] = [];
  const refused: [string, number][] = [];
  const accepted: [Receipt, Uint8Array, number][] = [];
  const handover = new Handover({
    clock,
    heldBytesMax,
    send,
    declareLost: async (samples) => declared.push(samples),
    onAccepted: (...facts) => accepted.push(facts),
    onRefused: (error, capturedAt) => refused.push([error.message, capturedAt]),
  });
  return { handover, refused, accepted, declared, clock };
}

test('counts what was captured, whether or not the queue has answered yet', async () => {
  const { handover, refused, accepted } = start(async () => RECEIPT);
  handover.submit(PAYLOAD, 7);
  handover.submit(PAYLOAD, 8);
  expect([handover.captured, handover.lastCapturedAt]).toEqual([2, 8]);
  expect(accepted).toEqual([]);
  await handover.finish();
  expect(accepted).toEqual([
    [RECEIPT, PAYLOAD, 7],
    [RECEIPT, PAYLOAD, 8],
  ]);
  expect(refused).toEqual([]);
});

test('a refused sample is counted and told once, with its capture time', async () => {
  const { handover, refused } = start(() => Promise.reject(new Error('queue full')));
  handover.submit(PAYLOAD, 7);
  await handover.finish();
  expect(handover.refused).toBe(1);
  expect(refused).toEqual([['queue full', 7]]);
});

test('a disk that never answers bounds what waits, and the newest samples are lost', async () => {
  const answers: (() => void)[] = [];
  const { handover, refused } = start(
    () => new Promise((resolve) => answers.push(() => resolve(RECEIPT))),
  );
  for (let i = 0; i < 300; i += 1) handover.submit(PAYLOAD, i);
  expect(answers).toHaveLength(256);
  expect([handover.captured, handover.refused]).toEqual([300, 44]);
  expect(refused[0]?.[1]).toBe(256);
  expect(refused[0]?.[0]).toContain('disk');
  for (const answer of answers) answer();
  await handover.finish();
  handover.submit(PAYLOAD, 300);
  expect(answers).toHaveLength(257);
});

describe('on a full disk', () => {
  /** A disk that has room or not; what it takes gets ascending numbers. */
  function disk(heldBytesMax?: number) {
    const state = { full: true, tries: 0, seq: 0 };
    const send = async (): Promise<Receipt> => {
      state.tries += 1;
      if (state.full) throw Object.assign(new Error('no room'), { code: 'disk_full' });
      state.seq += 1;
      return { epoch: 'e', seq: state.seq };
    };
    return { state, ...start(send, heldBytesMax) };
  }

  test('samples are held and tried again, and get in with their times, in order', async () => {
    const { state, handover, accepted, declared, refused, clock } = disk();
    for (const at of [7, 8, 9]) handover.submit(PAYLOAD, at);
    await promisesRan();
    handover.submit(PAYLOAD, 10);
    await clock.advanceTo(3_500);
    expect(handover.held).toBe(4);
    // The three that were under way, and one for each second since.
    expect(state.tries).toBe(6);
    state.full = false;
    await clock.advanceTo(4_500);
    expect(accepted.map(([{ seq }, , at]) => [seq, at])).toEqual([
      [1, 7],
      [2, 8],
      [3, 9],
      [4, 10],
    ]);
    expect([handover.held, refused, declared]).toEqual([0, [], []]);
    handover.submit(PAYLOAD, 11);
    await promisesRan();
    expect(accepted).toHaveLength(5);
  });

  test('what is over the memory goes, the oldest first, and is declared once there is room', async () => {
    const { state, handover, accepted, declared, clock } = disk(1_000);
    for (let at = 1; at <= 10; at += 1) {
      handover.submit(PAYLOAD, at);
      await promisesRan();
    }
    expect([handover.held, declared]).toEqual([3, []]);
    state.full = false;
    await clock.advanceTo(1_500);
    expect(accepted.map(([, , at]) => at)).toEqual([8, 9, 10]);
    expect(declared).toEqual([7]);
    expect(handover.refused).toBe(0);
  });

  test('a sample larger than the memory does not keep later ones out', async () => {
    const { state, handover, accepted, declared, clock } = disk(1_000);
    handover.submit(new Uint8Array(2_000), 1);
    await promisesRan();
    state.full = false;
    await clock.advanceTo(1_500);
    handover.submit(PAYLOAD, 2);
    await clock.advanceTo(3_500);
    expect(accepted.map(([, , at]) => at)).toEqual([2]);
    expect(declared).toEqual([1]);
  });

  test('a stop tries once more, and declares what still finds no room', async () => {
    const { handover, state, declared, accepted } = disk();
    handover.submit(PAYLOAD, 1);
    handover.submit(PAYLOAD, 2);
    await handover.finish();
    expect([state.tries, declared, handover.held]).toEqual([4, [2], 0]);
    expect(accepted).toEqual([]);
  });
});
