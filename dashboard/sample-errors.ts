/**
 * What samples say they lack: a probe that fails or misses its deadline leaves its values out, and
 * says so in the sample. Pure; what comes in is a payload from anywhere.
 */

import { plural } from './units.ts';

/** A probe that told nothing, or not all, in so many of the samples looked at. */
export interface Lack {
  readonly probe: string;
  /** As the newest of them says it. */
  readonly error: string;
  readonly count: number;
  readonly of: number;
}

const SCHEMA = 'holdfast.sample/1';
const ERROR_LENGTH_MAX = 160;

/** Whether it is a sample of our collector's, which tells what it lacks. */
export function isSample(payload: unknown): boolean {
  return fieldOf(payload, 'schema') === SCHEMA;
}

/** `payloads`: newest first. */
export function lacksOf(payloads: readonly unknown[]): Lack[] {
  const samples = payloads.filter(isSample);
  const lacks = new Map<string, Lack>();
  for (const sample of samples) {
    const errors = fieldOf(sample, 'errors');
    for (const each of Array.isArray(errors) ? errors : []) {
      const [probe, error] = [fieldOf(each, 'probe'), fieldOf(each, 'error')];
      if (typeof probe !== 'string' || typeof error !== 'string') continue;
      const known = lacks.get(probe);
      const { count = 0, error: newest = error } = known ?? {};
      lacks.set(probe, { probe, error: newest, count: count + 1, of: samples.length });
    }
  }
  return [...lacks.values()];
}

/**
 * `probe cpu: deadline of 800 ms passed (4 of the last 5 samples); 2 other probes too`: the reason that
 * is given most. There is one lack at least.
 */
export function lacksText(lacks: readonly Lack[]): string {
  const reasons = new Map<string, Lack[]>();
  for (const lack of lacks) {
    const reason = JSON.stringify([lack.error, lack.count, lack.of]);
    reasons.set(reason, [...(reasons.get(reason) ?? []), lack]);
  }
  const [most = [], ...others] = [...reasons.values()].sort(
    ([a], [b]) => (b?.count ?? 0) - (a?.count ?? 0),
  );
  const rest = others.flat().length;
  return `${reasonText(most)}${rest === 0 ? '' : `; ${plural(rest, 'other probe')} too`}`;
}

function reasonText(lacks: readonly Lack[]): string {
  const [{ error, count, of } = { error: '', count: 0, of: 0 }] = lacks;
  const names = lacks.map(({ probe }) => probe).join(', ');
  const cut = error.length > ERROR_LENGTH_MAX ? `${error.slice(0, ERROR_LENGTH_MAX - 1)}…` : error;
  const share = count === of ? '' : ` (${count} of the last ${of} samples)`;
  return `${lacks.length === 1 ? 'probe' : 'probes'} ${names}: ${cut}${share}`;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}
