/** /api/v1/export and the text of frames, in both formats. */
import { once } from 'node:events';
import { request } from 'node:http';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { formatTime, frameCrc } from '#protocol/identity.ts';
import { jsonTextOf } from '#protocol/json-text.ts';
import { frameCsv, frameJson } from '#server/api/frame-text.ts';
import { cursorOf, positionOfCursor, positionOfLine } from '#server/api/position.ts';
import { frame as frameSchema } from '#server/api/schemas.ts';
import type { Store, StoredFrame } from '#server/store/store.ts';
import { seeded } from '../seed.ts';
import { fill, startApi, stopApis } from './api-rig.ts';
import { DEADLINE } from './serving.ts';
import { announce, batchOf, EPOCH_A, epochOf, frameOf } from './store-contract.ts';

afterEach(stopApis);

function stored(payload: Uint8Array): StoredFrame {
  const facts = { epoch: EPOCH_A, seq: 1, capturedAt: 7, payload };
  return { ...facts, collector: 'c1', receivedAt: 9, crc: frameCrc(facts) };
}

function linesOf(body: string) {
  return body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('an export', () => {
  test('has one line a frame, in order', async () => {
    const { app, ...serving } = await startApi();
    await fill(serving, 2_100);
    const response = await app.inject({ url: '/api/v1/export?collector=c1' });
    expect(response.headers['content-type']).toContain('application/x-ndjson');
    expect(response.headers['content-disposition']).toBe(
      'attachment; filename="holdfast-c1-19700101T000001Z.ndjson"',
    );
    const lines = linesOf(response.body);
    expect(lines.map(({ seq }) => seq)).toEqual(
      Array.from({ length: 2_100 }, (_, index) => index + 1),
    );
    expect(lines[0]).toEqual({
      collector: 'c1',
      epoch: EPOCH_A,
      seq: 1,
      captured_at: formatTime(frameOf(EPOCH_A, 1).capturedAt),
      received_at: '1970-01-01T00:00:00.000005Z',
      crc32: frameOf(EPOCH_A, 1).crc.toString(16).padStart(8, '0'),
      payload_bytes: 7,
      payload_base64: Buffer.from('frame 1').toString('base64'),
    });
    expect((await app.inject({ url: '/api/v1/export?collector=nobody' })).body).toBe('');
  });

  test('of CSV has the same in columns', async () => {
    const { app, ...serving } = await startApi();
    await fill(serving, 3);
    const { headers, body } = await app.inject({ url: '/api/v1/export?format=csv' });
    expect(headers['content-type']).toBe('text/csv; charset=utf-8; header=present');
    expect(headers['content-disposition']).toContain('.csv"');
    const [head, first, second] = body.split('\r\n');
    expect(head).toBe(
      'collector,epoch,seq,captured_at,received_at,crc32,payload_bytes,crc_ok,payload_base64,payload',
    );
    expect(first).toMatch(/^c1,[^,]+,1,[^,]+,[^,]+,[0-9a-f]{8},7,true,ZnJhbWUgMQ==,$/);
    expect(second).toMatch(/,"{""metrics"": \[1\]}"$/);
  });

  test('keeps to times and goes on behind a line', async () => {
    const { app, ...serving } = await startApi();
    await fill(serving, 9);
    const seqs = async (query: string) => {
      const { body } = await app.inject({ url: `/api/v1/export?${query}` });
      return body === '' ? [] : linesOf(body).map(({ seq }) => seq);
    };
    const at = (seq: number) => formatTime(frameOf(EPOCH_A, seq).capturedAt);
    expect(await seqs(`from=${at(3)}&to=${at(6)}`)).toEqual([3, 4, 5]);
    const csv = (await app.inject({ url: '/api/v1/export?format=csv' })).body.split('\r\n');
    const after = csv[7]?.split(',').slice(0, 4).join(',') ?? '';
    expect(await seqs(`after=${after}`)).toEqual([8, 9]);
    expect(await seqs(`after=c1,${EPOCH_A},9,${at(9)}`)).toEqual([]);
  });

  test('says its headers to HEAD, and reads nothing for it', async () => {
    const { store } = await startApi();
    const deaf = { ...store, storeId: 'x', export: () => expect.unreachable() };
    const { app } = await startApi({ store: deaf as unknown as Store });
    const response = await app.inject({ method: 'HEAD', url: '/api/v1/export?format=csv' });
    expect(response.statusCode).toBe(200);
    expect(response.headers['content-type']).toContain('text/csv');
  });

  test('names a stored frame that no longer matches its CRC, and logs it', async () => {
    const { app, logged, ...serving } = await startApi();
    const { streams } = await announce(serving.store, [epochOf(EPOCH_A, 1, 1)]);
    const damaged = { ...frameOf(EPOCH_A, 1), payload: Buffer.from('FRAME 1') };
    await serving.store.commit(batchOf(streams[0] ?? -1, { frames: [damaged] }));
    const { body } = await app.inject({ url: '/api/v1/export' });
    expect(JSON.parse(body)).toMatchObject({ seq: 1, crc_ok: false });
    expect((await app.inject({ url: '/api/v1/export?format=csv' })).body).toContain(',7,false,');
    expect(logged).toContainEqual(
      expect.objectContaining({ event: 'stored_frame_damaged', level: 50, seq: 1 }),
    );
  });
});

describe('a reader', () => {
  /** A store with frames without end, that tells how many chunks were taken and when it is let go. */
  function endless() {
    const seen = { chunks: 0, ended: 0 };
    const frames = [stored(Buffer.alloc(250_000))];
    async function* chunks(): AsyncGenerator<StoredFrame[]> {
      try {
        for (;;) {
          seen.chunks += 1;
          yield frames;
        }
      } finally {
        seen.ended += 1;
      }
    }
    return { seen, store: { storeId: 'x', export: chunks } as unknown as Store };
  }

  async function open(address: string) {
    const asked = request(`${address}/api/v1/export`).end();
    const [response] = await once(asked, 'response');
    response.on('error', () => {});
    return response;
  }

  test('that is slow is waited for, and one that goes is let go of', async () => {
    const { seen, store } = endless();
    const { app } = await startApi({ store });
    const response = await open(await app.listen({ host: '127.0.0.1', port: 0 }));
    // What the sockets' buffers hold, and no more: then nothing is read any further.
    let before = -1;
    await expect
      .poll(() => {
        const still = seen.chunks === before;
        before = seen.chunks;
        return still;
      }, DEADLINE)
      .toBe(true);
    expect(seen.chunks).toBeLessThan(1_000);
    response.destroy();
    await expect.poll(() => seen.ended, DEADLINE).toBe(1);
  });

  test('over the cap is told to come back, and finds room when another has gone', async () => {
    const { seen, store } = endless();
    const { app } = await startApi({ store });
    const address = await app.listen({ host: '127.0.0.1', port: 0 });
    const readers = await Promise.all(Array.from({ length: 16 }, () => open(address)));
    const refused = await open(address);
    expect(refused.statusCode).toBe(503);
    expect(refused.headers).toMatchObject({ 'retry-after': '10' });
    expect(refused.headers).not.toHaveProperty('content-disposition');
    readers[0]?.destroy();
    await expect.poll(() => seen.ended, DEADLINE).toBe(1);
    expect((await open(address)).statusCode).toBe(200);
  });

  test('does not take an export that broke off for a whole one', async () => {
    async function* broken(): AsyncGenerator<StoredFrame[]> {
      yield [stored(Buffer.alloc(100_000))];
      throw new Error('the disk is gone');
    }
    const store = { storeId: 'x', export: broken } as unknown as Store;
    const { app, logged } = await startApi({ store });
    const response = await fetch(
      `${await app.listen({ host: '127.0.0.1', port: 0 })}/api/v1/export`,
    );
    await expect(response.text()).rejects.toThrow();
    expect(logged).toContainEqual(
      expect.objectContaining({ event: 'export_broken_off', level: 50 }),
    );
  });
});

describe('a frame as text', () => {
  const payloads = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.json().map((text) => Buffer.from(text)),
    fc.json().map((text) => Buffer.from(JSON.stringify(JSON.parse(text), null, 2))),
    fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
  );

  test('is one line of JSON by the schema, with the bytes as they were', () => {
    fc.assert(
      fc.property(payloads, (payload) => {
        const text = frameJson(stored(payload), true);
        expect(text).not.toMatch(/[\r\n]/);
        const read = frameSchema.parse(JSON.parse(text));
        expect(Buffer.from(read.payload_base64, 'base64').equals(payload)).toBe(true);
        if (read.payload !== undefined) {
          expect(read.payload).toEqual(JSON.parse(Buffer.from(payload).toString()));
        }
      }),
      seeded(),
    );
  });

  test('is one record of CSV, in which no cell begins like a call', () => {
    fc.assert(
      fc.property(payloads, (payload) => {
        const cells = cellsOf(frameCsv(stored(payload), true));
        expect(cells).toHaveLength(10);
        expect(Buffer.from(cells[8] ?? '', 'base64').equals(payload)).toBe(true);
        if (cells[9] !== '') {
          expect(JSON.parse(cells[9] ?? '')).toEqual(JSON.parse(Buffer.from(payload).toString()));
        }
        for (const cell of cells) {
          expect(cell).not.toMatch(/^[=@\t\r]/);
          expect(cell).not.toMatch(/^[+-].*[(|!]/s);
        }
      }),
      seeded(),
    );
  });

  /** A reader by RFC 4180, of one record. */
  function cellsOf(record: string): string[] {
    expect(record).toMatch(/\r\n$/);
    const cells = record.slice(0, -2).matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,"\r\n]*))/g);
    return [...cells].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '');
  }

  test('keeps the digits of large numbers and both of two equal keys', () => {
    const text = '{"n":12345678901234567890.5,"n":1e400}';
    expect(frameJson(stored(Buffer.from(text)), true)).toContain(`"payload":${text}`);
  });

  test('has no payload for what is not JSON, or is nested without end', () => {
    for (const bytes of ['', 'frame 1', '{', '\ufeff1', '[1] x', '+1', 'NaN']) {
      expect(jsonTextOf(Buffer.from(bytes)), bytes).toBeUndefined();
    }
    expect(jsonTextOf(Buffer.from([0x22, 0xff, 0x22]))).toBeUndefined();
    const nested = (depth: number) => Buffer.from('['.repeat(depth) + ']'.repeat(depth));
    expect(jsonTextOf(nested(100))).toBeDefined();
    expect(jsonTextOf(nested(101))).toBeUndefined();
    expect(jsonTextOf(nested(500_000))).toBeUndefined();
    const brackets = JSON.stringify(`\\"${'['.repeat(1_000)}`);
    expect(jsonTextOf(Buffer.from(brackets))).toBe(brackets);
  });
});

test('a place comes back from its text, and nothing else passes for one', () => {
  const place = { collector: 'c1', epoch: EPOCH_A, capturedAt: 7, seq: 9 };
  expect(positionOfCursor(cursorOf(place))).toEqual(place);
  const line = frameCsv({ ...stored(new Uint8Array()), ...place }, true);
  const fields = line.split(',').slice(0, 4).join(',');
  expect(positionOfLine(fields)).toEqual(place);
  for (const text of ['', 'x', '~~~', `${cursorOf(place)}~1`, fields]) {
    expect(positionOfCursor(text), text).toBeUndefined();
  }
  const past = '9'.repeat(16);
  expect(positionOfCursor(`c1~${EPOCH_A}~${past}~${past}`)).toMatchObject({
    seq: Number.MAX_SAFE_INTEGER,
    capturedAt: Number.MAX_SAFE_INTEGER,
  });
  for (const text of ['', ',,,', `${fields},1`, `c1,${EPOCH_A},9`, cursorOf(place)]) {
    expect(positionOfLine(text), text).toBeUndefined();
  }
});
