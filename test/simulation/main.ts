/**
 * Runs histories: many of them for their number, or one of them for its trace. Ends with 0 when the
 * promise held in all of them, 1 when not, 2 for a wrong command line.
 */
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { required } from './coverage.ts';
import { runHistory } from './history.ts';
import { planOf, WEIGHTS } from './plan.ts';
import { runMany, summaryOf } from './run.ts';

/** From so many histories on, each thing that has to be met is met. */
const COVERING_HISTORIES = 2_000;

const program = new Command('./holdfast simulate')
  .description('plays random histories of the real code in virtual time and judges each of them')
  .option('--seed <n>', 'the first seed (default: a random one)', whole)
  .option('--histories <n>', 'how many, 1 or more', some, 10_000)
  .option('--minutes <n>', 'stop after so many minutes', whole)
  .option('--trace', 'play one history and print all that happens in it')
  .exitOverride()
  .action(main);

interface Options {
  readonly seed?: number;
  readonly histories: number;
  readonly minutes?: number;
  readonly trace?: boolean;
}

async function main(options: Options): Promise<void> {
  const { seed = Math.floor(Math.random() * 0x7fff_ffff), histories, minutes, trace } = options;
  process.exitCode = trace ? await traceOne(seed) : await playMany(seed, histories, minutes);
}

async function traceOne(seed: number): Promise<number> {
  const verdict = await runHistory(planOf(seed), { trace: true });
  for (const line of verdict.trace) console.log(line);
  if (verdict.failure === undefined) return 0;
  console.log(verdict.failure.stack);
  return 1;
}

async function playMany(seed: number, histories: number, minutes?: number): Promise<number> {
  const options = {
    seed,
    histories,
    ...(minutes === undefined ? {} : { forMs: minutes * 60_000 }),
    onFailure: (verdict: { seed: number; failure: Error | undefined }) =>
      console.log(
        `seed ${verdict.seed}: ${verdict.failure?.message} (--seed ${verdict.seed} --trace)`,
      ),
  };
  const result = await runMany(options);
  for (const line of result.coverage.lines()) console.log(line);
  const missing = result.coverage.missing(required(Object.keys(WEIGHTS)));
  const isCovering = result.histories >= COVERING_HISTORIES;
  if (isCovering) for (const what of missing) console.log(`never met: ${what}`);
  console.log(summaryOf(options, result));
  return result.failures.length > 0 || (isCovering && missing.length > 0) ? 1 : 0;
}

/** None would prove nothing, and say so like a success. */
function some(text: string): number {
  const number = whole(text);
  if (number > 0) return number;
  throw new InvalidArgumentError('must be 1 or more.');
}

function whole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('must be a whole number.');
  return Number(text);
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : 2;
}
