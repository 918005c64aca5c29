/**
 * What a fault is: how it is done, how it is undone, when what it hit works again, and what shows
 * that it has bitten. The kinds that scenario files can name are in `kinds.ts`; each is made here
 * of arguments that its schema has checked. Faults know the ground only by its contract.
 */
import type { z } from 'zod';
import type { Ability, Ground, GroundKind } from '#lab/ground/ground.ts';
import type { Link } from '#lab/link.ts';
import type { Observer } from '../observe/observer.ts';

/** What faults act on, and their effects are seen in. */
export interface Scene {
  readonly ground: Ground;
  readonly link: Link;
  readonly observer: Observer;
  /** In [0, 1), from the run's seed: the only randomness of a run. */
  readonly random: () => number;
  /** Aborted by Ctrl-C; every wait ends with it. */
  readonly signal: AbortSignal;
}

/** A sign that a pipeline without the fault doesn't show, in words; rejects when there is none. */
export type Effect = (scene: Scene) => Promise<string>;

export interface Fault {
  /** As the verdict and the report call it: the step's own name, or its kind's. */
  readonly name: string;
  /** What it hits: link, server, collector, source, toxiproxy. */
  readonly target: string;
  /** Nothing can be stored while it lasts, so a backlog is owed. */
  readonly outage: boolean;
  /** Seen only in what flows: it can't be seen to bite while another fault lets nothing through. */
  readonly needsFlow?: true;
  /** It ends a program on its way, though it is lifted as well. */
  readonly restarts?: true;
  readonly effect: Effect;
  inject(scene: Scene): Promise<void>;
  /** Left out where there is nothing to undo: what was hit comes back by itself. */
  lift?(scene: Scene): Promise<void>;
  /** Resolves when what was hit works again. */
  running(scene: Scene): Promise<void>;
}

/** A word of scenario files. */
export interface FaultKind<Arguments = unknown> {
  readonly kind: string;
  /** One sentence, for `make chaos-list` and the docs. */
  readonly summary: string;
  /** Strict; its descriptions and ranges are what the docs show. */
  readonly arguments: z.ZodType<Arguments>;
  /** Without these a ground can't do it. */
  readonly needs: readonly Ability[];
  /** Where it can be done at all; everywhere, when left out. */
  readonly grounds?: readonly GroundKind[];
  /** May it be drawn by the swarm, and with which arguments; `random` is the only source of chance. */
  readonly draw?: (random: () => number) => Arguments;
  make(args: Arguments, name: string): Fault;
}
