/**
 * Which parts a run without a name measures, in which order, and how long each takes about: `short`
 * for everyday use, `full` at the large sizes with many repeats. A set has a time that it keeps to:
 * a part that would not fit any more is left out, and named.
 */
import { strict as assert } from 'node:assert';
import type { Size } from './pipeline.ts';
import type { PartToMeasure } from './run.ts';
import { SUITES, type SuiteName } from './suites.ts';

/** What a set may take, in minutes. */
export const MINUTES_MAX: Readonly<Record<Size, number>> = { short: 15, full: 90 };

/**
 * By suite and part: about how many seconds it takes in the short and in the full set on two cores;
 * null where it is not part of it.
 */
const PARTS: readonly (readonly [SuiteName, string, number | null, number | null])[] = [
  ['flap', 'flapping', 100, 860],
  ['flap', 'faults', 80, 230],
  ['encode', 'loopback', 30, 300],
  ['encode', 'latency', 40, 240],
  ['recover', 'recover', 90, 620],
  ['footprint', 'images', 1, 1],
  ['footprint', 'library', 12, 25],
  ['footprint', 'start', 10, 40],
  ['footprint', 'rest', 80, 240],
  ['heart', 'append', 30, 60],
  ['heart', 'lone', 8, 40],
  ['heart', 'latency', 40, 75],
  ['heart', 'drain', 52, 255],
  ['ingest', 'ingest', 20, 80],
  ['ingest', 'acks', 16, 40],
  ['depth', 'depth', 80, 330],
  ['peers', 'drain', 33, 160],
  ['peers', 'latency', 25, 110],
  ['fleet', 'growth', 45, 180],
  ['store', 'growth', 24, 330],
  ['thin', 'rate', 40, 110],
  ['thin', 'far', null, 115],
  ['thin', 'short', 35, 60],
  ['fleet', 'fleet', null, 45],
  ['smoke', 'memory', null, 60],
  ['depth', 'receipts', null, 120],
  ['api', 'export', null, 300],
  ['series', 'following', null, 50],
];

export function setOf(size: Size): PartToMeasure[] {
  return PARTS.flatMap(([suite, part, short, full]) => {
    const seconds = size === 'short' ? short : full;
    const measure = SUITES[suite].parts[part];
    assert(measure !== undefined, `${suite} has no part ${part}`);
    return seconds === null ? [] : [{ suite, part, seconds, measure }];
  });
}

/** Parts of one suite, all when none is named; without an end to keep to. */
export function partsOf(suite: SuiteName, parts: readonly string[]): PartToMeasure[] {
  return Object.entries(SUITES[suite].parts)
    .filter(([part]) => parts.length === 0 || parts.includes(part))
    .map(([part, measure]) => ({ suite, part, seconds: 0, measure }));
}
