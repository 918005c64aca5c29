/**
 * A process that holds the queue named on its command line and keeps it busy until it is killed:
 * appends, has most of it settled by a store that it plays, and gives up the oldest where the queue
 * is full. Segments come and go many times a second. Says `busy` once some have gone.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from '#collector/producer/queue/queue.ts';
import { appendTo } from '../../queue/support.ts';

const STORE = '0192f6c4-0000-7000-8000-00000000aaaa';
const [path = ''] = process.argv.slice(2);
const queue = await Queue.open({
  path,
  limitBytes: 400_000,
  segmentBytes: 16_384,
  keepSettledBytes: 60_000,
});
let gaps = 0;
queue.on(({ type }) => {
  if (type === 'gap') gaps += 1;
});
for (let round = 1; ; round += 1) {
  const frames = Array.from({ length: 64 }, (_, i) =>
    appendTo(queue, Buffer.alloc(200 + i, `round ${round};`), Date.now() * 1_000 + i),
  );
  const last = (await Promise.all(frames)).at(-1);
  // Now the oldest are given up, now what is old is settled, with holes.
  if (last !== undefined && round % 200 > 100) {
    const to = last.seq - 600;
    if (to > 10) {
      queue.settle(STORE, last.epoch, [
        { from: 1, to: to - 10, state: 'stored', code: 0 },
        { from: to - 5, to, state: 'stored', code: 0 },
      ]);
    }
  }
  if (round === 300) process.stdout.write(gaps > 0 ? 'busy\n' : 'nothing was given up\n');
  await delay(1);
}
