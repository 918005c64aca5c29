/**
 * What damage to the files of a queue costs, from real files to the rows of a real server: what the
 * damage touched is declared by number, everything else is delivered bit for bit, and the log names
 * the file, where it was set aside, what was saved and what was not.
 */
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EventLog } from '#collector/event-log.ts';
import { Producer } from '#collector/producer/producer.ts';
import { Queue } from '#collector/producer/queue/queue.ts';
import type { StoredFrame } from '#server/store/store.ts';
import { asNewer, recordsOf } from '../queue/damage.ts';
import { appendTo, payloadOf } from '../queue/support.ts';
import { DEADLINE, type Serving, serve, stopServing } from '../server/serving.ts';
import { TOKEN } from '../server/wire-client.ts';

const SEGMENT_BYTES = 65_536;
const PAYLOAD_BYTES = 200;

let path: string;
let producers: Producer[];

beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), 'holdfast-damaged-')), 'queue');
  producers = [];
});

afterEach(async () => {
  await Promise.all(producers.map((producer) => producer.close({ deadlineMs: 0 })));
  await stopServing();
  rmSync(join(path, '..'), { recursive: true });
});

function captureTime(n: number): number {
  return 1_764_000_000_000_000 + n;
}

/** Appends frames `from` to `to` in an epoch of their own. */
async function fill(from: number, to: number): Promise<void> {
  const queue = await Queue.open({ path, segmentBytes: SEGMENT_BYTES });
  const numbers = Array.from({ length: to - from + 1 }, (_, i) => from + i);
  await Promise.all(
    numbers.map((n) => appendTo(queue, payloadOf(n, PAYLOAD_BYTES), captureTime(n))),
  );
  await queue.close();
}

function segments(): string[] {
  return readdirSync(path)
    .filter((name) => name.startsWith('segment-'))
    .sort();
}

/** The names (`epoch/seq`) in a whole segment, and where each record lies. */
function framesOf(name: string) {
  return recordsOf(name, readFileSync(join(path, name))).filter(({ names }) => names.length > 0);
}

function namesIn(name: string): string[] {
  return framesOf(name).flatMap(({ names }) => names);
}

interface Delivery {
  readonly producer: Producer;
  readonly serving: Serving;
  readonly log: readonly Record<string, unknown>[];
}

/** Opens the queue as the collector does, and waits until it has given everything away. */
async function deliver(serving?: Serving): Promise<Delivery> {
  const server = serving ?? (await serve());
  const log: Record<string, unknown>[] = [];
  const events = new EventLog(
    pino({ level: 'debug' }, { write: (line) => log.push(JSON.parse(line)) }),
    () => performance.now(),
  );
  const producer = new Producer({
    server: { host: '127.0.0.1', port: server.port },
    token: TOKEN,
    queuePath: path,
  });
  producer.on('event', (event) => events.onProducer(event));
  producers.push(producer);
  const { collector, recovery } = await producer.opened();
  events.onOpened(collector, path, recovery);
  await expect.poll(() => producer.status().queue.frames, DEADLINE).toBe(0);
  await expect.poll(async () => (await totals(server)).pending, DEADLINE).toBe(0);
  return { producer, serving: server, log };
}

async function close(producer: Producer): Promise<void> {
  producers.splice(producers.indexOf(producer), 1);
  await producer.close({ deadlineMs: 0 });
}

type Listed = 'declared' | 'pending' | 'missing';

async function listed({ store }: Serving, what: Listed): Promise<string[]> {
  const audits = await store.audit();
  return audits.flatMap(({ epochs }) =>
    epochs.flatMap((one) =>
      one[what].flatMap(({ from, to }) =>
        Array.from({ length: to - from + 1 }, (_, i) => `${one.epoch}/${from + i}`),
      ),
    ),
  );
}

async function totals(serving: Serving): Promise<Record<Listed, number>> {
  const [declared, pending, missing] = await Promise.all(
    (['declared', 'pending', 'missing'] as const).map((what) => listed(serving, what)),
  );
  return {
    declared: declared?.length ?? 0,
    pending: pending?.length ?? 0,
    missing: missing?.length ?? 0,
  };
}

async function rows({ store }: Serving): Promise<StoredFrame[]> {
  return (await Array.fromAsync(store.export({}))).flat();
}

/** Of frames 1 to `count`, exactly `lost` are declared, and all others are rows as appended. */
async function expectDelivered(serving: Serving, count: number, lost: readonly string[]) {
  expect((await listed(serving, 'declared')).sort()).toEqual([...lost].sort());
  expect(await listed(serving, 'missing')).toEqual([]);
  const stored = await rows(serving);
  const numbers = stored.map(({ capturedAt }) => capturedAt - captureTime(0));
  expect(new Set(numbers).size).toBe(count - lost.length);
  expect(numbers).toHaveLength(count - lost.length);
  for (const { capturedAt, payload, epoch, seq } of stored) {
    const appended = payloadOf(capturedAt - captureTime(0), PAYLOAD_BYTES);
    expect(appended.equals(payload), `the bytes of ${epoch}/${seq}`).toBe(true);
  }
}

function damageSaid({ log }: Delivery): Record<string, unknown>[] {
  return log.filter(({ event }) => event === 'queue_damage');
}

describe('a backlog of 3,000 frames', () => {
  beforeEach(() => fill(1, 3_000));

  test('with 64 bytes flipped in its middle loses the frames that they touch, and no other', async () => {
    const name = segments()[Math.floor(segments().length / 2)] ?? '';
    const content = readFileSync(join(path, name));
    const at = Math.floor(content.length / 2);
    const touched = framesOf(name)
      .filter(({ offset, bytes }) => offset < at + 64 && offset + bytes.length > at)
      .flatMap(({ names }) => names);
    const saved = namesIn(name).length - touched.length;
    for (let i = at; i < at + 64; i += 1) content[i] = (content[i] ?? 0) ^ 0xff;
    writeFileSync(join(path, name), content);

    const delivery = await deliver();
    expect(touched.length).toBeLessThanOrEqual(2);
    await expectDelivered(delivery.serving, 3_000, touched);
    expect(damageSaid(delivery)).toMatchObject([
      { level: 50, kind: 'damaged', file: name, frames_saved: saved },
    ]);
    // Its index was believed, so the damage was met in reading; the next start reads all of it.
    await close(delivery.producer);
    const next = await deliver(delivery.serving);
    expect(damageSaid(next)).toMatchObject([{ file: name, set_aside_as: `set-aside/${name}` }]);
    expect(readFileSync(join(path, 'set-aside', name))).toEqual(content);
    await expectDelivered(delivery.serving, 3_000, touched);
    expect(delivery.log.filter(({ event }) => event === 'frames_declared')).toHaveLength(1);
  });

  test.each([
    ['a middle segment', 2],
    ['the last segment', -1],
  ])('with %s cut in half loses what was cut, and nothing queued later', async (_, index) => {
    const name = segments().at(index) ?? '';
    const half = Math.floor(statSync(join(path, name)).size / 2);
    const touched = framesOf(name)
      .filter(({ offset, bytes }) => offset + bytes.length > half)
      .flatMap(({ names }) => names);
    truncateSync(join(path, name), half);
    await fill(3_001, 3_100);

    const { serving } = await deliver();
    await expectDelivered(serving, 3_100, touched);
  });

  test.each<[string, string, (file: string) => void]>([
    ['full of zeros', 'foreign', (file) => writeFileSync(file, Buffer.alloc(statSync(file).size))],
    ['of something else', 'foreign', (file) => writeFileSync(file, 'GIF89a '.repeat(9_000))],
    ['of a newer version', 'newer', (file) => writeFileSync(file, asNewer(readFileSync(file)))],
  ])('with a segment that is %s has that set aside and declared', async (_, kind, change) => {
    const name = segments()[3] ?? '';
    const touched = namesIn(name);
    change(join(path, name));
    const content = readFileSync(join(path, name));

    const delivery = await deliver();
    await expectDelivered(delivery.serving, 3_000, touched);
    expect(damageSaid(delivery)).toMatchObject([
      {
        level: 50,
        kind,
        file: name,
        set_aside_as: `set-aside/${name}`,
        frames_saved: 0,
        bytes_lost: content.length,
      },
    ]);
    expect(readFileSync(join(path, 'set-aside', name))).toEqual(content);
  });

  test('with a segment missing has that declared', async () => {
    const name = segments()[3] ?? '';
    const touched = namesIn(name);
    unlinkSync(join(path, name));
    const delivery = await deliver();
    await expectDelivered(delivery.serving, 3_000, touched);
    expect(damageSaid(delivery)).toMatchObject([{ level: 50, kind: 'missing' }]);
  });

  test('with a checkpoint of a newer version, or none that reads, loses nothing', async () => {
    const file = join(path, 'checkpoint');
    const newer = readFileSync(file, 'utf8').replace('checkpoint 1 ', 'checkpoint 2 ');
    writeFileSync(file, newer);
    const delivery = await deliver();
    await expectDelivered(delivery.serving, 3_000, []);
    expect(damageSaid(delivery)).toMatchObject([
      { kind: 'unreadable', file: 'checkpoint', set_aside_as: 'set-aside/checkpoint' },
    ]);
    expect(readFileSync(join(path, 'set-aside', 'checkpoint'), 'utf8')).toBe(newer);
  });

  test('takes a segment that was set aside back in when it is put in place again', async () => {
    const name = segments()[3] ?? '';
    const file = join(path, name);
    const readable = readFileSync(file);
    writeFileSync(file, asNewer(readFileSync(file)));
    const { serving, producer } = await deliver();
    expect(await listed(serving, 'declared')).not.toEqual([]);
    await close(producer);
    // What a program does that reads that version is played by the file in this one's.
    rmSync(join(path, 'set-aside', name));
    writeFileSync(file, readable);

    await deliver(serving);
    await expectDelivered(serving, 3_000, []);
  });
});
