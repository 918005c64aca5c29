/**
 * The program behind ./holdfast chaos, chaos-list and soak: reads settings and command line, wires
 * runs and lab, handles the signals, and ends with the exit codes that ./holdfast promises. What the
 * commands do is in `run/command.ts`.
 */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Argument, Command, CommanderError, Option } from 'commander';
import { ending, wholeNumber } from '#lab/command-line.ts';
import { labAsMade, labToSetUp } from '#lab/context.ts';
import { EXIT, type ExitCode, explain, interrupted, LabError } from '#lab/errors.ts';
import { PATHS } from '#lab/paths.ts';
import { Programs } from '#lab/process.ts';
import { FAULT_KINDS } from './faults/kinds.ts';
import { recheck } from './report/recheck.ts';
import { type CommandContext, chaos, soak, swarm } from './run/command.ts';
import { Progress } from './run/progress.ts';
import { ScenarioError } from './scenario/file.ts';
import { shippedScenarios, UnknownScenarioError } from './scenario/shipped.ts';
import { listLines } from './scenario/tables.ts';

const SEED_MAX = 0xffff_ffff;
const REPEAT_MAX = 1_000;
const MINUTES_MAX = 24 * 60;
const SOAK_MINUTES = 60;

const KINDS = [...FAULT_KINDS.values()];

// `make chaos SEED=` has meant nothing by it.
for (const name of ['SCENARIO', 'SEED', 'MINUTES', 'REPEAT', 'HOLDFAST_GROUND']) {
  if (process.env[name] === '') delete process.env[name];
}

const abort = new AbortController();
const print = (line: string) => process.stdout.write(`${line}\n`);
const printError = (line: string) => process.stderr.write(`${line}\n`);

// A reader that has seen enough (`… | head`) ends no run: what it has done must be undone.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (abort.signal.aborted) process.exit(EXIT.interrupted);
    printError(`\n${signal}: undoing every fault; once more to leave at once (the next run mends)`);
    abort.abort(interrupted());
  });
}

interface ChaosOptions {
  readonly repeat?: number;
  readonly seed?: number;
  readonly minutes?: number;
  readonly ground?: string;
}

const ground = () =>
  new Option('--ground <ground>', 'what the lab runs on')
    .choices(['compose', 'process'])
    .env('HOLDFAST_GROUND');
const seed = () =>
  new Option('--seed <n>', 'of all randomness; drawn and printed when left out')
    .env('SEED')
    .argParser(wholeNumber(0, SEED_MAX));
const minutes = (text: string) =>
  new Option('--minutes <m>', text).env('MINUTES').argParser(wholeNumber(1, MINUTES_MAX));

const program = new Command('./holdfast chaos')
  .description('Faults on the running lab, a verdict, and a report (docs/chaos.md)')
  .showHelpAfterError('(./holdfast chaos-list lists scenarios and faults)')
  .argument('[scenarios...]', 'names, files, or all; the default set when left out')
  .addOption(
    new Option('--repeat <n>', 'how often each scenario is run')
      .env('REPEAT')
      .argParser(wholeNumber(1, REPEAT_MAX)),
  )
  .addOption(seed())
  .addOption(minutes('instead of scenarios: random faults for so long'))
  .addOption(ground())
  .enablePositionalOptions()
  .exitOverride()
  .action(ending(run));
program
  .command('list')
  .description('scenarios and faults')
  .action(() => {
    for (const line of listLines(shippedScenarios(KINDS), KINDS)) print(line);
  });
program
  .command('soak')
  .description('random faults for long, while what each program takes is watched: it may not grow')
  .addOption(minutes('how long').default(SOAK_MINUTES))
  .addOption(seed())
  .addOption(ground())
  .action(
    ending(async (options: ChaosOptions) => {
      const { minutes: length = SOAK_MINUTES, seed: chosen = randomInt(SEED_MAX + 1) } = options;
      return soak({ seed: chosen, minutes: length }, await contextFor(options));
    }),
  );
program
  .command('recheck')
  .description('judge a run again and write its report anew, from the files in its folder')
  .addArgument(
    new Argument('[folder]', 'of the run').default(
      join(PATHS.root, 'reports', 'latest'),
      'reports/latest',
    ),
  )
  .action(ending((folder: string) => recheck(resolve(folder), print)));

async function run(given: readonly string[], options: ChaosOptions): Promise<ExitCode> {
  const { repeat, minutes: length, seed: chosen = randomInt(SEED_MAX + 1) } = options;
  // From make, names come in a variable.
  const names = given.length > 0 ? given : words(process.env.SCENARIO);
  if (length === undefined) {
    return chaos({ names, repeat: repeat ?? 1, seed: chosen }, await contextFor(options));
  }
  if (names.length > 0 || repeat !== undefined) {
    program.error('error: MINUTES means random faults; it goes with no scenario and no repeat');
  }
  return swarm({ seed: chosen, minutes: length }, await contextFor(options));
}

async function contextFor({ ground: name }: ChaosOptions): Promise<CommandContext> {
  const environment = { ...process.env, ...(name === undefined ? {} : { HOLDFAST_GROUND: name }) };
  const progress = new Progress(process.stdout);
  return {
    toSetUp: () => labToSetUp(environment, abort.signal),
    asMade: (signal) => labAsMade(environment, signal ?? abort.signal),
    print,
    kinds: KINDS,
    product: await product(),
    progress,
    signal: abort.signal,
  };
}

async function product(): Promise<CommandContext['product']> {
  const { version } = JSON.parse(readFileSync(join(PATHS.root, 'package.json'), 'utf8'));
  const programs = new Programs(abort.signal);
  const options = { cwd: PATHS.root, timeoutMs: 10_000 };
  const { exitCode, stdout } = await programs.run('git', ['rev-parse', 'HEAD'], options);
  return { version, commit: exitCode === 0 ? stdout.trim() : null };
}

function words(text = ''): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== '');
}

process.on('uncaughtException', (error) => process.exit(faultOfTheRunner(error)));

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeFor(error);
} finally {
  // Whatever a failed step left running beside it ends now; the process ends with the last of it.
  abort.abort(interrupted());
}

/** Prints what a person can act on, and nothing twice: Commander has printed its own. */
function exitCodeFor(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.held : EXIT.usage;
  if (error instanceof LabError) {
    for (const line of explain(error)) printError(line);
    return error.exitCode;
  }
  if (error instanceof ScenarioError || error instanceof UnknownScenarioError) {
    printError(error.message);
    printError('nothing was done (./holdfast chaos-list; docs/chaos.md)');
    return EXIT.usage;
  }
  if (isOfFiles(error)) {
    printError(`✗ ${error.message}`);
    return EXIT.usage;
  }
  return faultOfTheRunner(error);
}

/** Nothing of ours that broke may be taken for a verdict on the pipeline, which 1 would be. */
function faultOfTheRunner(error: unknown): number {
  printError('✗ chaos itself has broken off, by a mistake of its own; nothing was judged:');
  printError(error instanceof Error ? (error.stack ?? error.message) : String(error));
  printError('  → make restore makes the lab whole; please report the lines above');
  return EXIT.inconclusive;
}

/** A folder that can't be written to, or a disk without room: a person's to mend, and no verdict. */
function isOfFiles(error: unknown): error is Error {
  const { code = '' } = error as NodeJS.ErrnoException;
  return error instanceof Error && ['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT'].includes(code);
}
