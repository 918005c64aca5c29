/**
 * The benchmarks as a program: reads the command line, gets Toxiproxy, runs the measurements,
 * prints the table, writes the JSON, and ends everything that it started.
 *
 * Exit codes: 0 measured, whether or not the aims were met; 1 something was lost, or a measurement
 * failed; 2 usage or settings; 130 interrupted.
 */
import { randomInt } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { readConfig } from '#lab/config.ts';
import { Docker } from '#lab/docker.ts';
import { EXIT, explain, LabError } from '#lab/errors.ts';
import { PATHS } from '#lab/paths.ts';
import { Programs as LabPrograms } from '#lab/process.ts';
import { toxiproxyProgram } from '#lab/toxiproxy-program.ts';
import { BenchError } from './errors.ts';
import { machine } from './machine.ts';
import { Programs } from './programs.ts';
import { lines, nothingLost, writeJson } from './report.ts';
import type { Result } from './result.ts';
import { SUITES, type Suite } from './suites.ts';

const SEED_MAX = 0xffff_ffff;
const REPORTS = join(PATHS.root, 'reports');

const abort = new AbortController();
const print = (line: string) => process.stdout.write(`${line}\n`);
const printError = (line: string) => process.stderr.write(`${line}\n`);

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (abort.signal.aborted) process.exit(EXIT.interrupted);
    abort.abort();
  });
}

/** Runs parts of a suite, all when none is named. */
async function run(
  name: string,
  suite: Suite,
  parts: readonly string[],
  { seed = randomInt(SEED_MAX + 1) }: { readonly seed?: number },
): Promise<void> {
  const { signal } = abort;
  const labPrograms = new LabPrograms(signal);
  const config = readConfig(process.env, PATHS.dotEnv);
  const docker = new Docker(labPrograms);
  const toxiproxy = await toxiproxyProgram(
    { config, programs: labPrograms, docker, files: PATHS, signal },
    print,
  );
  const programs = new Programs(signal, childEnvironment());
  mkdirSync(PATHS.tools, { recursive: true });
  const directory = mkdtempSync(join(PATHS.tools, 'bench-'));
  try {
    print(`seed ${seed} (again: ./holdfast bench ${name} --seed ${seed})`);
    const about = { machine: machine(directory), startedAt: new Date().toISOString(), seed };
    const bench = { programs, toxiproxy, directory, seed, signal, progress: print };
    const results: Result[] = [];
    for (const [part, measure] of Object.entries(suite.parts)) {
      if (parts.length === 0 || parts.includes(part)) results.push(await measure(bench));
    }
    const command = ['./holdfast bench', name, ...parts, '--seed', seed].join(' ');
    const measured = { ...about, command, results };
    const path = writeJson(measured, REPORTS);
    for (const line of ['', ...lines(measured), '', path]) print(line);
    process.exitCode = nothingLost(measured) ? EXIT.held : EXIT.failed;
  } finally {
    await programs.end();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** NODE_OPTIONS reaches the measured programs, so that a profiler can. */
function childEnvironment(): Record<string, string> {
  const { PATH = '', NODE_OPTIONS, NODE_COMPILE_CACHE } = process.env;
  return {
    PATH,
    ...(NODE_OPTIONS === undefined ? {} : { NODE_OPTIONS }),
    // As ./holdfast starts them.
    ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }),
  };
}

function parseSeed(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= SEED_MAX) return value;
  throw new InvalidArgumentError(`must be a whole number from 0 to ${SEED_MAX}.`);
}

const program = new Command('./holdfast bench')
  .description('Holdfast benchmarks: real processes, a real Toxiproxy, every frame verified.')
  .showHelpAfterError(
    '(./holdfast bench --help lists the benchmarks, `bench NAME --help` the parts of one)',
  )
  .exitOverride();

for (const [name, suite] of Object.entries(SUITES)) {
  program
    .command(name, { isDefault: name === 'smoke' })
    .description(suite.description)
    .addArgument(
      new Argument('[parts...]', 'all of them by default').choices(Object.keys(suite.parts)),
    )
    .addOption(
      new Option('--seed <n>', 'for payloads and lengths of cuts; random by default').argParser(
        parseSeed,
      ),
    )
    .action((parts, options) => run(name, suite, parts, options));
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeFor(error);
}

/** Prints what a person can act on, and nothing twice: Commander has printed its own. */
function exitCodeFor(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.held : EXIT.usage;
  if (abort.signal.aborted) return EXIT.interrupted;
  if (error instanceof LabError) {
    for (const line of explain(error)) printError(line);
    return error.exitCode;
  }
  if (!(error instanceof BenchError)) throw error;
  printError(`✗ ${error.message}`);
  return EXIT.failed;
}
