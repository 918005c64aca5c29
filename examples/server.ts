/** A server of one's own on loopback, for the examples: where to send, where to ask, how to end it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const MAIN = resolve(import.meta.dirname, '../server/main.ts');

export interface ExampleServer {
  /** `host:port` for producers. */
  readonly address: string;
  /** The API's URL. */
  readonly api: string;
  /** Ends at once, as by a power cut; starts again on the same store with `startServer`. */
  kill(): Promise<void>;
}

/**
 * @param folder Where its store lies, or comes to lie.
 * @param ingestPort 0 takes a free one.
 */
export async function startServer(
  folder: string,
  token: string,
  ingestPort = 0,
): Promise<ExampleServer> {
  const child = spawn(process.execPath, [MAIN], {
    env: {
      HOLDFAST_STORE_PATH: join(folder, 'store'),
      HOLDFAST_TOKEN: token,
      HOLDFAST_INGEST_PORT: String(ingestPort),
      HOLDFAST_API_PORT: '0',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  for await (const line of createInterface({ input: child.stdout })) {
    const { event, ingest, api, msg } = JSON.parse(line) as Record<string, string>;
    if (event === 'not_started') throw new Error(msg);
    if (event !== 'started' || ingest === undefined || api === undefined) continue;
    child.stdout.resume();
    const kill = async (): Promise<void> => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    };
    return { address: ingest, api, kill };
  }
  throw new Error('the server ended before it had started');
}
