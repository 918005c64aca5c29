/**
 * Every wrong variant of the product is caught by the histories, within a bounded number of them.
 * The table of it is printed. A survivor is a hole in the proof, never a reason to drop the mutant.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import type { Catch } from './hunt.ts';
import { MUTANTS } from './list.ts';

const HUNT = fileURLToPath(new URL('hunt.ts', import.meta.url));
/** A mutant has to be caught within so many histories, from a seed that never changes. */
const HISTORIES_MAX = 6_000;
const FIRST_SEED = 1;
/** A missing sync shows at a power loss alone; so many histories with kills alone have to hold. */
const HISTORIES_WITH_KILLS = 300;

const table: string[] = [];

afterAll(() => {
  for (const line of table.sort()) console.info(line);
});

async function hunt(id: string, histories: number, ...more: string[]): Promise<Catch> {
  const args = [HUNT, id, String(FIRST_SEED), String(histories), ...more];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Catch;
}

describe('caught by the simulation', { concurrent: true, timeout: 600_000 }, () => {
  test.each(MUTANTS)('$id: $what', async ({ id, what, caughtBy }) => {
    const { check, histories, message } = await hunt(id, HISTORIES_MAX);
    const by = check ?? 'SURVIVED';
    table.push(`${id.padEnd(16)} ${by.padEnd(26)} ${String(histories).padStart(5)}  ${what}`);
    expect(caughtBy, message).toContain(check);
  });

  test('m28 survives where no machine loses its power', async () => {
    expect((await hunt('m28', HISTORIES_WITH_KILLS, 'kills')).check).toBeUndefined();
  });
});
