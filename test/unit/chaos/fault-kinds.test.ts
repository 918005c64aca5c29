/** The table of faults: names, arguments, draws, and the page that is made of it. */
import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FAULT_KINDS } from '#chaos/faults/kinds.ts';
import { argumentsOf, faultsPage } from '#chaos/faults/page.ts';
import { randomOf } from '#chaos/random.ts';
import { TOXIC_ATTRIBUTES } from '#lab/toxics.ts';
import { seeded } from '../seed.ts';

const KINDS = [...FAULT_KINDS.values()];
const PAGE = new URL('../../../docs/faults.md', import.meta.url);

test('every toxic of Toxiproxy is a kind, by its own name', () => {
  for (const type of Object.keys(TOXIC_ATTRIBUTES)) expect(FAULT_KINDS.has(type), type).toBe(true);
});

test('docs/faults.md is the table of all kinds', () => {
  const made = faultsPage();
  if (process.env.HOLDFAST_WRITE_DOCS === '1') writeFileSync(PAGE, made);
  expect(readFileSync(PAGE, 'utf8')).toBe(made);
});

describe.each(KINDS)('$kind', (kind) => {
  test('is a word in lower case, and says what it stands for in a sentence', () => {
    expect(kind.kind).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(kind.summary).toMatch(/^[A-Z].*\.$/);
  });

  test('says what each argument is, and from where to where', () => {
    for (const { name, values, description } of argumentsOf(kind)) {
      expect(description, name).not.toBe('');
      expect(values, name).not.toBe('any');
    }
  });

  test('refuses an argument that it does not have', () => {
    expect(kind.arguments.safeParse({ lattency_ms: 5 }).success).toBe(false);
  });

  test('what is drawn for the swarm is what its arguments take', () => {
    const { draw } = kind;
    if (draw === undefined) return;
    const drawn = (seed: number) => {
      const args = draw(randomOf(seed, kind.kind));
      const parsed = kind.arguments.safeParse(args);
      expect(parsed.error?.issues).toBeUndefined();
      expect(kind.make(parsed.data, 'a name').name).toBe('a name');
      expect(draw(randomOf(seed, kind.kind))).toEqual(args);
    };
    fc.assert(fc.property(fc.integer(), drawn), seeded({ numRuns: 1_000 }));
  });
});
