/**
 * All faults that scenario files can name, by their words. A kind is added to the list of its file;
 * a file of kinds is added here.
 */
import { ACCESS_FAULTS } from './access.ts';
import { DATA_FAULTS } from './data.ts';
import { DISK_FAULTS } from './disk.ts';
import type { FaultKind } from './fault.ts';
import { LIMIT_FAULTS } from './limits.ts';
import { LINK_FAULTS } from './link.ts';
import { MANGLED_FAULTS } from './mangled.ts';
import { PROCESS_FAULTS } from './process.ts';
import { TOXIC_FAULTS } from './toxics.ts';

const ALL: readonly FaultKind[] = [
  ...LINK_FAULTS,
  ...TOXIC_FAULTS,
  ...MANGLED_FAULTS,
  ...PROCESS_FAULTS,
  ...DISK_FAULTS,
  ...DATA_FAULTS,
  ...ACCESS_FAULTS,
  ...LIMIT_FAULTS,
];

export const FAULT_KINDS: ReadonlyMap<string, FaultKind> = byWord(ALL);

function byWord(kinds: readonly FaultKind[]): Map<string, FaultKind> {
  const found = new Map(kinds.map((one) => [one.kind, one]));
  if (found.size === kinds.length) return found;
  throw new Error('two kinds of faults have one word');
}
