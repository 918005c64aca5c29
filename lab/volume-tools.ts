/**
 * `queue` and `store`: the collector's and the server's own tools, on the queue and the store of this
 * lab. Each runs in a throw-away container of the lab's image with memory of its own, so that it
 * takes none of a running service's, and sees its one volume and no network.
 */
import { refuseWhatCannotBeMended } from '#lab/engine.ts';
import { EXIT, type ExitCode, LabError } from '#lab/errors.ts';
import { groundThatIsThere } from '#lab/ground/choose.ts';
import { processTool } from '#lab/ground/process/look.ts';
import type { LabContext } from '#lab/setup.ts';
import { readLabEnvironment } from '#lab/state.ts';

const QUESTION_TIMEOUT_MS = 20_000;

interface VolumeTools {
  /** The volume; in the container, its place is /<volume>, where the tools begin. */
  readonly volume: 'queue' | 'store';
  /** Whose tools they are. */
  readonly service: 'collector' | 'server';
  /** The setting that names the place. */
  readonly setting: string;
  readonly code: 'no_queue' | 'no_store';
  /** How to look at one that is not the lab's. */
  readonly elsewhere: string;
  /** What a person typed, as the program takes it. */
  readonly command: (args: readonly string[]) => string[];
  /** Whether it has to write to the volume; otherwise it has it read-only. */
  readonly writes: (command: readonly string[]) => boolean;
}

/** What changes the queue; everything else only looks. */
const CHANGING_QUEUE: ReadonlySet<string> = new Set(['queue repair', 'dead replay', 'dead drop']);

const QUEUE: VolumeTools = {
  volume: 'queue',
  service: 'collector',
  setting: 'HOLDFAST_QUEUE_PATH',
  code: 'no_queue',
  elsewhere: 'A queue elsewhere: ./holdfast collector queue --help',
  command: queueCommand,
  writes: (command) => CHANGING_QUEUE.has(command.slice(0, 2).join(' ')),
};

const STORE: VolumeTools = {
  volume: 'store',
  service: 'server',
  setting: 'HOLDFAST_STORE_PATH',
  code: 'no_store',
  elsewhere: 'A store elsewhere: ./holdfast server --help',
  command: storeCommand,
  // SQLite's readers, too, mark in a file beside the log what they read.
  writes: () => true,
};

/**
 * @param args As behind `./holdfast collector`, with `queue` left out: `list --json`, `dead list`.
 * @throws LabError when there is no lab, or no queue in it.
 */
export function queue(args: readonly string[], context: LabContext): Promise<ExitCode> {
  return onVolume(QUEUE, args, context);
}

/**
 * @param args As behind `./holdfast server`, with `store` left out: `check`, `audit`, `export`.
 * @throws LabError when there is no lab, or no store in it.
 */
export function store(args: readonly string[], context: LabContext): Promise<ExitCode> {
  return onVolume(STORE, args, context);
}

/** `list` is short for `queue list`; nothing at all is `queue status`. */
export function queueCommand(args: readonly string[]): string[] {
  if (args.length === 0) return ['queue', 'status'];
  return args[0] === 'dead' || args[0] === 'queue' ? [...args] : ['queue', ...args];
}

/** `check` is short for `store check`; nothing at all is `audit`. */
export function storeCommand(args: readonly string[]): string[] {
  if (args.length === 0) return ['audit'];
  const isWhole = ['audit', 'export', 'store'].includes(args[0] ?? '');
  return isWhole ? [...args] : ['store', ...args];
}

async function onVolume(
  tools: VolumeTools,
  args: readonly string[],
  context: LabContext,
): Promise<ExitCode> {
  const command = tools.command(args);
  const { config, files } = context;
  const isProcess = groundThatIsThere(config.ground, files) === 'process';
  const exitCode = isProcess
    ? await processTool(tools.service, command, context)
    : await inContainer(tools, command, context);
  if (exitCode === null) throw nothingThere(tools, `the lab has no ${tools.volume} here`);
  if (context.signal.aborted) return EXIT.interrupted;
  if (exitCode === EXIT.held || exitCode === EXIT.usage) return exitCode;
  return EXIT.failed;
}

async function inContainer(
  tools: VolumeTools,
  command: readonly string[],
  context: LabContext,
): Promise<number> {
  const { docker, programs } = context;
  const probe = await docker.probe();
  refuseWhatCannotBeMended(probe);
  if (probe.kind !== 'ready') throw nothingThere(tools, 'no Docker engine answers here');
  const flags = process.stdin.isTTY && process.stdout.isTTY ? ['-i', '-t'] : ['-i'];
  const where = ['run', '--rm', ...flags, ...(await container(tools, command, context))];
  const main = `/app/${tools.service}/main.ts`;
  return programs.onTerminal('docker', [...where, 'node', main, ...command], {
    cwd: process.cwd(),
  });
}

/** Options of a throw-away container with the volume, and its image. */
async function container(
  tools: VolumeTools,
  command: readonly string[],
  { config, docker }: LabContext,
): Promise<string[]> {
  const image = readLabEnvironment()?.HOLDFAST_IMAGE;
  const volume = `${config.project}_${tools.volume}`;
  const place = `/${tools.volume}`;
  const { exitCode } = await docker.command(['volume', 'inspect', volume], {
    timeoutMs: QUESTION_TIMEOUT_MS,
  });
  // Docker would make a volume that isn't there.
  if (image === undefined || exitCode !== 0) {
    throw nothingThere(tools, `the lab has no ${tools.volume} here`);
  }
  return [
    ...['--network', 'none', '--memory', '512m', '--read-only', '--user', '1000:1000'],
    ...['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'],
    ...['--env', `${tools.setting}=${place}`, '--workdir', place],
    ...['--label', `dev.holdfast.project=${config.project}`],
    ...['--volume', `${volume}:${place}${tools.writes(command) ? '' : ':ro'}`, image],
  ];
}

function nothingThere({ code, elsewhere }: VolumeTools, message: string): LabError {
  return new LabError({
    code,
    exitCode: EXIT.usage,
    message,
    next: ['To start the lab: make up', elsewhere],
  });
}
