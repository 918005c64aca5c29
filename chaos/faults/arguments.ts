/**
 * What the kinds of faults share: the words of their arguments, how a number is drawn for the
 * swarm, and the one way to write a kind down with its arguments' type.
 */
import { z } from 'zod';
import type { Stream } from '#lab/toxics.ts';
import type { FaultKind } from './fault.ts';

/** Keeps the type of the arguments between the schema, the draw and the making. */
export function kindOf<Arguments>(kind: FaultKind<Arguments>): FaultKind<Arguments> {
  return kind;
}

const DIRECTIONS = ['up', 'down', 'both'] as const;
export type Direction = (typeof DIRECTIONS)[number];

export const direction = z
  .enum(DIRECTIONS)
  .default('both')
  .describe('up: towards the server (frames); down: towards the collector (acks)');

/** Toxiproxy's words for it. */
export function streamsOf(one: Direction): readonly Stream[] {
  if (one === 'both') return ['upstream', 'downstream'];
  return [one === 'up' ? 'upstream' : 'downstream'];
}

export function goes(one: Direction, way: 'up' | 'down'): boolean {
  return one === way || one === 'both';
}

/** The programs that a fault can hit; the source is the collector that is judged. */
const TARGETS = ['server', 'collector', 'source', 'toxiproxy'] as const;
export type Target = (typeof TARGETS)[number];

const target = z
  .enum(TARGETS)
  .describe("source: the load source, which is judged; collector: the lab's own beside it");

export const targets = z
  .union([target, z.array(target).min(1).max(TARGETS.length)])
  .describe('one program, or several at once; source: the load source, which is judged');

export function listOf(one: Target | readonly Target[]): readonly Target[] {
  return [...new Set(typeof one === 'string' ? [one] : one)];
}

export function whole(min: number, max: number, standard: number, what: string) {
  return z.number().int().min(min).max(max).default(standard).describe(what);
}

/** A whole number from min to max, each as likely. */
export function between(random: () => number, min: number, max: number): number {
  return min + Math.floor(random() * (max - min + 1));
}

export function oneOf<T>(random: () => number, list: readonly T[]): T {
  const drawn = list[Math.floor(random() * list.length)];
  if (drawn === undefined) throw new Error('there is nothing to draw from');
  return drawn;
}

export function someDirection(random: () => number): Direction {
  return oneOf(random, DIRECTIONS);
}
