/** /api/v1/events. */
import { afterEach, expect, test } from 'vitest';
import { startApi, stopApis } from './api-rig.ts';
import { DEADLINE } from './serving.ts';
import { EPOCH_A, EPOCH_B } from './store-contract.ts';

afterEach(stopApis);

async function listening() {
  const { app, ...serving } = await startApi();
  const address = await app.listen({ host: '127.0.0.1', port: 0 });
  return { app, address, ...serving };
}

/** Opens a stream of events and gathers what comes. */
async function read(address: string, lastEventId?: string) {
  const leaving = new AbortController();
  const response = await fetch(`${address}/api/v1/events`, {
    headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
    signal: leaving.signal,
  });
  const seen = { status: response.status, text: '', ended: '', leave: () => leaving.abort() };
  const gather = async (): Promise<void> => {
    for await (const chunk of response.body ?? []) seen.text += Buffer.from(chunk).toString();
  };
  gather().then(
    () => {
      seen.ended = 'in order';
    },
    () => {
      seen.ended = 'broken off';
    },
  );
  return seen;
}

function idsIn(text: string): string[] {
  return [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id ?? '');
}

function namesIn(text: string): string[] {
  return [...text.matchAll(/^event: (.*)$/gm)].map(([, name]) => name ?? '');
}

test('hello comes first, then what happens, with many commits gathered', async () => {
  const { address, events } = await listening();
  const seen = await read(address);
  await expect.poll(() => seen.text, DEADLINE).toContain('event: hello');
  events.publish({ type: 'collector', collector: 'c1', connected: true, at: 1 });
  for (let to = 1; to <= 50; to += 1) {
    events.publish({ type: 'stored', collector: 'c1', epoch: EPOCH_A, to, capturedAt: to });
  }
  await expect.poll(() => seen.text, DEADLINE).toContain('"to":50');
  expect(namesIn(seen.text)).toEqual(['hello', 'collector', 'stored']);
  expect(seen.text).toContain('"connected":true');
});

test('what is gathered goes out before what comes behind it', async () => {
  const { address, events } = await listening();
  const seen = await read(address);
  await expect.poll(() => seen.text, DEADLINE).toContain('event: hello');
  events.publish({ type: 'stored', collector: 'c1', epoch: EPOCH_A, to: 1, capturedAt: 1 });
  events.publish({ type: 'collector', collector: 'c2', connected: true, at: 1 });
  await expect.poll(() => seen.text, DEADLINE).toContain('"c2"');
  expect(namesIn(seen.text)).toEqual(['hello', 'stored', 'collector']);
  const numbers = idsIn(seen.text).map((id) => Number(id.split('.')[1]));
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
});

test('a reader that comes back is told what has changed since, each thing once', async () => {
  const { address, events } = await listening();
  const first = await read(address);
  events.publish({ type: 'collector', collector: 'c1', connected: true, at: 1 });
  await expect.poll(() => first.text, DEADLINE).toContain('event: collector');
  first.leave();
  const [, seen = ''] = idsIn(first.text);
  for (let to = 1; to <= 1_000; to += 1) {
    events.publish({ type: 'stored', collector: 'c1', epoch: EPOCH_A, to, capturedAt: to });
  }
  events.publish({ type: 'stored', collector: 'c1', epoch: EPOCH_B, to: 7, capturedAt: 7 });
  events.publish({ type: 'stored', collector: 'c1', epoch: EPOCH_A, to: 20, capturedAt: 20 });
  events.publish({ type: 'collector', collector: 'c1', connected: false, at: 2 });
  const second = await read(address, seen);
  await expect.poll(() => second.text, DEADLINE).toContain('"connected":false');
  expect(namesIn(second.text)).toEqual(['hello', 'stored', 'stored', 'collector']);
  expect(second.text).toContain('"to":1000');
  // From the last of them on there is nothing to tell but what comes now.
  second.leave();
  const third = await read(address, idsIn(second.text).at(-1));
  await expect.poll(() => third.text, DEADLINE).toContain('event: hello');
  events.publish({ type: 'collector', collector: 'c9', connected: true, at: 3 });
  await expect.poll(() => third.text, DEADLINE).toContain('"c9"');
  expect(namesIn(third.text)).toEqual(['hello', 'collector']);
});

test.each(['x', 'abcdefabcdef.1', '.', '1.1.1'])(
  'one with an id of another run, %s, is told to begin anew',
  async (id) => {
    const { address } = await listening();
    const seen = await read(address, id);
    await expect.poll(() => namesIn(seen.text), DEADLINE).toEqual(['hello', 'reset']);
  },
);

test('so is one that missed more than is kept', async () => {
  const { address, events } = await listening();
  const first = await read(address);
  await expect.poll(() => first.text, DEADLINE).toContain('event: hello');
  const [id = ''] = idsIn(first.text);
  first.leave();
  for (let n = 1; n <= 4_097; n += 1) {
    events.publish({ type: 'collector', collector: `c${n}`, connected: true, at: 1 });
  }
  const second = await read(address, id);
  await expect.poll(() => namesIn(second.text), DEADLINE).toEqual(['hello', 'reset']);
});

test('readers are capped, and ended when the server closes', async () => {
  const { app, address } = await listening();
  const readers = [await read(address), await read(address)];
  expect((await read(address)).status).toBe(503);
  await app.close();
  await expect
    .poll(() => readers.map(({ ended }) => ended), DEADLINE)
    .toEqual(['in order', 'in order']);
});
