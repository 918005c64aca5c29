/**
 * The faults: how each is done, and when what it hit works again. Orders are read back where they
 * are given (`Link`, `Service`); that they had their effect as well is for `effects.ts` to see.
 */
import type { Toxic } from '../support/link.ts';
import type { Service } from '../support/service.ts';
import type { Side, Stack } from '../support/stack.ts';
import { waitUntil } from '../support/wait.ts';
import { died, type Effect, ended, silent, standstill, wrongCalls } from './effects.ts';
import type { Observer } from './observer.ts';

/** What faults work on, and effects are seen in. */
export interface Ground {
  readonly stack: Stack;
  readonly observer: Observer;
}

export interface Fault {
  readonly name: string;
  readonly target: string;
  /** Nothing can be stored while it lasts. */
  readonly outage: boolean;
  readonly effect: Effect;
  inject(ground: Ground): Promise<void>;
  /** Left out where there is nothing to undo: what was hit comes back by itself. */
  lift?(ground: Ground): Promise<void>;
  /** Resolves when what was hit works again. */
  running(ground: Ground): Promise<void>;
}

/** The link refuses connections, and those that it had are closed. */
export function cut(name = 'cut'): Fault {
  return {
    name,
    target: 'link',
    outage: true,
    effect: standstill,
    inject: ({ stack: { link } }) => link.cut(),
    lift: ({ stack: { link } }) => link.restore(),
    running: async () => undefined,
  };
}

/** Toxics on the living link. */
export function poison(
  name: string,
  toxics: readonly Toxic[],
  { outage, effect }: Pick<Fault, 'outage' | 'effect'>,
): Fault {
  return {
    name,
    target: 'link',
    outage,
    effect,
    inject: ({ stack: { link } }) => link.add(toxics),
    lift: ({ stack: { link } }) => link.remove(toxics),
    running: async () => undefined,
  };
}

export type Target = Side;

/** SIGKILL; only the restart policy brings the program back. */
export function kill(target: Target): Fault {
  let startedAt = '';
  return {
    name: `kill_${target}`,
    target,
    outage: true,
    effect: died(target),
    inject: async ({ stack }) => {
      startedAt = (await stack[target].state()).startedAt;
      await stack[target].kill();
    },
    running: ({ stack }) => runningAgain(stack, stack[target], startedAt),
  };
}

/**
 * A call on a file fails, by the tracing that the case has begun with. The program ends itself over
 * it, and only the restart policy brings it back.
 */
export function callFails(target: Target): Fault {
  let startedAt = '';
  return {
    name: `call_fails_${target}`,
    target,
    outage: true,
    effect: ended(target),
    inject: async ({ stack }) => {
      startedAt = (await stack[target].state()).startedAt;
      stack[target].expectEnd();
    },
    running: ({ stack }) => runningAgain(stack, stack[target], startedAt),
  };
}

/** Calls on a file take long, by the tracing that the case has begun with. */
export function callsWait(target: Target): Fault {
  return callsWrong(`calls_wait_${target}`, target);
}

/** Writes to a file find no room, by the tracing that the case has begun with; then there is some. */
export function noRoom(target: Target): Fault {
  return callsWrong(`no_room_${target}`, target);
}

/** The program lives through it. */
function callsWrong(name: string, target: Target): Fault {
  return {
    name,
    target,
    outage: false,
    effect: wrongCalls(target),
    inject: async () => undefined,
    running: async ({ stack }) => {
      const tracing = stack.tracing(target);
      await waitUntil('calls go right again', () => tracing.calls.begun > tracing.fault.to, {
        describe: () => tracing.calls,
      });
    },
  };
}

/** All threads stand still; the kernel goes on to take its connections. */
export function freeze(target: Target): Fault {
  return {
    name: `freeze_${target}`,
    target,
    outage: true,
    effect: silent(target),
    inject: ({ stack }) => stack[target].freeze(),
    lift: ({ stack }) => stack[target].thaw(),
    running: ({ stack }) =>
      waitUntil(`the ${target} is ready`, () => isReady(stack, stack[target])),
  };
}

async function runningAgain(stack: Stack, service: Service, before: string): Promise<void> {
  await waitUntil(`the restart policy brings the ${service.name} back`, async () => {
    const { running, startedAt } = await service.state();
    return running && startedAt !== before && (await isReady(stack, service));
  });
}

async function isReady(stack: Stack, service: Service): Promise<boolean> {
  await stack.ready(service);
  return true;
}
