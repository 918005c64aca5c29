/** The model of a producer that latches: each behaviour that was measured of the real one. */
import { expect, test } from 'vitest';
import {
  BATCH_BYTES,
  BATCHES_MAX,
  CONNECT_RETRY_MS,
  LatchingProducer,
  LINGER_MS,
  NEXT_RETRY_MS,
  type ProducerAction,
  RESPONSE_LIMIT_MS,
  RETRY_MS,
} from '#bench/rivals/latching.ts';

const BYTES = 200;
const CUT_COSTS_MS = RETRY_MS + RESPONSE_LIMIT_MS + NEXT_RETRY_MS;

function producer(options: Partial<ConstructorParameters<typeof LatchingProducer>[0]> = {}) {
  return new LatchingProducer({ connecting: 'persists', underRequest: 'latches', ...options });
}

function actionsOf(of: LatchingProducer): ProducerAction[] {
  return Array.from({ length: 10 }, () => of.poll()).filter((action) => action !== undefined);
}

/** With record 0 in a request at time 5, on a connection. */
function requesting(options = {}): LatchingProducer {
  const it = producer(options);
  it.send(0, BYTES, 0);
  it.onTick(LINGER_MS);
  it.onConnected(LINGER_MS);
  expect(actionsOf(it)).toEqual([{ type: 'connect' }, { type: 'request', batches: [[0]] }]);
  return it;
}

test('records wait for others for a moment, then leave in one request on one connection', () => {
  const it = producer();
  expect(it.send(0, BYTES, 0)).toBe('taken');
  expect(it.send(1, BYTES, 1)).toBe('taken');
  expect(it.nextDeadline).toBe(LINGER_MS);
  it.onTick(LINGER_MS - 1);
  expect(actionsOf(it)).toEqual([]);
  it.onTick(LINGER_MS);
  it.onConnected(7);
  expect(actionsOf(it)).toEqual([{ type: 'connect' }, { type: 'request', batches: [[0, 1]] }]);
  it.send(2, BYTES, 8);
  it.onStored(20);
  it.onTick(20);
  expect(actionsOf(it)).toEqual([
    { type: 'stored', records: [0, 1] },
    { type: 'request', batches: [[2]] },
  ]);
  it.onStored(30);
  expect(it.isIdle).toBe(true);
});

test('its queue takes a hundred batches, some 7,600 records of 200 bytes; then it is full', () => {
  const it = requesting();
  let taken = 0;
  while (it.send(1 + taken, BYTES, 10) === 'taken') taken += 1;
  expect(taken).toBe(BATCHES_MAX * Math.floor(BATCH_BYTES / (BYTES + 15)));
  it.onStored(20);
  it.onTick(20);
  expect(actionsOf(it).at(-1)).toMatchObject({ type: 'request' });
  expect(it.send(taken, BYTES, 21)).toBe('taken');
});

test('a connection that ends between two requests is replaced by the next one, unnoticed', () => {
  const it = requesting();
  it.onStored(10);
  it.onClosed(11);
  expect(it.send(1, BYTES, 20)).toBe('taken');
  it.onTick(20 + LINGER_MS);
  expect(actionsOf(it).at(-1)).toEqual({ type: 'connect' });
  expect(it.cutsInFlight).toBe(0);
});

test('before the change a connect that fails latches it, and its queue stays', () => {
  const it = producer({ connecting: 'fails' });
  it.send(0, BYTES, 0);
  it.onTick(LINGER_MS);
  it.onClosed(6);
  expect(it.send(1, BYTES, 7)).toBe('refused');
  expect([it.isIdle, it.nextDeadline]).toEqual([true, undefined]);
  it.clearErrors();
  expect(it.send(1, BYTES, 8)).toBe('taken');
  it.onTick(8 + LINGER_MS);
  it.onConnected(20);
  expect(actionsOf(it).at(-1)).toEqual({ type: 'request', batches: [[0, 1]] });
});

test('after it the connect is tried again, each time a tenth later, and sends go on', () => {
  const it = producer();
  it.send(0, BYTES, 0);
  it.onTick(LINGER_MS);
  const waits: number[] = [];
  let now = LINGER_MS;
  for (let i = 0; i < 3; i += 1) {
    it.onClosed(now);
    waits.push((it.nextDeadline ?? 0) - now);
    now = it.nextDeadline ?? 0;
    it.onTick(now);
  }
  const expected = [1, 1.1, 1.21].map((factor) => factor * CONNECT_RETRY_MS);
  for (const [i, wait] of waits.entries()) expect(wait).toBeCloseTo(expected[i] ?? 0);
  expect(it.send(1, BYTES, now)).toBe('taken');
  it.onConnected(now);
  expect(actionsOf(it).at(-1)).toEqual({ type: 'request', batches: [[0, 1]] });
});

test('a connection that ends under a request costs a minute, then the error sticks until it is cleared', () => {
  const it = requesting();
  it.onClosed(30);
  expect(it.send(1, BYTES, 40)).toBe('taken');
  it.onTick(30 + CUT_COSTS_MS - 1);
  expect(actionsOf(it)).toEqual([]);
  it.onTick(30 + CUT_COSTS_MS);
  expect(actionsOf(it)).toEqual([{ type: 'close' }, { type: 'failed', records: [0] }]);
  expect(it.send(2, BYTES, 70_000)).toBe('refused');
  expect(it.send(2, BYTES, 80_000)).toBe('refused');
  it.clearErrors();
  expect(it.send(2, BYTES, 80_001)).toBe('taken');
});

test('what waits in the queue behind a failed request goes on, error or not', () => {
  const it = requesting();
  it.onClosed(30);
  it.send(1, BYTES, 40);
  it.onTick(30 + CUT_COSTS_MS);
  it.onTick(30 + CUT_COSTS_MS);
  it.onConnected(70_000);
  const actions = actionsOf(it);
  expect(actions.slice(2)).toEqual([{ type: 'connect' }, { type: 'request', batches: [[1]] }]);
});

test('a request without an answer on a silent connection fails after the response limit', () => {
  const it = requesting();
  it.onTick(LINGER_MS + RESPONSE_LIMIT_MS);
  expect(actionsOf(it)).toEqual([{ type: 'close' }, { type: 'failed', records: [0] }]);
  expect(it.cutsInFlight).toBe(0);
});

test('where it is told to heal, a request whose connection ends leaves again on the next one', () => {
  const it = requesting({ underRequest: 'heals' });
  it.send(1, BYTES, 20);
  it.onClosed(30);
  it.onTick(30);
  it.onConnected(40);
  expect(actionsOf(it)).toEqual([{ type: 'connect' }, { type: 'request', batches: [[0], [1]] }]);
  expect(it.send(2, BYTES, 41)).toBe('taken');
});
