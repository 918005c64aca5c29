/**
 * The supervisor as a program: `node lab/ground/process/main.ts FOLDER`. Started detached by `up`,
 * it outlives the shell; SIGTERM and SIGINT stop its programs and end it. One for a folder, by a
 * lock that the kernel takes back with the process; what a killed one left behind it ends first.
 */
import { closeSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { tryHold } from '#lab/lock.ts';
import { PATHS } from '#lab/paths.ts';
import { ControlServer } from './control-server.ts';
import { lockPath } from './place.ts';
import { inheritedDescriptors } from './proc.ts';
import { supervisorSources } from './sources.ts';
import { endOrphans, Supervisor } from './supervisor.ts';

const LOCK_WAIT_MS = 1_000;
const LOCK_POLL_MS = 50;

for (const descriptor of inheritedDescriptors()) closeSync(descriptor);

const [folder] = process.argv.slice(2).map((path) => resolve(path));
if (folder === undefined) {
  console.error('usage: node lab/ground/process/main.ts FOLDER');
  process.exit(2);
}
// Who asks whether there is a supervisor holds the lock for a moment, too.
let lock = tryHold(lockPath(folder));
for (let waited = 0; lock === null && waited < LOCK_WAIT_MS; waited += LOCK_POLL_MS) {
  await delay(LOCK_POLL_MS);
  lock = tryHold(lockPath(folder));
}
if (lock === null) {
  console.error(`another supervisor works in ${folder}`);
  process.exit(1);
}

if (await endOrphans(folder)) console.error('ended what an earlier supervisor had left running');

const supervisor = new Supervisor({
  folder,
  workingFolder: PATHS.root,
  environment: process.env,
  sources: supervisorSources(),
});
const server = await ControlServer.listen(folder, supervisor);

async function end(): Promise<never> {
  await supervisor.end();
  await server.close();
  lock?.release();
  process.exit(0);
}

process.on('SIGTERM', end);
process.on('SIGINT', end);
// A terminal that closes is no reason to end.
process.on('SIGHUP', () => undefined);
void server.told.then(end);
