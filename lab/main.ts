/**
 * The lab's program: reads settings and command line, wires the commands, handles the signals, and
 * ends with the exit codes that ./holdfast promises. What the commands do is in their own files.
 */

import { resolve } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { acceptance } from '#lab/acceptance.ts';
import { ending, wholeNumber } from '#lab/command-line.ts';
import { labAsMade, labToSetUp } from '#lab/context.ts';
import { doctor } from '#lab/doctor.ts';
import { EXIT, explain, LabError } from '#lab/errors.ts';
import { orderLink } from '#lab/ground/link-of-lab.ts';
import { openGround } from '#lab/ground/open.ts';
import { SLOWNESS } from '#lab/link.ts';
import { logs } from '#lab/logs.ts';
import { buildLibrary, packLibrary } from '#lab/pack.ts';
import { actOn, serviceNamed } from '#lab/service-commands.ts';
import { status } from '#lab/status.ts';
import { clean, down } from '#lab/stop.ts';
import { test } from '#lab/test-run.ts';
import { up } from '#lab/up.ts';
import { queue, store } from '#lab/volume-tools.ts';

const abort = new AbortController();
const print = (line: string) => process.stdout.write(`${line}\n`);
const printError = (line: string) => process.stderr.write(`${line}\n`);

// A reader that has seen enough (`… | head`) is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(EXIT.held);
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (abort.signal.aborted) process.exit(EXIT.interrupted);
    printError(`\n${signal}: stopping what runs; once more to leave at once`);
    abort.abort();
  });
}

/** For commands that set a lab up, or judge whether that could be done. */
const toSetUp = () => labToSetUp(process.env, abort.signal);

/** For commands on the lab that is there. */
const asMade = () => labAsMade(process.env, abort.signal);

const { latencyMs, rateKbps } = SLOWNESS;

const program = new Command('./holdfast')
  .description('The lab of Holdfast')
  .showHelpAfterError('(./holdfast help lists the commands)')
  .enablePositionalOptions()
  .exitOverride();

program
  .command('up')
  .description('install what is missing, start the pipeline, prove that frames arrive')
  .action(() => up(toSetUp(), print));
program
  .command('down')
  .description('stop the pipeline; queue and store stay')
  .action(() => down(asMade(), print));
program
  .command('clean')
  .description('stop the pipeline and drop its data, secret, images and leftovers')
  .action(() => clean(asMade(), print));
program
  .command('cut')
  .description('cut the link: every connection on it ends, new ones are refused')
  .action(async () => {
    await orderLink(asMade(), (link) => link.cut());
    print('The link is cut. The collector goes on capturing: make status; make restore');
  });
program
  .command('slow')
  .description('slow the link, in both directions')
  .addOption(
    new Option('--latency-ms <ms>', 'milliseconds added in each direction')
      .env('LATENCY_MS')
      .default(latencyMs.usual)
      .argParser(wholeNumber(latencyMs.min, latencyMs.max)),
  )
  .addOption(
    new Option('--rate-kbps <kbps>', 'kilobytes a second in each direction')
      .env('RATE_KBPS')
      .default(rateKbps.usual)
      .argParser(wholeNumber(rateKbps.min, rateKbps.max)),
  )
  .action(async (slowness: { latencyMs: number; rateKbps: number }) => {
    const { toxics } = await orderLink(asMade(), (link) => link.slow(slowness));
    print(`The link is slow: ${toxics.join(', ')}. Undo: make restore`);
  });
program
  .command('restore')
  .description('make the link whole again')
  .action(async () => {
    await orderLink(asMade(), (link) => link.restore());
    print('The link is whole.');
  });

for (const [action, what] of [
  ['kill', 'end one service by SIGKILL; it comes back by itself'],
  ['freeze', 'have one service stand still, until it is thawed'],
  ['thaw', 'have it go on'],
] as const) {
  program
    .command(action)
    .description(what)
    .argument('[service]', 'collector, server or toxiproxy; SERVICE=… with make')
    .action(async (word: string | undefined) => {
      const service = serviceNamed(word ?? process.env.SERVICE, action);
      const ground = await openGround(asMade());
      try {
        await actOn(service, action, ground, print);
      } finally {
        await ground.leave();
      }
    });
}
program
  .command('status')
  .description("services, the link, the collector's queue, the server's audit")
  .action(ending(() => status(asMade(), print)));
program
  .command('logs')
  .description("the services' logs, followed on a terminal")
  .argument('[services...]', 'collector, server, toxiproxy; SERVICE=… with make; all by default')
  .action(
    ending((named: string[]) => {
      const services = named.length > 0 ? named : words(process.env.SERVICE);
      return logs(
        services.map((word) => serviceNamed(word, 'logs')),
        asMade(),
        print,
      );
    }),
  );
program
  .command('queue')
  .description("the collector's queue tools, on the lab's queue: list, export, verify, dead list …")
  .argument('[args...]', 'as behind ./holdfast collector queue; status by default')
  .allowUnknownOption()
  .passThroughOptions()
  .helpOption(false)
  .action(
    ending((args: string[]) => queue(args.length > 0 ? args : words(process.env.ARGS), asMade())),
  );
program
  .command('store')
  .description("the server's tools, on the lab's store: audit, export, check, backup …")
  .argument('[args...]', 'as behind ./holdfast server, or its store; audit by default')
  .allowUnknownOption()
  .passThroughOptions()
  .helpOption(false)
  .action(
    ending((args: string[]) => store(args.length > 0 ? args : words(process.env.ARGS), asMade())),
  );
program
  .command('doctor')
  .description('what is here, what was chosen, what to mend; installs nothing')
  .action(ending(() => doctor(toSetUp(), print)));
program
  .command('test')
  .description('everything: check and all tests')
  .action(
    ending(() =>
      test(
        ['check', 'unit', 'ground', 'library', 'simulation', 'hostile', 'browser', 'integration'],
        toSetUp(),
        print,
      ),
    ),
  );
program
  .command('test-unit')
  .description('unit tests')
  .action(ending(() => test(['unit'], toSetUp(), print)));
program
  .command('test-ground')
  .description('the lab as processes, whole: brought up, harmed and healed')
  .action(ending(() => test(['ground'], toSetUp(), print)));
program
  .command('test-library')
  .description('the packed Producer in projects of its own, and the examples')
  .action(ending(() => test(['library'], toSetUp(), print)));
program
  .command('test-simulation')
  .description('random histories of the real code in virtual time, and the mutants that they catch')
  .action(ending(() => test(['simulation'], toSetUp(), print)));
program
  .command('test-hostile')
  .description('a real server under hostile input, and a small run of the fuzzer')
  .action(ending(() => test(['hostile'], toSetUp(), print)));
program
  .command('test-browser')
  .description('the page in a real browser, on the lab as processes')
  .action(ending(() => test(['browser'], toSetUp(), print)));
program
  .command('test-integration')
  .description('tests on the real images and a real Toxiproxy in containers')
  .action(ending(() => test(['integration'], toSetUp(), print)));
program
  .command('test-api')
  .description("the server's API against its own document, by schemathesis; not part of test")
  .action(ending(() => test(['api'], toSetUp(), print)));
program
  .command('check')
  .description('types, lint, dead code')
  .action(ending(() => test(['check'], toSetUp(), print)));
program
  .command('pack')
  .description('the Producer library as an npm package (docs/producer.md)')
  .option('--to <folder>', 'where to put it; made if it is not there', '.')
  .option('--build-only', 'make library/dist and no package')
  .action(async ({ to, buildOnly }: { to: string; buildOnly?: true }) => {
    const { programs } = asMade();
    if (buildOnly) return buildLibrary(programs);
    print(await packLibrary(resolve(to), programs));
  });
program
  .command('acceptance')
  .description('the tour in one go: up, cut, restore, down, judged by the audit')
  .option('--add-result', 'add the counts of the last test run to the closing line', false)
  .action(ending((options: { addResult: boolean }) => acceptance(options, toSetUp(), print)));

/** What `make queue ARGS="…"`, `make store ARGS="…"` and `make logs SERVICE="…"` hand over. */
function words(text = ''): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeFor(error);
} finally {
  // Whatever a failed step left running beside it ends now; the process ends with the last of it.
  abort.abort();
}

/** Prints what a person can act on, and nothing twice: Commander has printed its own. */
function exitCodeFor(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.held : EXIT.usage;
  if (error instanceof LabError) {
    for (const line of explain(error)) printError(line);
    return error.exitCode;
  }
  throw error;
}
