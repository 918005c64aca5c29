/**
 * A program that ships its own events: orders of a shop, each sent once, through whatever happens to
 * it or to the link. It may be killed at any instant and started again; it then goes on behind the
 * last order that its ledger names.
 *
 *   SERVER=127.0.0.1:9004 TOKEN=… QUEUE=./queue LEDGER=./ledger.jsonl ORDERS=3000 node ship.ts
 *
 * The ledger is there for the proof beside it (`main.ts`), not for the shipping: an attempt line
 * that is on disk before each `send`, an accepted line after it. A program of your own needs none.
 */
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Producer } from 'holdfast/producer';
import { LedgerWriter } from '#chaos/ledger/writer.ts';

const ORDERS_AT_A_TIME = 10;
const PAUSE_MS = 20;

const { SERVER = '127.0.0.1:9004', TOKEN = '', QUEUE = './queue' } = process.env;
const { LEDGER = './ledger.jsonl', ORDERS = '3000' } = process.env;

const producer = new Producer({
  server: SERVER,
  token: TOKEN,
  queuePath: QUEUE,
  collectorId: 'shop',
});
producer.on('state', ({ from, to }) => console.log(`link: ${from.name} -> ${to.name}`));

const ledger = await LedgerWriter.open(LEDGER);
let lastCapturedAt = ledger.past.lastCapturedAt ?? 0;
await ledger.start({
  run: randomUUID(),
  collector: 'shop',
  seed: 0,
  at: Date.now() * 1_000,
  settings: { orders: Number(ORDERS) },
});

/** Sends one order. Its line of the ledger is on disk already. */
async function ship(order: Order): Promise<void> {
  const { epoch, seq } = await producer.send(order.payload, { capturedAt: order.capturedAt });
  // From here on the order arrives, whatever happens to this process, to the link or to the server.
  ledger.append({ type: 'accepted', n: order.number, epoch, seq });
}

interface Order {
  readonly number: number;
  /** Microseconds since 1970 UTC: what the server will show, however late it hears of it. */
  readonly capturedAt: number;
  readonly payload: Buffer;
}

function takeOrder(number: number): Order {
  lastCapturedAt = Math.max(lastCapturedAt + 1, Date.now() * 1_000);
  const text = JSON.stringify({ order: number, customer: randomUUID(), cents: number % 9_973 });
  const order = { number, capturedAt: lastCapturedAt, payload: Buffer.from(text) };
  const sha256 = createHash('sha256').update(order.payload).digest('hex');
  const facts = { captured_at: order.capturedAt, bytes: order.payload.length, sha256 };
  ledger.append({ type: 'attempt', n: number, ...facts });
  return order;
}

let taken = ledger.past.attempts;
console.log(`order ${taken + 1} comes next; ${producer.status().queue.frames} wait in the queue`);
while (taken < Number(ORDERS)) {
  const orders: Order[] = [];
  while (orders.length < ORDERS_AT_A_TIME && taken < Number(ORDERS)) {
    taken += 1;
    orders.push(takeOrder(taken));
  }
  await ledger.sync();
  await Promise.all(orders.map(ship));
  await pause(PAUSE_MS);
}
ledger.append({ type: 'end', at: Date.now() * 1_000, attempts: taken });
await ledger.close();
await producer.close({ deadlineMs: 30_000 });
console.log(`${producer.status().queue.frames} orders are still on their way`);
