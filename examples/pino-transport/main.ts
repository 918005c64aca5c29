/**
 * Runs `log.ts` while the server dies in the middle and comes back two seconds later, and counts
 * what arrived: every line once, in its order, at the time at which it was logged.
 *
 *   ./holdfast example pino-transport [--lines 2000]
 *
 * Exit codes: 0 every line is there, 1 not so.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Command } from 'commander';
import { startServer } from '../server.ts';

const TOKEN = 'a token of sixteen bytes or more';
const OUTAGE_MS = 2_000;
const POLL_MS = 20;

const { lines } = new Command('./holdfast example pino-transport')
  .description('Logs through an outage of the server, and counts the lines that arrived.')
  .option('--lines <n>', 'how many lines are logged', Number, 2_000)
  .parse()
  .opts<{ lines: number }>();

const folder = mkdtempSync(join(tmpdir(), 'holdfast-logs-'));
let server = await startServer(folder, TOKEN);

/** Runs the program; resolves with its exit code. */
async function log(count: number): Promise<number> {
  const program = spawn(process.execPath, [join(import.meta.dirname, 'log.ts')], {
    env: {
      SERVER: server.address,
      TOKEN,
      QUEUE: join(folder, 'queue'),
      LINES: String(count),
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [exitCode] = await once(program, 'exit');
  return exitCode ?? 1;
}

/** What the server has, one JSON text a line. */
async function arrived(): Promise<string[]> {
  const text = await (await fetch(`${server.api}/api/v1/export`)).text();
  return text.split('\n').filter(Boolean);
}

const logged = log(lines);
while ((await arrived()).length < lines / 5) await pause(POLL_MS);
await server.kill();
console.log('the server is gone; the program goes on logging');
await pause(OUTAGE_MS);
server = await startServer(folder, TOKEN, Number(server.address.split(':').at(-1)));
console.log('the server is back');
let exitCode = await logged;
// A program that ended in the outage has left lines in its queue: the next run brings them over.
if ((await arrived()).length < lines) exitCode ||= await log(0);

interface Row {
  readonly captured_at: string;
  readonly payload: { readonly line: number; readonly time: number };
}
const rows = (await arrived()).map((row) => JSON.parse(row) as Row);
await server.kill();
const wrong = rows.filter(({ captured_at, payload: { line, time } }, i) => {
  return line !== i + 1 || Date.parse(captured_at) !== time;
});
const held = exitCode === 0 && rows.length === lines && wrong.length === 0;
console.log(`${rows.length} of ${lines} lines arrived, ${wrong.length} out of place or time`);
if (held) rmSync(folder, { recursive: true });
else console.log(`queue and store: ${folder}`);
process.exitCode = held ? 0 : 1;
