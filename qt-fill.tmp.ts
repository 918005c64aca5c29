import { Queue } from '#collector/producer/queue/queue.ts';

const q = await Queue.open({ path: '/tmp/qt-10m', limitBytes: 4 * 1024 ** 3 });
const p = Buffer.alloc(200, 'p');
const s = Date.now() * 1000;
const N = 10_000_000;
for (let m = 0; m < N; m += 4096)
  await Promise.all(
    Array.from({ length: Math.min(4096, N - m) }, (_, i) => q.append(p, s + m + i)),
  );
await q.close();
