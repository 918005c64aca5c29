/**
 * The benchmarks as a program: reads the command line, gets Toxiproxy, has the parts measured, prints
 * the table, writes the report, and ends everything that it started. Or compares a run with another.
 *
 * Exit codes: 0 measured, whether or not the aims were met, or nothing got worse; 1 something was
 * lost, a measurement failed, or something got worse; 2 usage or settings; 130 interrupted.
 */
import { randomInt } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { readConfig } from '#lab/config.ts';
import { unpackedPackages } from '#lab/debian-packages.ts';
import { Docker } from '#lab/docker.ts';
import { EXIT, explain, LabError } from '#lab/errors.ts';
import { PATHS } from '#lab/paths.ts';
import { Programs as LabPrograms } from '#lab/process.ts';
import { toxiproxyProgram } from '#lab/toxiproxy-program.ts';
import { type BenchDocument, documentOf, readDocument } from './document.ts';
import { BenchError, DocumentError } from './errors.ts';
import { documentPath, makeFolder, writePage, writeRun } from './folder.ts';
import type { Size } from './pipeline.ts';
import { Programs } from './programs.ts';
import { compare, comparisonLines } from './regression.ts';
import { lines } from './report.ts';
import { measure, type PartToMeasure } from './run.ts';
import { MINUTES_MAX, partsOf, setOf } from './sets.ts';
import { SUITES, type SuiteName } from './suites.ts';
import { warmUp } from './warm-up.ts';

const SEED_MAX = 0xffff_ffff;
const REPORTS = join(PATHS.root, 'reports');
/** The run that others are held against, by its size. */
const committed = (size: Size) => join(PATHS.root, 'docs', 'bench', `${size}.json`);

const abort = new AbortController();
const print = (line: string) => process.stdout.write(`${line}\n`);
const printError = (line: string) => process.stderr.write(`${line}\n`);

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (abort.signal.aborted) process.exit(EXIT.interrupted);
    abort.abort();
  });
}

interface Asked {
  readonly entries: readonly PartToMeasure[];
  readonly size: Size;
  /** What to type to have it again, without its seed. */
  readonly command: string;
  readonly limitS: number;
}

interface RunOptions {
  readonly seed?: number;
  readonly full?: boolean;
}

async function run({ entries, size, command, limitS }: Asked, options: RunOptions): Promise<void> {
  const { signal } = abort;
  const { seed = randomInt(SEED_MAX + 1) } = options;
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
    const again = `${command} --seed ${seed}`;
    print(`seed ${seed} (again: ${again})`);
    const folder = makeFolder(REPORTS, new Date());
    print(`report, as it comes: ${folder}`);
    const debianPackages = (names: readonly string[]) =>
      unpackedPackages(names, { programs: labPrograms, progress: print });
    const tools = { programs, toxiproxy, docker, debianPackages };
    const bench = { ...tools, directory, seed, size, signal, progress: print };
    await warmUp(bench);
    const measured = await measure({
      entries,
      bench,
      command: again,
      product: await product(labPrograms),
      limitS,
      onPart: (soFar) => writeRun(folder, documentOf(soFar)),
    });
    const document = documentOf(measured);
    writeRun(folder, document);
    for (const line of ['', ...lines(document), '', join(folder, 'bench.html')]) print(line);
    process.exitCode = document.held ? EXIT.held : EXIT.failed;
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

async function product(programs: LabPrograms): Promise<BenchDocument['product']> {
  const { version } = JSON.parse(readFileSync(join(PATHS.root, 'package.json'), 'utf8'));
  const options = { cwd: PATHS.root, timeoutMs: 10_000 };
  const { exitCode, stdout } = await programs.run('git', ['rev-parse', 'HEAD'], options);
  return { version, commit: exitCode === 0 ? stdout.trim() : null };
}

function compareRuns(meant: string | undefined, { against }: { readonly against?: string }): void {
  // From make, runs come in variables, which may be empty.
  const path = documentPath(REPORTS, meant ?? (process.env.RUN || undefined));
  const run = readDocument(path);
  const basePath = !against ? committed(run.size) : documentPath(REPORTS, against);
  const comparison = compare(run, readDocument(basePath));
  for (const line of comparisonLines(comparison, { run: path, base: basePath })) print(line);
  process.exitCode = comparison.worse.length === 0 && run.held ? EXIT.held : EXIT.failed;
}

function draw(meant: string | undefined): void {
  const path = documentPath(REPORTS, meant);
  const folder = dirname(resolve(path));
  writePage(folder, readDocument(path));
  print(join(folder, 'bench.html'));
}

function parseSeed(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= SEED_MAX) return value;
  throw new InvalidArgumentError(`must be a whole number from 0 to ${SEED_MAX}.`);
}

const seedOption = () =>
  new Option('--seed <n>', 'for payloads and lengths of cuts; random by default').argParser(
    parseSeed,
  );

const program = new Command('./holdfast bench')
  .description('Holdfast benchmarks: real processes, a real Toxiproxy, every frame verified.')
  .showHelpAfterError(
    '(./holdfast bench --help lists the benchmarks, `bench NAME --help` the parts of one)',
  )
  .exitOverride();

const SETS = {
  short: 'of every benchmark what is most telling, in at most 15 minutes (the default)',
  full: 'all of them at their large sizes, with many repeats, in at most 90 minutes',
} as const;

for (const size of ['short', 'full'] as const) {
  program
    .command(size)
    .description(SETS[size])
    .addOption(seedOption())
    .action((options: RunOptions) => {
      const command = size === 'short' ? './holdfast bench' : `./holdfast bench ${size}`;
      const limitS = MINUTES_MAX[size] * 60;
      return run({ entries: setOf(size), size, command, limitS }, options);
    });
}

for (const name of Object.keys(SUITES) as SuiteName[]) {
  const suite = SUITES[name];
  program
    .command(name)
    .description(suite.description)
    .addArgument(
      new Argument('[parts...]', 'all of them by default').choices(Object.keys(suite.parts)),
    )
    .addOption(new Option('--full', 'at large sizes, with many repeats'))
    .addOption(seedOption())
    .action((parts: readonly string[], options: RunOptions) => {
      const size = options.full ? 'full' : 'short';
      const words = ['./holdfast bench', name, ...parts, ...(options.full ? ['--full'] : [])];
      const asked = { entries: partsOf(name, parts), size, command: words.join(' ') } as const;
      return run({ ...asked, limitS: Number.POSITIVE_INFINITY }, options);
    });
}

const runArgument = () =>
  new Argument('[run]', 'its folder, or its bench.json; the last run when left out');
program
  .command('compare')
  .description('names what got worse against another run by more than both runs’ noise')
  .addArgument(runArgument())
  .addOption(
    new Option(
      '--against <run>',
      'by default the committed one of the same size (docs/bench/)',
    ).env('AGAINST'),
  )
  .action(compareRuns);
program
  .command('draw')
  .description('makes bench.html anew from bench.json')
  .addArgument(runArgument())
  .action(draw);

/** From make, names come in a variable; without any it is the short set. */
function givenWords(): string[] {
  const given = process.argv.slice(2);
  const [first] = given;
  if (first !== undefined && (!first.startsWith('-') || /^(-h|--help)$/.test(first))) return given;
  const named = (process.env.BENCH ?? '').split(/[\s,]+/).filter((word) => word !== '');
  return [...(named.length > 0 ? named : ['short']), ...given];
}

try {
  await program.parseAsync(givenWords(), { from: 'user' });
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
  return error instanceof DocumentError ? EXIT.usage : EXIT.failed;
}
