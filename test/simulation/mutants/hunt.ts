/**
 * Hunts one mutant: plays histories until one is caught, and prints what became of it as one line of
 * JSON. A process of its own, for the changed files must be loaded before anything else loads them.
 *
 * Usage: hunt.ts <mutant's id> <first seed> <histories> [kills]; with `kills` no power is lost.
 */
import type { Plan } from '../plan.ts';
import { MUTANTS } from './list.ts';
import { substitute } from './loader.ts';

export interface Catch {
  readonly id: string;
  /** Undefined when it survived. */
  readonly check: string | undefined;
  readonly message: string;
  /** Histories that it took. */
  readonly histories: number;
}

const [id = '', seed = '1', histories = '1000', faults] = process.argv.slice(2);
const mutant = MUTANTS.find((one) => one.id === id);
if (mutant === undefined) throw new Error(`no mutant ${id}`);
substitute(mutant.substitutions);
const { runMany } = await import('../run.ts');
const { Violation } = await import('../witness.ts');

const result = await runMany({
  seed: Number(seed),
  histories: Number(histories),
  untilFailure: true,
  ...(faults === 'kills' ? { change: withoutPowerLoss } : {}),
});
const failure = result.failures[0]?.failure;
const caught: Catch = {
  id,
  check: failure && (failure instanceof Violation ? failure.check : 'error'),
  message: failure?.message ?? '',
  histories: result.histories,
};
console.log(JSON.stringify(caught));

/** Processes are killed, and no machine loses its power. */
function withoutPowerLoss(plan: Plan): Plan {
  const faults = plan.faults.map((fault) =>
    'power' in fault ? { ...fault, power: false } : fault,
  );
  return { ...plan, faults: faults.filter(({ kind }) => kind !== 'collector-crash') };
}
