/**
 * Which faults may be in force together, and how: the one table of it.
 *
 * A fault of the link is changed through Toxiproxy's API, which hangs when a toxic is added or
 * removed while a receiver stands still, and is away while Toxiproxy starts anew. A program's fault
 * that lasts (frozen, stopped, unplugged, a file that fails) may be such a receiver, so it has to
 * begin and end within the link's. And what can only be seen to bite in frames that flow can't begin
 * while nothing flows.
 */
import type { Fault } from '../faults/fault.ts';

/** What matters of a fault to the others. */
export type Facts = Pick<Fault, 'target' | 'outage' | 'lift' | 'needsFlow'>;

/**
 * `link`: changed through Toxiproxy's API. `held`: of a program, until it is lifted. `passing`: of a
 * program that comes back by itself. `toxiproxy`: of the link's own program.
 */
type Class = 'link' | 'held' | 'passing' | 'toxiproxy';

/**
 * `apart`: never in force together. `within`: the later one begins and ends while the earlier one
 * is in force. `across`: in whatever order they end.
 */
type Relation = 'apart' | 'within' | 'across';

/** By the class of the one that is in force, then of the one that begins. */
const RELATIONS: Readonly<Record<Class, Readonly<Record<Class, Relation>>>> = {
  link: { link: 'apart', held: 'within', passing: 'across', toxiproxy: 'apart' },
  held: { link: 'apart', held: 'across', passing: 'across', toxiproxy: 'across' },
  passing: { link: 'across', held: 'across', passing: 'across', toxiproxy: 'across' },
  toxiproxy: { link: 'apart', held: 'across', passing: 'across', toxiproxy: 'apart' },
};

/** Of several targets the one that binds most decides. */
function classOf({ target, lift }: Facts): Class {
  const targets = targetsOf(target);
  if (targets.includes('link')) return 'link';
  if (targets.includes('toxiproxy')) return 'toxiproxy';
  return lift === undefined ? 'passing' : 'held';
}

/** May `second` begin while `first` is in force? */
export function relation(first: Facts, second: Facts): Relation {
  const hit = targetsOf(first.target);
  if (targetsOf(second.target).some((target) => hit.includes(target))) return 'apart';
  const nothingFlows = first.outage && first.lift !== undefined;
  if (nothingFlows && (!second.outage || second.needsFlow)) return 'apart';
  return RELATIONS[classOf(first)][classOf(second)];
}

function targetsOf(target: string): string[] {
  return target.split(', ');
}
