/** The benchmark's check of the store: it sees every kind of defect, each shown by forging one. */
import { createServer, type Server } from 'node:http';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import { capturedAtOf, type FramePlan, indexOf, payloadOf } from '#bench/source/frames.ts';
import { holds, verify } from '#bench/verification.ts';
import { formatTime } from '#protocol/identity.ts';

const PLAN: FramePlan = { seed: 42, payloadBytes: 300, startedAt: 1_795_000_000_123_456 };
const SENT = 50;

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** An API whose export gives these rows. */
async function serve(rows: readonly object[]): Promise<string> {
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const server = createServer((_, response) => response.end(text));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no address');
  return `http://127.0.0.1:${address.port}`;
}

function row(n: number, change: { payload?: Buffer; capturedAt?: number } = {}) {
  const { payload = payloadOf(PLAN, n), capturedAt = capturedAtOf(PLAN, n) } = change;
  const payload_base64 = payload.toString('base64');
  const received_at = formatTime(capturedAt + 1_000);
  return { seq: n + 1, captured_at: formatTime(capturedAt), received_at, payload_base64 };
}

const all = Array.from({ length: SENT }, (_, n) => row(n));
const clean = { sent: SENT, stored: SENT, lost: 0, duplicated: 0, altered: 0, unexpected: 0 };

function flipped(n: number): Buffer {
  const payload = payloadOf(PLAN, n);
  payload.writeUInt8(payload.readUInt8(299) ^ 1, 299);
  return payload;
}

test('a store with every frame once, bit for bit, holds', async () => {
  const found = await verify(await serve(all), PLAN, SENT);
  expect(found).toEqual(clean);
  expect(holds(found)).toBe(true);
});

test.each([
  ['a row is missing', all.toSpliced(7, 1), { stored: 49, lost: 1 }],
  ['a row is there twice', [...all, row(7)], { stored: 51, duplicated: 1 }],
  ['one bit of a payload is another', all.with(7, row(7, { payload: flipped(7) })), { altered: 1 }],
  [
    'a capture time is off by a microsecond',
    all.with(7, row(7, { capturedAt: capturedAtOf(PLAN, 7) + 1 })),
    { altered: 1 },
  ],
  ['a frame was never sent', [...all, row(SENT)], { stored: 51, unexpected: 1 }],
  [
    'a row is too short to say which it is',
    all.with(7, row(7, { payload: Buffer.alloc(3) })),
    { lost: 1, unexpected: 1 },
  ],
])('it does not hold when %s', async (_, rows, defects) => {
  const found = await verify(await serve(rows), PLAN, SENT);
  expect(found).toEqual({ ...clean, ...defects });
  expect(holds(found)).toBe(false);
});

test('frames follow from the seed and their number, and no compressor gets them smaller', () => {
  const frames = Array.from({ length: SENT }, (_, n) => payloadOf(PLAN, n));
  expect(frames.map(indexOf)).toEqual(frames.map((_, n) => n));
  expect(payloadOf(PLAN, 7)).toEqual(payloadOf(PLAN, 7));
  expect(payloadOf({ ...PLAN, seed: 43 }, 7)).not.toEqual(payloadOf(PLAN, 7));
  const bytes = Buffer.concat(frames);
  expect(zstdCompressSync(bytes).length).toBeGreaterThan(bytes.length * 0.95);
});
