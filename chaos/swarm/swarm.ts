/**
 * A random schedule of faults as a scenario: swarm testing. Each seed first draws a temper, that is
 * which kinds of faults occur at all, how often each, how long they last, how often they overlap and
 * how much calm is between them, and then storms of one to three faults under that temper. So seeds
 * differ much more from each other than draws from one distribution would, and faults that
 * would drown or forbid others are away in half of all runs.
 *
 * Pure: the schedule follows from seed, minutes and kinds. What a ground can't do is taken out
 * after everything has been drawn, so what is left is the same on all of them.
 */
import type { Ground } from '#lab/ground/ground.ts';
import type { FaultKind } from '../faults/fault.ts';
import { randomOf } from '../random.ts';
import { type Probe, type Scenario, scenarioSchema } from '../scenario/scenario.ts';
import { tenthsBetween, weighted } from './draws.ts';
import { type Drawn, type Node, Storm } from './storm.ts';
import { leastSeconds, RESTART_SECONDS, SETTLE_SECONDS, timelineOf } from './timeline.ts';

export interface SwarmOptions {
  readonly seed: number;
  /** How long the schedule is by plan, 1 and up; warm-up, drain and judgement come on top. */
  readonly minutes: number;
  /** Those without `draw` are left out. Their order doesn't matter. */
  readonly kinds: readonly FaultKind[];
  readonly ground: Pick<Ground, 'kind' | 'cannot'>;
  /** Of the source, frames a second; 200 unless told. */
  readonly rate?: number;
  /** For a long run: this instead of what the seed would decide, and all kinds occur. */
  readonly pace?: Pace;
  /** `minutes` is what it takes at least: no time is counted that a quick pipeline saves. */
  readonly whole?: boolean;
  /** From here on, in seconds, no fault is drawn that ends a program. */
  readonly noRestartsAfter?: number;
}

/** How faults follow each other. */
interface Pace {
  readonly longestSeconds: number;
  readonly calmSeconds: number;
  /** How likely a storm goes on with another fault, from 0 to 1. */
  readonly overlap: number;
  /** How likely a calm lasts until the backlog is in, and the next storm doesn't meet a drain. */
  readonly patience: number;
}

/** Kinds that each seed has at least, when there are as many. */
const KINDS_MIN = 3;
const STORM_FAULTS_MAX = 3;
const RATE = 200;
/** So many storms that are too long for what is left are drawn before the rest is left calm. */
const MISSES_MAX = 5;
/** A calm is over when this many frames were stored in it, besides. */
const CALM_FRAMES = 100;
const CALM_DEADLINE_SECONDS = 120;
/** The longest wait of a collector for its next try is 30 s, that of a handshake is a minute. */
const RECOVER_MS_MAX = 120_000;

/** What a seed decides before anything else. */
interface Temper extends Pace {
  readonly kinds: readonly { readonly kind: FaultKind; readonly weight: number }[];
}

/** @throws RangeError when none of the kinds can be drawn. */
export function swarmScenario(options: SwarmOptions): Scenario {
  const { seed, minutes, ground, rate = RATE } = options;
  const drawable = options.kinds.filter(({ draw }) => draw !== undefined);
  if (drawable.length === 0) throw new RangeError('no kind of fault can be drawn');
  const temper = temperOf(seed, drawable, options.pace);
  const steps = draw(options, temper);
  const names = temper.kinds.map(({ kind }) => kind.kind).sort();
  const absent = temper.kinds.map(({ kind }) => kind).filter((kind) => cannot(kind, ground));
  return scenarioSchema.parse({
    title: `random faults, seed ${seed}, ${minutes} min`,
    description: [
      `What no one thought of: faults of link and programs, drawn by seed ${seed} from ${names.join(', ')}.`,
      ...absent.map((kind) => `Not run here: ${kind.kind} (${cannot(kind, ground)}).`),
    ].join(' '),
    tags: ['swarm'],
    configuration: { load: { rate } },
    'steady-state-hypothesis': {
      tolerances: {
        ...{ queued_min: 0, recover_ms_max: RECOVER_MS_MAX },
        ...(names.includes('clone') ? { cloned: true } : {}),
      },
    },
    method: steps.flatMap((step) => onGround(step, ground)),
  });
}

/** Why a ground can't do it, in words; undefined when it can. */
function cannot(
  { kind, needs, grounds }: FaultKind,
  ground: SwarmOptions['ground'],
): string | undefined {
  if (grounds !== undefined && !grounds.includes(ground.kind)) {
    return `${kind} is for ${grounds.join(' and ')} alone`;
  }
  return needs.map((ability) => ground.cannot(ability)).find((why) => why !== null) ?? undefined;
}

function temperOf(seed: number, drawable: readonly FaultKind[], pace?: Pace): Temper {
  const random = randomOf(seed, 'temper');
  const lots = [...drawable]
    .sort((a, b) => (a.kind < b.kind ? -1 : 1))
    .map((kind) => ({ kind, lot: random(), weight: 1 + Math.floor(4 * random()) }))
    .sort((a, b) => a.lot - b.lot);
  if (pace !== undefined) return { kinds: lots, ...pace };
  return {
    kinds: lots.filter(({ lot }, index) => lot < 0.5 || index < KINDS_MIN),
    longestSeconds: weighted(random, [5, 10, 20, 30], () => 1),
    calmSeconds: weighted(random, [2, 5, 10, 15], () => 1),
    overlap: weighted(random, [0, 0.3, 0.6, 0.9], () => 1),
    patience: random(),
  };
}

type Drafted = Node | Probe;

function draw(options: SwarmOptions, temper: Temper): Drafted[] {
  const { seed, minutes, rate = RATE, noRestartsAfter = Infinity, whole = false } = options;
  const random = randomOf(seed, 'storms');
  const seconds = minutes * 60;
  // In the shortest run there is still room for a storm of any kind.
  const longestSeconds = Math.min(temper.longestSeconds, seconds / 10);
  const calmSeconds = Math.min(temper.calmSeconds, seconds / 20);
  const steps: Drafted[] = [];
  let number = 0;
  let calms = 0;
  let at = 0;
  for (let misses = 0; misses < MISSES_MAX; ) {
    const restarts = at < noRestartsAfter;
    const storm = new Storm(random, longestSeconds);
    do {
      number += 1;
      const drawn = temper.kinds.map((one) => drawnOf(one, number, seed));
      const fitting = drawn.filter((one) => (restarts || !endsProgram(one)) && storm.takes(one));
      if (fitting.length === 0) break;
      storm.add(weighted(random, fitting, ({ weight }) => weight));
    } while (storm.size < STORM_FAULTS_MAX && random() < temper.overlap);
    const quiet = tenthsBetween(random, calmSeconds / 2, calmSeconds * 2);
    const queuedMax = random() < temper.patience ? rate : undefined;
    const next = [...storm.method, calmOf(calms + 1, quiet, queuedMax)];
    const took = whole ? leastSeconds(next) : timelineOf(next).seconds;
    if (storm.size === 0 || at + took > seconds) {
      misses += 1;
      continue;
    }
    steps.push(...next);
    calms += 1;
    at += took;
  }
  const rest = Math.floor(10 * (seconds - at) + 0.01) / 10;
  return [...steps, calmOf(calms + 1, rest, rate)];
}

function drawnOf(
  { kind, weight }: Temper['kinds'][number],
  number: number,
  seed: number,
): Drawn & { readonly weight: number } {
  const name = `${kind.kind}-${number}`;
  const args = kind.draw?.(randomOf(seed, name)) ?? {};
  return { name, kind, args: args as Drawn['args'], fault: kind.make(args, name), weight };
}

function calmOf(index: number, seconds: number, queuedMax?: number): Probe {
  const drained = queuedMax === undefined ? {} : { queued_max: queuedMax };
  return {
    type: 'probe',
    name: `calm-${index}`,
    until: { seconds, ...drained, stored_more: CALM_FRAMES, state: 'Ready' },
    deadline: CALM_DEADLINE_SECONDS + Math.ceil(seconds),
  };
}

/**
 * A step as the scenario has it. In place of what the ground can't do stands a wait for as long, so
 * that nothing else comes to stand elsewhere, or together with what it was kept apart from.
 */
function onGround(step: Drafted, ground: SwarmOptions['ground']): readonly object[] {
  if (step.type === 'probe') return [step];
  const { kind, pauses, ...action } = step;
  const method = step.method.flatMap((inner) => onGround(inner, ground));
  if (cannot(kind, ground) === undefined) return [{ ...action, ...pausesOf(pauses), method }];
  const wait = (text: string, seconds: number, more: Pick<Probe, 'pauses'> = {}): Probe => ({
    type: 'probe',
    name: `${text} ${step.name}`,
    until: { seconds },
    deadline: seconds + CALM_DEADLINE_SECONDS,
    ...more,
  });
  const pause = pausesOf({ before: pauses.before, after: 0 });
  if (step.background) return [wait('in place of', 0, pause)];
  const lasts = step.until?.seconds ?? RESTART_SECONDS;
  return [
    wait('in place of', lasts, pause),
    ...method,
    wait('after', SETTLE_SECONDS + pauses.after),
  ];
}

function pausesOf(pauses: Node['pauses']): { readonly pauses?: Partial<Node['pauses']> } {
  const some = Object.entries(pauses).filter(([, seconds]) => seconds > 0);
  return some.length === 0 ? {} : { pauses: Object.fromEntries(some) };
}

/** It ends a program, which its restart policy or the fault itself brings back. */
function endsProgram({ fault }: Drawn): boolean {
  return fault.restarts === true || (fault.lift === undefined && fault.target !== 'link');
}
