/** A connection to a program that was just started: tried until it listens. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { BenchError } from '../errors.ts';

const WITHIN_MS = 10_000;
const AGAIN_MS = 20;

/** `program` is for the message. Throws BenchError when it listens on no such port in time. */
export async function dial(program: string, port: number): Promise<Socket> {
  const deadline = performance.now() + WITHIN_MS;
  for (;;) {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    try {
      await once(socket, 'connect');
      return socket;
    } catch (cause) {
      if (performance.now() > deadline) {
        throw new BenchError(`${program} was started but listens on no port ${port}`, { cause });
      }
    }
    await delay(AGAIN_MS);
  }
}
