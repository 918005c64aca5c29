/**
 * All faults that scenario files can name, by their words. A kind is added to the list of its file;
 * a file of kinds is added here.
 */
import type { FaultKind } from './fault.ts';
import { LINK_FAULTS } from './link.ts';
import { PROCESS_FAULTS } from './process.ts';

const ALL: readonly FaultKind[] = [...LINK_FAULTS, ...PROCESS_FAULTS];

export const FAULT_KINDS: ReadonlyMap<string, FaultKind> = new Map(
  ALL.map((one) => [one.kind, one]),
);
