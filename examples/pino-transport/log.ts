/**
 * A program that logs with pino as any other does; its lines go to Holdfast by `transport.ts`.
 *
 *   SERVER=127.0.0.1:9004 TOKEN=… QUEUE=./log-queue LINES=2000 node log.ts
 */
import { setTimeout as pause } from 'node:timers/promises';
import pino from 'pino';

const {
  SERVER = '127.0.0.1:9004',
  TOKEN = '',
  QUEUE = './log-queue',
  LINES = '2000',
} = process.env;

const transport = pino.transport({
  target: new URL('./transport.ts', import.meta.url).href,
  options: { producer: { server: SERVER, token: TOKEN, queuePath: QUEUE, collectorId: 'logs' } },
});
const logger = pino({ base: null }, transport);

for (let line = 1; line <= Number(LINES); line += 1) {
  logger.info({ line }, 'something happened');
  if (line % 10 === 0) await pause(10);
}
