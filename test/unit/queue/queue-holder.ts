/**
 * A process that opens the queue named on its command line, appends what it is told to, says so on
 * stdout, and then holds the queue until it is killed. With `close` it closes it and must end by
 * itself.
 */
import { Queue } from '#collector/producer/queue/queue.ts';
import { appendTo } from './support.ts';

const [path = '', frames = '0', end = 'hold'] = process.argv.slice(2);
const queue = await Queue.open({ path });
const appended = Array.from({ length: Number(frames) }, (_, i) =>
  appendTo(queue, Buffer.from(`frame ${i + 1}`), i + 1),
);
await Promise.all(appended);
process.stdout.write('appended\n');
if (end === 'close') await queue.close();
