/** The queue's tools as people run them: `node collector/main.ts queue …`, as a process. */

import { execFile, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BARE_ENVIRONMENT } from '#test/unit/environment.ts';

const MAIN = fileURLToPath(new URL('../../../../collector/main.ts', import.meta.url));

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end, with nobody at its stdin. */
export function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    env: { ...BARE_ENVIRONMENT, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 256 * 1_024 ** 2,
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

/** Runs a command that must hold; its stdout. */
export function held(args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const { status, stdout, stderr } = run(args, env);
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}${stdout}`);
  return stdout;
}

// biome-ignore lint/suspicious/noExplicitAny: the JSON of a command, looked into by the tests
export function heldJson(args: readonly string[]): any {
  return JSON.parse(held([...args, '--json']));
}

/** The same, while this process goes on with what it has to do: it may hold the queue itself. */
// biome-ignore lint/suspicious/noExplicitAny: as above
export async function jsonBeside(args: readonly string[]): Promise<any> {
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args, '--json']);
  return JSON.parse(stdout);
}

/** Starts a process of the tests' own. */
export function start(file: URL, args: readonly string[]) {
  return spawn(process.execPath, [fileURLToPath(file), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** All that can be seen of a directory: names, modes, times of change and contents. */
export function contentOf(directory: string): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
  return Object.fromEntries(
    names.map((name) => {
      const path = join(directory, name);
      const { mode, mtimeMs } = statSync(path);
      const content = statSync(path).isFile() ? readFileSync(path).toString('base64') : '';
      return [name, `${mode} ${mtimeMs} ${content}`];
    }),
  );
}
