/**
 * The fault matrix: the real images under load, each case on networks of its own, each judged by
 * the oracle. Nobody lays a hand on the pipeline: what a fault breaks has to heal by itself.
 */
import { expect, test } from 'vitest';
import { CASES } from './matrix/cases.ts';
import { DISK_CASES } from './matrix/disk-cases.ts';
import { MOMENT_CASES } from './matrix/moment-cases.ts';
import { PROGRAM_CASES } from './matrix/program-cases.ts';
import { runCase } from './matrix/run.ts';
import { TLS_CASES } from './matrix/tls-cases.ts';

/** A case that goes wrong waits long for what doesn't come, and is to be judged all the same. */
const TIMEOUT_MS = 540_000;

const ALL = [...CASES, ...DISK_CASES, ...TLS_CASES, ...MOMENT_CASES, ...PROGRAM_CASES];

test.concurrent.each(ALL)('$name: $what', { timeout: TIMEOUT_MS }, async (one) => {
  const { verdict, report, seen, log, discard } = await runCase(one);
  expect(verdict, report).toBe('pass');
  one.also?.(seen, log);
  discard();
});
