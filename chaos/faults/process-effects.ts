/** What is seen of a program that was ended or frozen, by the ground and by its own silence. */
import type { Exit } from '#lab/ground/ground.ts';
import { waitUntil } from '../observe/wait.ts';
import type { Target } from './arguments.ts';
import { silence, starved } from './effects.ts';
import type { Effect } from './fault.ts';
import { askReady } from './services.ts';

const SILENCE_MS = 1_000;
const SIGKILLED = 137;

/** The ground saw it end of what was done to it, after the first `known` ends. */
export function ended(target: Target, known: () => number, how: 'killed' | 'stopped'): Effect {
  return async ({ ground, signal }) => {
    const service = ground.service(target);
    const found = () => service.exits.slice(known()).find(({ injected }) => injected);
    await waitUntil(`the end of the ${target} is told`, () => found() !== undefined, { signal });
    const exit = found();
    if (exit === undefined) throw new Error('an end was told and is gone');
    if (how === 'killed' && !isKill(exit)) {
      throw new Error(`the ${target} ended by ${describe(exit)}, not by SIGKILL`);
    }
    return `the ${target} ended by ${describe(exit)}`;
  };
}

/**
 * It neither answers nor refuses; and where the others go on, nothing comes from it or through it.
 */
export function frozen(target: Target, alone: boolean): Effect {
  return async (scene) => {
    const service = scene.ground.service(target);
    const { frozen: stands } = await service.state();
    if (!stands) throw new Error(`the ${target} is not frozen, by the ground's own account`);
    const askedMs = performance.now();
    const answer = await askReady(service, target, scene.signal, 2 * SILENCE_MS).then(
      () => 'an answer',
      (error: unknown) => error,
    );
    scene.signal.throwIfAborted();
    const silentMs = Math.round(performance.now() - askedMs);
    if (answer === 'an answer') throw new Error(`the ${target} answered in its freeze`);
    if (silentMs < SILENCE_MS) {
      throw new Error(`the ${target} refused after ${silentMs} ms`, { cause: answer });
    }
    const evidence = `the ${target} gave no answer within ${silentMs} ms`;
    if (target === 'collector' || !alone) return evidence;
    return `${evidence}; ${await (target === 'source' ? starved : silence)(scene)}`;
  };
}

function isKill({ code, signal }: Exit): boolean {
  return signal === 'SIGKILL' || code === SIGKILLED;
}

function describe({ code, signal }: Exit): string {
  if (signal !== null) return signal;
  return code === SIGKILLED ? 'SIGKILL' : `exit code ${code}`;
}
