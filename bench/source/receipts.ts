/**
 * What frames that nothing has settled cost in memory, as a program of its own: appends with no
 * server there, lets go of the receipts, and says what is left on the heap after a full collection.
 * Then what receipts cost that somebody holds, and those that somebody waits for.
 *
 * Called with a directory for the queue and the number of frames. Prints one JSON line.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Producer } from '#collector/producer/producer.ts';

/** What is told of a run, in bytes. */
export interface ReceiptsFacts {
  readonly frames: number;
  /** On the main thread's heap, after a tenth of the frames and after all. */
  readonly heapAtTenth: number;
  readonly heapAtAll: number;
  /** Of the process, the queue's thread included. */
  readonly residentAtTenth: number;
  readonly residentAtAll: number;
  /** For each receipt that is held, and for each whose fate is waited for. */
  readonly perReceiptHeld: number;
  readonly perReceiptAsked: number;
}

const BATCH = 4_096;
const HELD = 65_536;
/** Room for ten million frames without a payload to speak of. */
const LIMIT_BYTES = 4 * 1_024 ** 3;

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** Twice, with a turn of the event loop between: what the last batch left goes with the second. */
async function heapBytes(): Promise<number> {
  collect();
  await delay(0);
  collect();
  return process.memoryUsage().heapUsed;
}

const [queuePath = '', count = ''] = process.argv.slice(2);
const frames = Number(count);
const producer = new Producer({
  server: '127.0.0.1:1',
  token: 'nobody is there to read it',
  queuePath,
  queueLimitBytes: LIMIT_BYTES,
});

async function append(many: number): Promise<void> {
  for (let left = many; left > 0; left -= BATCH) {
    await Promise.all(Array.from({ length: Math.min(left, BATCH) }, () => producer.send('frame')));
  }
}

await append(frames / 10);
const [heapAtTenth, residentAtTenth] = [await heapBytes(), process.memoryUsage().rss];
await append(frames - frames / 10);
const [heapAtAll, residentAtAll] = [await heapBytes(), process.memoryUsage().rss];

const held = await Promise.all(Array.from({ length: HELD }, () => producer.send('frame')));
const heapHeld = await heapBytes();
const asked = held.map((receipt) => receipt.settled);
const heapAsked = await heapBytes();
const facts: ReceiptsFacts = {
  frames,
  heapAtTenth,
  heapAtAll,
  residentAtTenth,
  residentAtAll,
  perReceiptHeld: (heapHeld - heapAtAll) / held.length,
  perReceiptAsked: (heapAsked - heapHeld) / asked.length,
};
const { pending } = await producer.close();
if (pending !== frames + HELD) throw new Error(`${pending} frames are pending`);
console.log(JSON.stringify(facts));
