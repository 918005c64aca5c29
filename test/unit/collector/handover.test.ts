/** Samples on their way into the queue: bounded, counted, and told when they are lost. */
import { expect, test } from 'vitest';
import { Handover, type Receipt } from '#collector/sampler/handover.ts';

const PAYLOAD = new Uint8Array([1]);

const RECEIPT: Receipt = { epoch: 'e', seq: 1 };

function start(send: () => Promise<Receipt>) {
  const refused: [string, number][] = [];
  const accepted: [Receipt, Uint8Array, number][] = [];
  const handover = new Handover({
    send,
    onAccepted: (...facts) => accepted.push(facts),
    onRefused: (error, capturedAt) => refused.push([error.message, capturedAt]),
  });
  return { handover, refused, accepted };
}

test('counts what was captured, whether or not the queue has answered yet', async () => {
  const { handover, refused, accepted } = start(async () => RECEIPT);
  handover.submit(PAYLOAD, 7);
  handover.submit(PAYLOAD, 8);
  expect([handover.captured, handover.lastCapturedAt]).toEqual([2, 8]);
  expect(accepted).toEqual([]);
  await handover.settled();
  expect(accepted).toEqual([
    [RECEIPT, PAYLOAD, 7],
    [RECEIPT, PAYLOAD, 8],
  ]);
  expect(refused).toEqual([]);
});

test('a refused sample is counted and told once, with its capture time', async () => {
  const { handover, refused } = start(() => Promise.reject(new Error('queue full')));
  handover.submit(PAYLOAD, 7);
  await handover.settled();
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
  await handover.settled();
  handover.submit(PAYLOAD, 300);
  expect(answers).toHaveLength(257);
});
