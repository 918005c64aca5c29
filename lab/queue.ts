/**
 * `queue`: the collector's queue tools, on the queue of this lab: in a throw-away container of the
 * collector's image with memory of its own, so that they take none of a running collector's. It has
 * the volume read-only unless the command is one that changes the queue.
 */
import { refuseWhatCannotBeMended } from '#lab/engine.ts';
import { EXIT, type ExitCode, LabError } from '#lab/errors.ts';
import type { LabContext } from '#lab/setup.ts';
import { readLabEnvironment } from '#lab/state.ts';

const QUESTION_TIMEOUT_MS = 20_000;
const IN_CONTAINER = ['node', 'collector/main.ts'];
/** What changes the queue; everything else only looks. */
const CHANGING: ReadonlySet<string> = new Set(['queue repair', 'dead replay', 'dead drop']);

/**
 * @param args As behind `./holdfast collector`, with `queue` left out: `list --json`, `dead list`.
 * @throws LabError when there is no lab, or no queue in it.
 */
export async function queue(args: readonly string[], context: LabContext): Promise<ExitCode> {
  const { docker, programs, signal } = context;
  const probe = await docker.probe();
  refuseWhatCannotBeMended(probe);
  if (probe.kind !== 'ready') throw noQueue('no Docker engine answers here');
  const command = toolArguments(args);
  const flags = process.stdin.isTTY && process.stdout.isTTY ? ['-i', '-t'] : ['-i'];
  const where = ['run', '--rm', ...flags, ...(await beside(context, command))];
  const exitCode = await programs.onTerminal('docker', [...where, ...IN_CONTAINER, ...command], {
    cwd: process.cwd(),
  });
  if (signal.aborted) return EXIT.interrupted;
  if (exitCode === EXIT.held || exitCode === EXIT.usage) return exitCode;
  return EXIT.failed;
}

/** `list` is short for `queue list`; nothing at all is `queue status`. */
function toolArguments(args: readonly string[]): string[] {
  if (args.length === 0) return ['queue', 'status'];
  return args[0] === 'dead' || args[0] === 'queue' ? [...args] : ['queue', ...args];
}

/** Options of a throw-away container with the queue's volume, and its image. */
async function beside(
  { config, docker }: LabContext,
  command: readonly string[],
): Promise<string[]> {
  const image = readLabEnvironment()?.HOLDFAST_IMAGE;
  const volume = `${config.project}_queue`;
  const { exitCode } = await docker.command(['volume', 'inspect', volume], {
    timeoutMs: QUESTION_TIMEOUT_MS,
  });
  // Docker would make a volume that isn't there.
  if (image === undefined || exitCode !== 0) throw noQueue('the lab has no queue here');
  const changes = CHANGING.has(command.slice(0, 2).join(' '));
  return [
    ...[
      '--network',
      'none',
      '--memory',
      '512m',
      '--read-only',
      '--user',
      '1000:1000',
      '--cap-drop',
      'ALL',
    ],
    ...['--security-opt', 'no-new-privileges', '--env', 'HOLDFAST_QUEUE_PATH=/queue'],
    ...['--label', `dev.holdfast.project=${config.project}`],
    ...['--volume', `${volume}:/queue${changes ? '' : ':ro'}`, image],
  ];
}

function noQueue(message: string): LabError {
  return new LabError({
    code: 'no_queue',
    exitCode: EXIT.usage,
    message,
    next: ['To start the lab: make up', 'A queue elsewhere: ./holdfast collector queue --help'],
  });
}
