/**
 * A pino transport: log lines become frames, durable on this machine's disk before the next lines
 * are taken, and arrive at a Holdfast server once, in whatever state the link is meanwhile.
 *
 *   const logger = pino(pino.transport({
 *     target: new URL('./transport.ts', import.meta.url).href,
 *     options: { producer: { server: '127.0.0.1:9004', token: '…', queuePath: './log-queue' } },
 *   }));
 *
 * pino runs it in a worker thread. `closeDeadlineMs` is how long the end of the program waits for
 * what is still on its way (default 5,000 ms): what doesn't make it stays in the queue, for the next
 * run.
 */
import { Writable } from 'node:stream';
import { Producer, type ProducerOptions } from 'holdfast/producer';

export interface TransportOptions {
  readonly producer: ProducerOptions;
  readonly closeDeadlineMs?: number;
}

const CLOSE_DEADLINE_MS = 5_000;

export default function holdfastTransport(options: TransportOptions): Writable {
  const { closeDeadlineMs = CLOSE_DEADLINE_MS } = options;
  const producer = new Producer(options.producer);
  let rest = '';

  /** Resolves when the lines are on disk: pino is told to wait until then, and holds the rest. */
  async function ship(text: string): Promise<void> {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    const sent = lines.map((line) => producer.send(line, { capturedAt: capturedAt(line) }));
    await Promise.all(sent);
  }

  return new Writable({
    decodeStrings: false,
    defaultEncoding: 'utf8',
    write: (chunk, _, done) => void ship(String(chunk)).then(() => done(), done),
    final: (done) => void producer.close({ deadlineMs: closeDeadlineMs }).then(() => done(), done),
  });
}

/** When it was logged, in microseconds: pino's `time` in milliseconds, where a line has it. */
function capturedAt(line: string): number {
  const ms = Number(/"time":(\d+)/.exec(line)?.[1] ?? Date.now());
  return ms * 1_000;
}
