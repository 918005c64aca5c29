/**
 * Runs the fuzzer: many inputs for each target, or one of them again. Ends with 0 when nothing was
 * found, 1 when something was, 2 for a wrong command line.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { type Failure, fuzz, REQUIRED, replay, summaryOf, TARGETS, type Target } from './run.ts';

const TARGET_NAMES = Object.keys(TARGETS) as Target[];
/** From so many inputs on, each thing that has to be met is met. */
const COVERING_INPUTS = 100_000;
const PROGRESS_EVERY = 100_000;

const program = new Command('./holdfast fuzz')
  .description('spoils encoded sessions and plays them to the real framer, codec and sessions')
  .option('--inputs <n>', 'how many for each target, 1 or more', some, 100_000)
  .option('--seed <n>', 'the first seed (default: a random one)', whole)
  .addOption(new Option('--target <name>', 'one side alone').choices(TARGET_NAMES))
  .option('--path <path>', 'play one failure again, as it was printed with its seed and target')
  .exitOverride()
  .action(main);

interface Options {
  readonly inputs: number;
  readonly seed?: number;
  readonly target?: Target;
  readonly path?: string;
}

async function main({ inputs, seed = randomSeed(), target, path }: Options): Promise<void> {
  const targets = target === undefined ? TARGET_NAMES : [target];
  for (const one of targets) {
    const held = path === undefined ? await run(one, inputs, seed) : again(one, seed, path);
    if (!held) process.exitCode = 1;
  }
}

async function run(target: Target, inputs: number, seed: number): Promise<boolean> {
  let next = PROGRESS_EVERY;
  const onProgress = (done: number): void => {
    if (done < next) return;
    next += PROGRESS_EVERY;
    console.log(`${target}: ${done} inputs`);
  };
  const options = { target, inputs, seed, onProgress };
  const result = await fuzz(options);
  const rows = [...result.met].sort(([, a], [, b]) => b - a);
  console.log(rows.map(([what, count]) => `${what} ${count}`).join(', '));
  const isCovering = result.inputs >= COVERING_INPUTS;
  const missing = isCovering ? REQUIRED[target].filter((what) => !result.met.has(what)) : [];
  for (const what of missing) console.log(`never met: ${what}`);
  if (result.failure !== undefined) tell(target, result.failure);
  console.log(summaryOf(options, result));
  return result.failure === undefined && missing.length === 0;
}

function again(target: Target, seed: number, path: string): boolean {
  const failure = replay(target, seed, path);
  if (failure !== undefined) tell(target, failure);
  else console.log(`${target}: nothing fails there`);
  return failure === undefined;
}

function tell(target: Target, { seed, path, recipe, error }: Failure): void {
  console.log(error.stack);
  console.log(`recipe: ${JSON.stringify(recipe)}`);
  console.log(`again: ./holdfast fuzz --target ${target} --seed ${seed} --path ${path}`);
}

function randomSeed(): number {
  return Math.floor(Math.random() * 0x7fff_ffff);
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
