/**
 * Faults of programs: killed, ended, down, started anew, frozen, out of sight; Toxiproxy, too, which
 * forgets its toxics when it ends and is given them back. What a program leaves behind on its disk is not here.
 */
import { z } from 'zod';
import type { Service } from '#lab/ground/ground.ts';
import { kindOf, listOf, oneOf, type Target, targets } from './arguments.ts';
import { failing } from './effects.ts';
import type { Effect, Fault, Scene } from './fault.ts';
import { ended, frozen } from './process-effects.ts';
import { untilReady } from './services.ts';

const onPrograms = z.strictObject({ target: targets });
type OnPrograms = z.output<typeof onPrograms>;

/** Those that the judged pipeline goes through; the swarm hits these. */
const DRAWN: readonly Target[] = ['server', 'source', 'toxiproxy'];

function draw(random: () => number): OnPrograms {
  return { target: oneOf(random, DRAWN) };
}

/** One program of a fault that ends it, from before until it is back. */
class Ending {
  readonly #target: Target;
  readonly #order: (scene: Scene, target: Target) => Promise<void>;
  readonly effect: Effect;
  #generation = '';
  #known = 0;

  constructor(
    target: Target,
    how: 'killed' | 'stopped',
    order: (scene: Scene, target: Target) => Promise<void>,
  ) {
    this.#target = target;
    this.#order = order;
    this.effect = ended(target, () => this.#known, how);
  }

  async inject(scene: Scene): Promise<void> {
    const service = scene.ground.service(this.#target);
    this.#generation = (await service.state()).generation;
    this.#known = service.exits.length;
    await this.#order(scene, this.#target);
  }

  async running(scene: Scene): Promise<void> {
    await untilReady(scene, this.#target, this.#generation);
    if (this.#target === 'toxiproxy') await scene.link.putBack();
  }
}

interface EndingKind {
  readonly how: 'killed' | 'stopped';
  readonly order: (scene: Scene, target: Target) => Promise<void>;
  readonly lift?: (scene: Scene, target: Target) => Promise<void>;
}

/** All at once. */
function endingOf(name: string, args: OnPrograms, { how, order, lift }: EndingKind): Fault {
  const hit = listOf(args.target);
  const endings = hit.map((target) => new Ending(target, how, order));
  const fault: Fault = {
    name,
    target: hit.join(', '),
    outage: hit.some((target) => target !== 'collector'),
    effect: async (scene) => {
      const seen = await Promise.all(endings.map(({ effect }) => effect(scene)));
      return seen.join('; ');
    },
    inject: (scene) => allOf(endings.map((ending) => ending.inject(scene))),
    running: (scene) => allOf(endings.map((ending) => ending.running(scene))),
  };
  if (lift === undefined) return fault;
  return { ...fault, lift: (scene) => allOf(hit.map((target) => lift(scene, target))) };
}

const kill = kindOf<OnPrograms>({
  kind: 'kill',
  summary: 'SIGKILL: the program is gone in mid-sentence, and its restart policy brings it back.',
  arguments: onPrograms,
  needs: [],
  draw,
  make: (args, name) =>
    endingOf(name, args, {
      how: 'killed',
      order: ({ ground }, target) => ground.service(target).kill(),
    }),
});

const terminate = kindOf<OnPrograms>({
  kind: 'terminate',
  summary: 'SIGTERM: the program ends in order, and its restart policy brings it back.',
  arguments: onPrograms,
  needs: [],
  draw,
  make: (args, name) =>
    endingOf(name, args, {
      how: 'stopped',
      order: ({ ground }, target) => ground.service(target).signal('TERM'),
    }),
});

const restart = kindOf<OnPrograms>({
  kind: 'restart',
  summary: 'Stopped as by an operator and started at once, as in an upgrade.',
  arguments: onPrograms,
  needs: [],
  draw,
  make: (args, name) =>
    endingOf(name, args, {
      how: 'stopped',
      order: async ({ ground }, target) => {
        await ground.service(target).stop();
        await ground.service(target).start();
      },
    }),
});

const stop = kindOf<OnPrograms>({
  kind: 'stop',
  summary: 'Stopped as by an operator, and down until this is over.',
  arguments: onPrograms,
  needs: [],
  make: (args, name) =>
    endingOf(name, args, {
      how: 'stopped',
      order: ({ ground }, target) => ground.service(target).stop(),
      lift: ({ ground }, target) => ground.service(target).start(),
    }),
});

const freeze = kindOf<OnPrograms>({
  kind: 'freeze',
  summary: 'All its threads stand still, while the kernel goes on to take its connections.',
  arguments: onPrograms,
  needs: [],
  draw,
  make: ({ target }, name) => {
    const hit = listOf(target);
    const generations = new Map<Target, string>();
    return {
      name,
      target: hit.join(', '),
      outage: hit.some((one) => one !== 'collector' && one !== 'source'),
      effect: async (scene) => {
        const seen = await Promise.all(hit.map((one) => frozen(one, hit.length === 1)(scene)));
        return seen.join('; ');
      },
      inject: ({ ground }) =>
        allOf(
          hit.map(async (one) => {
            await ground.service(one).freeze();
            generations.set(one, (await ground.service(one).state()).generation);
          }),
        ),
      lift: ({ ground }) =>
        allOf(hit.map((one) => thaw(ground.service(one), generations.get(one)))),
      running: (scene) => allOf(hit.map((one) => untilReady(scene, one))),
    };
  },
});

/** One that went on before its time was not frozen for as long as the report would tell. */
async function thaw(service: Service, frozenAs: string | undefined): Promise<void> {
  const { running, frozen: stands, generation } = await service.state();
  await service.thaw();
  if (running && !stands && generation === frozenAs) {
    throw new Error(`something else had let the ${service.name} go on before`);
  }
}

/** All are tried; the first failure is told. */
async function allOf(works: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(works);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/**
 * The name that collectors dial is gone, and what flowed stands still. Toxiproxy may have another
 * address afterwards.
 */
const dnsGone = kindOf<Record<string, never>>({
  kind: 'dns_gone',
  summary: "The link's name can't be resolved where the collectors are, and nothing reaches it.",
  arguments: z.strictObject({}),
  needs: ['unplug'],
  draw: () => ({}),
  make: (_, name) => ({
    name,
    target: 'link',
    outage: true,
    effect: failing(['dns', 'unreachable']),
    inject: ({ ground }) => ground.service('toxiproxy').unplug(),
    lift: ({ ground }) => ground.service('toxiproxy').plug(),
    running: (scene) => untilReady(scene, 'toxiproxy'),
  }),
});

export const PROCESS_FAULTS = [kill, terminate, restart, stop, freeze, dnsGone] as const;
