/**
 * Looking at the processes' lab: how its services stand, their logs, and the programs' own tools on
 * its queue and store. Reads the supervisor and files; what the pipeline says of itself is `status.ts`.
 */
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { EXIT, type ExitCode, LabError } from '#lab/errors.ts';
import type { LabFiles } from '#lab/paths.ts';
import type { LabContext } from '#lab/setup.ts';
import { ControlClient } from './client.ts';
import type { ProgramState } from './control.ts';
import { commandHere } from './launch.ts';
import { LogFollower, type LogLine, readLog } from './log-file.ts';
import { logPath } from './place.ts';
import { markedWith } from './proc.ts';
import { readServices } from './services.ts';

const LINES_MAX = 200;
const FOLLOW_POLL_MS = 200;
/** It has nothing to wait for, and a person waits for it. */
const ANSWER_MS = 5_000;

/** A service, whether it runs as it should, and how in words. */
export interface ServiceLine {
  readonly service: string;
  readonly running: boolean;
  readonly words: string;
}

/**
 * All services; null when nothing runs. A supervisor that does not answer is told as its own line,
 * for then nobody knows of the others.
 */
export async function serviceLines(
  files: LabFiles,
  answerMs = ANSWER_MS,
): Promise<ServiceLine[] | null> {
  const folder = files.process;
  const client = await ControlClient.connect(folder);
  if (client === null) {
    const orphans = markedWith(folder);
    if (orphans.length === 0) return null;
    const words = `killed; processes ${orphans.join(', ')} run on without it (make up mends that)`;
    return [{ service: 'supervisor', running: false, words }];
  }
  try {
    const { programs } = await client.list(answerMs);
    const names = readServices(files)?.map(({ name }) => name) ?? [];
    const place = ({ spec: { name } }: ProgramState) =>
      names.includes(name) ? names.indexOf(name) : names.length;
    programs.sort((one, other) => place(one) - place(other));
    return programs.map((program) => ({
      service: program.spec.name,
      running: program.pid !== null && !program.frozen,
      words: inWords(program),
    }));
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    const words = `says nothing of the services within ${answerMs / 1_000} s: it is frozen, or the machine too busy`;
    return [{ service: 'supervisor', running: false, words }];
  } finally {
    client.close();
  }
}

function inWords({
  pid,
  frozen,
  wanted,
  started_at,
  restarts,
  limited,
  traced,
}: ProgramState): string {
  const again =
    restarts === 0 ? '' : `, restarted ${restarts === 1 ? 'once' : `${restarts} times`}`;
  if (pid === null) return `${wanted ? 'ended, and comes back' : 'stopped'}${again}`;
  const seconds = Math.round((Date.now() - Date.parse(started_at ?? '')) / 1000);
  const faults = [
    ...(frozen ? ['frozen'] : []),
    ...(limited ? ['with a limit on its files'] : []),
    ...(traced ? ['with calls that go wrong'] : []),
  ];
  return [`up ${seconds} s, process ${pid}${again}`, ...faults].join(', ');
}

/** Prints the ends of the logs, and follows them when a person watches. */
export async function processLogs(
  services: readonly string[],
  { files, signal }: LabContext,
  print: (line: string) => void,
): Promise<ExitCode> {
  const known = readServices(files)?.map(({ name }) => name);
  if (known === undefined) throw notSetUp('it has no logs');
  const names = services.length > 0 ? services : known;
  const width = Math.max(...names.map((name) => name.length));
  const paths = names.map((name) => ({ name, path: logPath(files.process, name) }));
  const followers = paths.map(({ name, path }) => ({ name, follower: new LogFollower(path) }));
  const show = (lines: (LogLine & { name: string })[]) => {
    lines.sort((one, other) => one.at.getTime() - other.at.getTime());
    for (const { name, text } of lines) print(`${name.padEnd(width)} | ${text}`);
  };
  show(
    paths.flatMap(({ name, path }) =>
      readLog(path)
        .slice(-LINES_MAX)
        .map((line) => ({ ...line, name })),
    ),
  );
  while (process.stdout.isTTY && !signal.aborted) {
    await delay(FOLLOW_POLL_MS, undefined, { signal }).catch(() => undefined);
    show(
      followers.flatMap(({ name, follower }) => follower.read().map((line) => ({ ...line, name }))),
    );
  }
  return EXIT.held;
}

/**
 * Runs a tool of a service's program on its data, on this terminal; null when there is no such data.
 * Its working folder is the data's, as in a container.
 */
export async function processTool(
  service: 'server' | 'collector',
  command: readonly string[],
  { files, programs }: LabContext,
): Promise<number | null> {
  const spec = readServices(files)?.find(({ name }) => name === service);
  if (spec?.data == null || !existsSync(spec.data)) return null;
  const [file = '', ...args] = commandHere(['node', `${service}/main.ts`, ...command]);
  return programs.onTerminal(file, args, { cwd: spec.data, env: spec.environment });
}

function notSetUp(consequence: string): LabError {
  return new LabError({
    code: 'lab_missing',
    exitCode: EXIT.usage,
    message: `the lab was never set up as processes here, so ${consequence}`,
    next: ['To start it: HOLDFAST_GROUND=process make up'],
  });
}
