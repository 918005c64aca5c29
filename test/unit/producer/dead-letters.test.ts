/** A frame that the real server refuses is kept aside on disk, and the frames around it pass. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keepDeadLetter } from '#collector/producer/dead-letters.ts';
import { Producer, type ProducerEvent } from '#collector/producer/producer.ts';
import { DiskReader } from '#collector/producer/queue/disk.ts';
import { letterName, letterNames, loadLetter } from '#collector/producer/queue/letter-file.ts';
import { REAL_SURROUNDINGS } from '#collector/producer/surroundings.ts';
import { epochNumber, frame } from './rig.ts';

const TOKEN = 'the token of the test';
const DEADLINE = { timeout: 15_000, interval: 20 };

let folder: string;
let server: ChildProcess | undefined;
let producer: Producer | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-dead-'));
});

afterEach(async () => {
  await producer?.close({ deadlineMs: 0 });
  producer = undefined;
  server?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Starts a server that takes payloads of up to 100 bytes, and answers its port. */
async function startServer(): Promise<number> {
  const main = fileURLToPath(new URL('../../../server/main.ts', import.meta.url));
  const child = spawn(process.execPath, [main, 'run'], {
    env: {
      HOLDFAST_TOKEN: TOKEN,
      HOLDFAST_STORE_PATH: join(folder, 'store'),
      HOLDFAST_INGEST_PORT: '0',
      HOLDFAST_API_PORT: '0',
      HOLDFAST_PAYLOAD_BYTES_MAX: '100',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  server = child;
  for await (const line of createInterface({ input: child.stdout })) {
    const { event, ingest } = JSON.parse(line);
    if (event === 'started') return Number(String(ingest).split(':').at(-1));
  }
  throw new Error('the server ended before it had started');
}

test('a refused frame becomes a dead letter with code, words and payload, and blocks nothing', async () => {
  const port = await startServer();
  const events: ProducerEvent[] = [];
  const queuePath = join(folder, 'queue');
  const sender = new Producer({
    server: { host: '127.0.0.1', port },
    token: Buffer.from(TOKEN),
    queuePath,
    collectorId: 'c1',
  });
  sender.on('event', (event) => events.push(event));
  producer = sender;
  const large = Buffer.alloc(200, 7);
  await sender.send(Buffer.from('before'), { capturedAt: 1 });
  const { epoch, seq } = await sender.send(large, { capturedAt: 2 });
  await sender.send(Buffer.from('after'), { capturedAt: 3 });

  await expect.poll(() => sender.status().queue.frames, DEADLINE).toBe(0);
  expect(sender.status().counters).toMatchObject({ accepted: 3, acked: 2, dead: 1 });
  expect(events).toContainEqual(
    expect.objectContaining({ type: 'rejected', epoch, seq, code: 'too_large' }),
  );
  const [name] = readdirSync(join(queuePath, 'dead-letters'));
  expect(name).toBe(`${epoch}-0000000000000002.json`);
  const letter = JSON.parse(readFileSync(join(queuePath, 'dead-letters', name ?? ''), 'utf8'));
  expect(letter).toMatchObject({
    collector: 'c1',
    epoch,
    seq,
    captured_at_us: 2,
    code: 'too_large',
  });
  const { payload_base64: payload, text } = letter;
  expect(Buffer.from(payload, 'base64')).toEqual(large);
  expect(text).not.toBe('');
});

test('on a full disk a refused frame stays pending, and is kept aside once there is room', async () => {
  const port = await startServer();
  const events: ProducerEvent[] = [];
  let room = false;
  const kept: number[] = [];
  const sender = new Producer(
    {
      server: { host: '127.0.0.1', port },
      token: Buffer.from(TOKEN),
      queuePath: join(folder, 'queue'),
      collectorId: 'c1',
    },
    {
      ...REAL_SURROUNDINGS,
      after: (ms, call) => REAL_SURROUNDINGS.after(Math.min(ms, 20), call),
      keepDeadLetter: async (_, letter) => {
        if (!room) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
        kept.push(letter.frame.seq);
      },
    },
  );
  sender.on('event', (event) => events.push(event));
  producer = sender;
  await sender.send(Buffer.alloc(200, 7), { capturedAt: 1 });
  await sender.send(Buffer.from('after'), { capturedAt: 2 });
  await expect.poll(() => sender.status().counters.acked, DEADLINE).toBe(1);
  expect(sender.status().queue.frames).toBe(1);
  room = true;
  await expect.poll(() => sender.status().queue.frames, DEADLINE).toBe(0);
  expect(kept).toEqual([1]);
  expect(events.filter(({ type }) => type === 'failed')).toEqual([]);
});

test('a letter is whole or not there, and one of a frame that is refused again replaces it', async () => {
  const letter = (seq: number, text = '') => ({
    collector: 'c1',
    frame: frame(epochNumber(1), seq),
    code: 'too_large',
    text,
    rejectedAt: 1,
  });
  const directory = join(folder, 'dead-letters');
  await keepDeadLetter(folder, letter(1));
  writeFileSync(join(directory, `${letterName(epochNumber(1), 2)}.tmp`), '{"collector":"c1","epo');
  await keepDeadLetter(folder, letter(2));
  await keepDeadLetter(folder, letter(1, 'again'));
  const files = new DiskReader(folder);
  const names = letterNames(files, 'dead-letters');
  expect(readdirSync(directory).sort()).toEqual(names);
  expect(names.map((name) => loadLetter(files, `dead-letters/${name}`))).toMatchObject([
    { state: 'loaded', letter: { frame: { seq: 1 }, text: 'again' } },
    { state: 'loaded', letter: { frame: { seq: 2 }, text: '' } },
  ]);
});

test('a letter that lies there already is not written again, unless it was taken away or altered', async () => {
  const letter = {
    collector: 'c1',
    frame: frame(epochNumber(1), 1),
    code: 'too_large',
    text: 'words',
    rejectedAt: 1,
  };
  const path = join(folder, 'dead-letters', letterName(epochNumber(1), 1));
  await keepDeadLetter(folder, letter);
  const { ino, mtimeNs } = statSync(path, { bigint: true });
  await keepDeadLetter(folder, { ...letter, rejectedAt: 2 });
  expect(statSync(path, { bigint: true })).toMatchObject({ ino, mtimeNs });
  mkdirSync(join(folder, 'replay'));
  renameSync(path, join(folder, 'replay', letterName(epochNumber(1), 1)));
  await keepDeadLetter(folder, { ...letter, rejectedAt: 3 });
  const load = () =>
    loadLetter(new DiskReader(folder), `dead-letters/${letterName(epochNumber(1), 1)}`);
  expect(load()).toMatchObject({ state: 'loaded', letter: { frame: { seq: 1 } } });
  writeFileSync(
    path,
    readFileSync(path, 'utf8').replace('"payload_base64":"A', '"payload_base64":"B'),
  );
  expect(load()).toMatchObject({ state: 'unreadable' });
  await keepDeadLetter(folder, letter);
  expect(load()).toMatchObject({ state: 'loaded' });
});
