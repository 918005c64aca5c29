/**
 * The lab that a run takes place on: the one that is up, or one that is brought up for it and taken
 * down afterwards. While the run goes on, no other command starts, stops or cleans the lab, and no
 * other run uses it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { whyNoEngine } from '#lab/engine.ts';
import { LabError } from '#lab/errors.ts';
import type { Ground } from '#lab/ground/ground.ts';
import { openGround, prepareTracing } from '#lab/ground/open.ts';
import { withLock } from '#lab/lock.ts';
import { Pipeline } from '#lab/pipeline.ts';
import type { LabContext } from '#lab/setup.ts';
import { down } from '#lab/stop.ts';
import { up } from '#lab/up.ts';
import { readRunNote, removeRunNote, writeRunNote } from './rollbacks.ts';

/** A program that was healed a moment ago has so long to answer. */
const ANSWER_MS_MAX = 30_000;
const POLL_MS = 200;
/** Another run may take down between `up` and the next hold of the lock what it brought up. */
const UPS_MAX = 3;

export interface LabOptions {
  /** For setting it up. */
  readonly toSetUp: () => LabContext;
  /** For the lab that is there; with a signal of its own for what Ctrl-C must not end. */
  readonly asMade: (signal?: AbortSignal) => LabContext;
  readonly print: (line: string) => void;
  /** Of the run. */
  readonly folder: string;
  /** Whether calls of running programs are to go wrong, for which the lab may need an image more. */
  readonly tracing: boolean;
}

export interface FoundLab {
  readonly ground: Ground;
  /** Why this ground, in words. */
  readonly groundReason: string;
  /** What was mended on the way, left by a run that died. */
  readonly mended: readonly string[];
}

/**
 * Runs `work` on the lab. What is there is looked at, healed and used in one hold of the lock: what
 * another run has in its hands is no leftover.
 * @throws LabError as `up` and `down` do.
 */
export async function withLab<T>(
  options: LabOptions,
  work: (lab: FoundLab) => Promise<T>,
): Promise<T> {
  const { toSetUp, asMade, print } = options;
  const context = asMade();
  const mended: string[] = [];
  let broughtUp = false;
  const turn = async (ups: number): Promise<{ wasUp: boolean } | { done: T }> => {
    const died = readRunNote();
    if (died !== null)
      print(`The run in ${died.folder} never came to its end: mending what it left.`);
    broughtUp ||= died?.brought_up === true;
    const wasUp = await answers(context);
    const isWhole = (await opens(context, mended)) && (wasUp || (await comesBack(context)));
    if (!isWhole && ups < UPS_MAX) return { wasUp };
    return { done: await onGround(options, broughtUp, (lab) => work({ ...lab, mended })) };
  };
  const waiting = () => print('Another ./holdfast is at work on the lab; waiting for it.');
  try {
    for (let ups = 0; ; ups += 1) {
      const hold = () => turn(ups);
      const { signal, files } = context;
      const outcome = await withLock('lab', waiting, signal, hold, files);
      if ('done' in outcome) return outcome.done;
      const { wasUp } = outcome;
      // Programs that answer without a lab around them are what `up` mends.
      print(wasUp ? 'The lab is up, but not whole: make up.' : 'The lab is not up: make up first.');
      await up(toSetUp(), print);
      broughtUp ||= !wasUp;
    }
  } finally {
    if (broughtUp) {
      // Ctrl-C ended the run; the lab is left as it was found all the same.
      await down(asMade(new AbortController().signal), print);
    }
  }
}

async function onGround<T>(
  { asMade, folder, tracing }: LabOptions,
  broughtUp: boolean,
  work: (lab: Omit<FoundLab, 'mended'>) => Promise<T>,
): Promise<T> {
  const context = asMade();
  if (tracing) await prepareTracing(context);
  const ground = await openGround(context);
  writeRunNote({ folder, brought_up: broughtUp });
  try {
    return await work({ ground, groundReason: await reasonFor(context, ground, broughtUp) });
  } finally {
    await ground.close();
    removeRunNote();
  }
}

/** Heals what there is; false when there is no lab. */
async function opens(context: LabContext, mended: string[]): Promise<boolean> {
  try {
    const ground = await openGround(context);
    mended.push(...(await ground.heal()));
    await ground.close();
    return true;
  } catch (error) {
    if (error instanceof LabError) return false;
    throw error;
  }
}

async function comesBack(context: LabContext): Promise<boolean> {
  const deadline = performance.now() + ANSWER_MS_MAX;
  while (performance.now() < deadline) {
    if (await answers(context)) return true;
    context.signal.throwIfAborted();
    await delay(POLL_MS);
  }
  return false;
}

async function answers({ config }: LabContext): Promise<boolean> {
  const pipeline = new Pipeline(config);
  const all = await Promise.all([pipeline.serverReady(), pipeline.collectorStatus()]);
  return all.every(({ ok }) => ok);
}

async function reasonFor(
  { config, docker }: LabContext,
  { kind }: Ground,
  broughtUp: boolean,
): Promise<string> {
  if (config.ground !== undefined) return `HOLDFAST_GROUND=${config.ground} asks for it`;
  if (!broughtUp) return 'the lab ran on it';
  if (kind !== 'process') return 'a container engine is here';
  return whyNoEngine(await docker.probe(), config) ?? 'the lab ran on it before';
}
