/**
 * Kills `ship.ts` with SIGKILL over and over, at seeded moments, lets it finish, and has the oracle
 * judge what the server has: every order once, none missing, none changed.
 *
 *   ./holdfast example events [--kills 20] [--orders 3000] [--seed N]
 *
 * It starts a server of its own on loopback; everything lies in a temporary folder, which stays when
 * the verdict isn't a pass. Exit codes are the oracle's: 0 held, 1 did not hold, 3 inconclusive.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { startServer } from '../server.ts';

const TOKEN = 'a token of sixteen bytes or more';
const ROOT = resolve(import.meta.dirname, '../..');
/** How long a run lives before it is killed; to start takes it some 200 ms. */
const LIFE_MS = { min: 100, max: 1_000 };
const SEED_MAX = 2 ** 32 - 1;

interface Options {
  readonly kills: number;
  readonly orders: number;
  readonly seed: number;
}

const options = new Command('./holdfast example events')
  .description('Ships orders from a program that is killed over and over, and judges what arrived.')
  .option('--kills <n>', 'how often it is killed', wholeNumber(0, 1_000), 20)
  .option('--orders <n>', 'how many orders there are', wholeNumber(1, 1_000_000), 3_000)
  .option('--seed <n>', 'the same moments again', wholeNumber(0, SEED_MAX), randomInt(SEED_MAX))
  .parse()
  .opts<Options>();

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`must be a whole number from ${min} to ${max}.`);
  };
}

const folder = mkdtempSync(join(tmpdir(), 'holdfast-orders-'));
const file = (name: string): string => join(folder, name);
const server = await startServer(folder, TOKEN);

/** Runs the program to its end, or kills it after that many milliseconds. True when it ended. */
async function ship(lifeMs?: number): Promise<boolean> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'ship.ts')], {
    env: {
      SERVER: server.address,
      TOKEN,
      QUEUE: file('queue'),
      LEDGER: file('ledger.jsonl'),
      ORDERS: String(options.orders),
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const killing =
    lifeMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), lifeMs);
  const [exitCode, signal] = await once(child, 'exit');
  clearTimeout(killing);
  if (exitCode === 0) return true;
  if (signal === 'SIGKILL') return false;
  throw new Error(`ship.ts ended with ${exitCode ?? signal}`);
}

function lifeMs(kill: number): number {
  const drawn = createHash('sha256').update(`${options.seed}/${kill}`).digest().readUInt32BE();
  return LIFE_MS.min + Math.floor((drawn / SEED_MAX) * (LIFE_MS.max - LIFE_MS.min));
}

async function save(path: string, name: string): Promise<string> {
  const answer = await fetch(`${server.api}${path}`);
  writeFileSync(file(name), await answer.text());
  return file(name);
}

console.log(`seed ${options.seed}`);
let kills = 0;
while (kills < options.kills && !(await ship(lifeMs(kills)))) kills += 1;
await ship();
console.log(`killed ${kills} times`);

const audit = await save('/api/v1/audit', 'audit.json');
const stored = await save('/api/v1/export', 'export.ndjson');
await server.kill();
const evidence = ['--ledger', file('ledger.jsonl'), '--export', stored, '--audit', audit];
const oracle = join(ROOT, 'chaos/oracle/main.ts');
const { status } = spawnSync(process.execPath, [oracle, ...evidence], { stdio: 'inherit' });
if (status === 0) rmSync(folder, { recursive: true });
else console.log(`what it was judged by: ${folder}`);
process.exitCode = status ?? 1;
