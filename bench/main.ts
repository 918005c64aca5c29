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
import type { Bench } from './pipeline.ts';
import { Programs } from './programs.ts';
import { lines, nothingLost, writeJson } from './report.ts';
import type { Result } from './result.ts';
import { PART_NAMES, type Part, smoke } from './smoke.ts';
import { THIN_NAMES, type ThinPart, thin } from './thin.ts';

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

/** A benchmark by its name on the command line, and the parts of it that were chosen. */
interface Chosen {
  readonly name: string;
  readonly parts: readonly string[];
  readonly measure: (bench: Bench) => Promise<Result[]>;
}

async function run({ name, parts, measure }: Chosen, seed: number): Promise<void> {
  const { signal } = abort;
  const labPrograms = new LabPrograms(signal);
  const config = readConfig(process.env, PATHS.dotEnv);
  const docker = new Docker(labPrograms);
  const toxiproxy = await toxiproxyProgram(
    { config, programs: labPrograms, docker, signal },
    print,
  );
  const programs = new Programs(signal, childEnvironment());
  mkdirSync(PATHS.tools, { recursive: true });
  const directory = mkdtempSync(join(PATHS.tools, 'bench-'));
  try {
    print(`seed ${seed} (again: ./holdfast bench ${name} --seed ${seed})`);
    const about = { machine: machine(directory), startedAt: new Date().toISOString(), seed };
    const bench = { programs, toxiproxy, directory, seed, signal, progress: print };
    const results = await measure(bench);
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
  const { PATH = '', NODE_OPTIONS } = process.env;
  return { PATH, ...(NODE_OPTIONS === undefined ? {} : { NODE_OPTIONS }) };
}

function parseSeed(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= SEED_MAX) return value;
  throw new InvalidArgumentError(`must be a whole number from 0 to ${SEED_MAX}.`);
}

const program = new Command('bench')
  .description('Holdfast benchmarks: real processes, a real Toxiproxy, every frame verified.')
  .exitOverride();

function seedOption(): Option {
  return new Option('--seed <n>', 'for whatever is random; random by default').argParser(parseSeed);
}

program
  .command('smoke', { isDefault: true })
  .description('the first figures; about six minutes')
  .addArgument(new Argument('[parts...]', 'all of them by default').choices([...PART_NAMES]))
  .addOption(seedOption())
  .action((parts: readonly Part[], { seed = randomInt(SEED_MAX + 1) }) => {
    const chosen = parts.length === 0 ? PART_NAMES : parts;
    return run({ name: 'smoke', parts, measure: (bench) => smoke(bench, chosen) }, seed);
  });

program
  .command('thin')
  .description('links that carry little: by rate, and by bytes per connection; about three minutes')
  .addArgument(new Argument('[parts...]', 'all of them by default').choices([...THIN_NAMES]))
  .addOption(seedOption())
  .action((parts: readonly ThinPart[], { seed = randomInt(SEED_MAX + 1) }) => {
    const chosen = parts.length === 0 ? THIN_NAMES : parts;
    return run({ name: 'thin', parts, measure: (bench) => thin(bench, chosen) }, seed);
  });

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
