/**
 * `test` and its parts: the checks and the test runners, their output live, their reports in
 * test-output/, and one closing line counted from those reports. A part in which nothing ran, or
 * something was skipped, has failed.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ensureChromium } from '#lab/chromium.ts';
import {
  add,
  type Counts,
  closingLine,
  countVitest,
  failuresOf,
  held,
  NOTHING,
} from '#lab/counts.ts';
import { dashboardStep } from '#lab/dashboard.ts';
import { EXIT, type ExitCode, interrupted } from '#lab/errors.ts';
import { withLock } from '#lab/lock.ts';
import { ensureOldestNode } from '#lab/oldest-node.ts';
import { ensurePromtool, ensureSchemathesis } from '#lab/outside-tools.ts';
import { PATHS } from '#lab/paths.ts';
import { known, type LabContext, noteSetup, type Prepared, setupSteps } from '#lab/setup.ts';
import { readLabEnvironment } from '#lab/state.ts';
import { runSteps, type Step, type StepPlan } from '#lab/steps.ts';
import { sweepTests } from '#lab/stop.ts';
import { toxiproxyProgram } from '#lab/toxiproxy-program.ts';
import { ensureTracedImage } from '#lab/traced-image.ts';

export type Part =
  | 'check'
  | 'unit'
  | 'ground'
  | 'library'
  | 'simulation'
  | 'hostile'
  | 'browser'
  | 'integration'
  | 'api';

/** For what is there already. */
const SILENT: Step = { note: () => {}, progress: () => {} };

/** The checks, each a program of node_modules; each counts as one test. */
const CHECKS = [
  { name: 'types', command: ['tsc', '--noEmit'] },
  { name: "the dashboard's types", command: ['tsc', '--noEmit', '-p', 'dashboard'] },
  { name: 'lint', command: ['biome', 'check', '--error-on-warnings', '.'] },
  { name: 'dead code', command: ['knip'] },
] as const;

/**
 * Runs the parts in their order, all of them whatever fails, and prints the counts, last of all.
 * @throws LabError `interrupted`, and those of set-up.
 */
export async function test(
  parts: readonly Part[],
  context: LabContext,
  print: (line: string) => void,
): Promise<ExitCode> {
  mkdirSync(PATHS.results, { recursive: true });
  const resultFile = join(PATHS.results, 'result.json');
  rmSync(resultFile, { force: true }); // an old one must not speak for a run that did not finish
  if (parts.includes('integration')) await setUp(context, print);
  const results = new Map<Part, Counts>();
  for (const part of parts) {
    print(`\n== ${part}`);
    results.set(part, await runPart(part, context, print));
    if (context.signal.aborted) throw interrupted();
  }
  const total = [...results.values()].reduce(add, NOTHING);
  print('');
  for (const [part, counts] of results) print(`${part.padEnd(12)} ${closingLine(counts)}`);
  const broken = [...results].filter(([, counts]) => !held(counts));
  const exitCode = broken.length === 0 ? EXIT.held : EXIT.failed;
  const result = { ...total, exit_code: exitCode };
  writeFileSync(resultFile, `${JSON.stringify(result)}\n`);
  for (const [part, counts] of broken) {
    print(`✗ ${part} did not hold${whyNot(counts)}`);
    for (const failure of failuresOf(reportOf(part), PATHS.root)) print(`    ${failure}`);
  }
  if (broken.length > 0) print(`  → reports and logs: ${PATHS.results}`);
  print(closingLine(total));
  return exitCode;
}

/** What a part without a failed test lacks. */
function whyNot(counts: Counts): string {
  if (counts.failed > 0) return '';
  if (counts.passed === 0) return ': nothing ran';
  return ': a skipped test proves nothing, so it counts as a failure here';
}

async function setUp(context: LabContext, print: (line: string) => void): Promise<void> {
  const waiting = () => print('Another ./holdfast is setting up in this checkout; waiting for it.');
  const prepared: Prepared = {};
  const steps = [
    ...setupSteps(context, prepared),
    noteSetup(context, prepared),
    tracedImageStep(context, prepared),
    promtoolStep(context),
  ];
  await withLock('lab', waiting, context.signal, () => runSteps(steps));
}

function tracedImageStep(context: LabContext, prepared: Prepared): StepPlan {
  return {
    title: 'Image with strace',
    run: (step) => {
      const engine = known(prepared.engine);
      return ensureTracedImage(appImage(), known(prepared.base), { ...context, engine, step });
    },
  };
}

function promtoolStep(context: LabContext): StepPlan {
  return { title: 'promtool', run: (step) => ensurePromtool({ ...context, step }) };
}

/** What set-up chose. */
function appImage(): string {
  return known(readLabEnvironment()?.HOLDFAST_IMAGE);
}

function runPart(part: Part, context: LabContext, print: (line: string) => void): Promise<Counts> {
  if (part === 'check') return check(context, print);
  if (part === 'api') return api(context);
  if (part === 'library') return library(context);
  if (part === 'ground') return ground(context, print);
  if (part === 'browser') return browser(context, print);
  if (part === 'integration') return integration(context, print);
  return vitest(part, context, {});
}

async function check(context: LabContext, print: (line: string) => void): Promise<Counts> {
  let counts = NOTHING;
  for (const { name, command } of CHECKS) {
    const [program, ...args] = command;
    print(`-- ${name}: ${command.join(' ')}`);
    const exitCode = await context.programs.onTerminal(binary(program), args, { cwd: PATHS.root });
    const good = exitCode === 0;
    counts = add(counts, { passed: good ? 1 : 0, failed: good ? 0 : 1, skipped: 0 });
  }
  return counts;
}

/** The packed Producer in projects of its own, on this Node.js and on the oldest that it supports. */
async function library(context: LabContext): Promise<Counts> {
  let oldest = '';
  const node: StepPlan = {
    title: 'The oldest Node.js for the library',
    run: async (step) => {
      oldest = await ensureOldestNode(context.programs, step);
      return relative(PATHS.root, oldest);
    },
  };
  await withLock(
    'lab',
    () => {},
    context.signal,
    () => runSteps([node]),
  );
  return vitest('library', context, { HOLDFAST_OLDEST_NODE: oldest });
}

/** The lab as processes, which needs Toxiproxy's program, and no container engine. */
async function ground(context: LabContext, print: (line: string) => void): Promise<Counts> {
  const toxiproxy = await toxiproxyProgram(context, print);
  return vitest('ground', context, { HOLDFAST_TOXIPROXY_PROGRAM: toxiproxy });
}

/** The page in a real browser, on the lab as processes. */
async function browser(context: LabContext, print: (line: string) => void): Promise<Counts> {
  const toxiproxy = await toxiproxyProgram(context, print);
  let chromium = '';
  const steps: StepPlan[] = [
    {
      title: 'Chromium',
      run: async (step) => {
        chromium = await ensureChromium({ ...context, step });
        return chromium;
      },
    },
    dashboardStep(context),
  ];
  await runSteps(steps);
  // Pictures of an earlier run must not be taken for this one's.
  rmSync(join(PATHS.results, 'browser'), { recursive: true, force: true });
  return vitest('browser', context, {
    HOLDFAST_TOXIPROXY_PROGRAM: toxiproxy,
    HOLDFAST_CHROMIUM: chromium,
  });
}

/** On the images and with the environment that set-up chose; one run at a time in a checkout. */
function integration(context: LabContext, print: (line: string) => void): Promise<Counts> {
  const waiting = () => print('Another integration run is under way in this checkout; waiting.');
  return withLock('tests', waiting, context.signal, async () => {
    // Vitest runs no teardown when it is interrupted: what such a run left is swept here.
    for (const what of await sweepTests(context)) print(`removed a leftover: ${what}`);
    const promtool = await ensurePromtool({ ...context, step: SILENT });
    const counts = await vitest('integration', context, {
      ...readLabEnvironment(),
      HOLDFAST_PROMTOOL: promtool,
    });
    if (!context.signal.aborted) await sweepTests(context);
    return counts;
  });
}

/** The server's API against its own document, by a tool that knows neither. */
async function api(context: LabContext): Promise<Counts> {
  let schemathesis = '';
  const run = async (step: Step) => {
    schemathesis = await ensureSchemathesis({ ...context, step });
    return schemathesis;
  };
  await runSteps([{ title: 'schemathesis', run }]);
  return vitest('api', context, { HOLDFAST_SCHEMATHESIS: schemathesis });
}

async function vitest(
  project: Exclude<Part, 'check'>,
  context: LabContext,
  env: Readonly<Record<string, string>>,
): Promise<Counts> {
  const report = reportFile(project);
  rmSync(report, { force: true });
  const args = [
    ...['run', '--project', project],
    // Named, or Vitest chooses its reporters by the kind of shell that it believes to be in.
    ...['--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
  ];
  const exitCode = await context.programs.onTerminal(binary('vitest'), args, {
    cwd: PATHS.root,
    env,
  });
  return countVitest(reportOf(project), exitCode);
}

function reportFile(part: Part): string {
  return join(PATHS.results, `${part}.json`);
}

/** The runner's own; null where there is none, as of the checks. */
function reportOf(part: Part): string | null {
  const file = reportFile(part);
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}

function binary(name: string): string {
  return join(PATHS.root, 'node_modules', '.bin', name);
}
