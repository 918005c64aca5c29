/**
 * Small programs that faults have run where a service's files are, whatever ground it is on. They
 * are plain JavaScript for `node -e`, since an image has nothing of ours but its own programs.
 */
import type { Service } from '#lab/ground/ground.ts';

/** Runs one, and answers what it printed. Rejects with its output when it fails. */
export async function runScript(
  service: Service,
  script: string,
  args: readonly (string | number)[],
): Promise<string> {
  return runIn(service, ['node', '-e', script, '--', ...args.map(String)]);
}

/** Runs a command of the service's image. Rejects with its output when it fails. */
export async function runIn(service: Service, command: readonly string[]): Promise<string> {
  const { exitCode, output } = await service.run(command);
  if (exitCode === 0) return output;
  const [first = '', second = ''] = command;
  throw new Error(
    `${first} ${second} beside the ${service.name} ended with ${exitCode}: ${output.trim()}`,
  );
}

/** Its data folder; every service that has files has one. */
export function dataOf(service: Service): string {
  if (service.dataPath !== null) return service.dataPath;
  throw new Error(`the ${service.name} has no files`);
}

/** The queue's folder. Prints the segment that is being written, as {file, bytes}. */
export const NEWEST_SEGMENT = `
const fs = require('node:fs'), path = require('node:path');
const [folder] = process.argv.slice(1);
const names = fs.readdirSync(folder).filter((name) => /^segment-[0-9]{20}[.]log$/.test(name)).sort();
if (names.length === 0) throw new Error('the queue has no segment');
const file = path.join(folder, names.at(-1));
console.log(JSON.stringify({ file, bytes: fs.statSync(file).size }));
`;

/**
 * The queue's folder, how many bytes to change, and where in the file, from 0 to 1. Changes them in
 * the segment that is being written, and then waits until a newer checkpoint has replaced the one
 * that there was: what that one does not know of yet would be taken for a write that never ended.
 * Prints {file, at, bytes, of}.
 */
export const DAMAGE_SEGMENT = `
const fs = require('node:fs'), path = require('node:path');
const [folder, count, place] = process.argv.slice(1);
const names = fs.readdirSync(folder).filter((name) => /^segment-[0-9]{20}[.]log$/.test(name)).sort();
if (names.length === 0) throw new Error('the queue has no segment');
const file = path.join(folder, names.at(-1));
const of = fs.statSync(file).size;
const bytes = Math.min(Number(count), of - 20);
if (bytes < 1) throw new Error('the segment is empty');
const at = 20 + Math.floor((of - 20 - bytes) * Number(place));
const checkpoint = path.join(folder, 'checkpoint');
const inode = () => fs.statSync(checkpoint, { throwIfNoEntry: false })?.ino;
const handle = fs.openSync(file, 'r+');
const content = Buffer.alloc(bytes);
fs.readSync(handle, content, 0, bytes, at);
for (let i = 0; i < bytes; i += 1) content[i] ^= 0x5a;
fs.writeSync(handle, content, 0, bytes, at);
fs.fsyncSync(handle);
const before = inode();
const until = performance.now() + 10_000;
const wait = () => {
  if (inode() === before && performance.now() < until) return setTimeout(wait, 50);
  console.log(JSON.stringify({ file: path.basename(file), at, bytes, of }));
};
wait();
`;

/** The queue's folder. Prints how many files were set aside. */
export const COUNT_SET_ASIDE = `
const fs = require('node:fs'), path = require('node:path');
const folder = path.join(process.argv[1], 'set-aside');
console.log(fs.existsSync(folder) ? fs.readdirSync(folder).length : 0);
`;

/**
 * The database, and for how many seconds to hold its lock for writing. Prints for how many
 * milliseconds it was held. Its end ends the lock, however it ends.
 */
export const HOLD_LOCK = `
const { DatabaseSync } = require('node:sqlite');
const [file, seconds] = process.argv.slice(1);
const database = new DatabaseSync(file, { timeout: 10_000 });
database.exec('BEGIN EXCLUSIVE');
const since = performance.now();
setTimeout(() => {
  database.exec('ROLLBACK');
  database.close();
  console.log(JSON.stringify({ held_ms: Math.round(performance.now() - since) }));
}, Number(seconds) * 1_000);
`;

/** Files and folders that are to go. */
export const REMOVE = `
const fs = require('node:fs');
for (const one of process.argv.slice(1)) fs.rmSync(one, { recursive: true, force: true });
`;

/** The last line that was printed, as JSON. */
export function lastJson<T>(output: string): T {
  const line = output.trimEnd().split('\n').at(-1) ?? '';
  return JSON.parse(line) as T;
}
