/**
 * The queue's worker thread as the main thread holds it: started here, spoken to by messages.
 * What is said is in `thread.ts`, what the thread does in `worker.ts`.
 */
import { extname } from 'node:path';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { Opening, QueueThread, Turn } from './thread.ts';
import type { QueueOptions } from './types.ts';

/** Beside this file and of its kind: TypeScript in the collector, JavaScript in the packed library. */
const WORKER = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);

/** Starts the worker, which opens the queue at once. */
export function startThread(options: Required<QueueOptions>): QueueThread {
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(WORKER, {
    name: 'holdfast-queue',
    // A library prints nothing: before Node.js 26 the lock's SQLite would warn of its own youth.
    execArgv: ['--disable-warning=ExperimentalWarning'],
    workerData: { options, port: port2 },
    transferList: [port2],
  });
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  const opening = new Promise<Opening>((resolve, reject) => {
    port1.once('message', resolve);
    worker.once('error', reject);
  });
  return {
    opening,
    ended,
    post: (request, memory) => port1.postMessage(request, memory),
    listen: (onTurn, onError) => {
      worker.on('error', onError);
      port1.on('message', (turn: Turn) => onTurn(turn));
    },
    close: () => port1.close(),
  };
}
