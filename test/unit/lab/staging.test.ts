/** The image has every file that its programs import: what lacks one fails only in a container. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { STAGED_FILES, STAGED_FOLDERS } from '#lab/staging.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

const staged = [
  ...STAGED_FILES,
  ...STAGED_FOLDERS.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: ROOT })),
];

/** Types go when Node.js strips them, and what is imported for them alone goes with them. */
function importsOf(path: string): string[] {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const found = text.matchAll(
    /^(?:import|export)(?! type)[^;]*?from '([#.][^']+)'|import\('([#.][^']+)'\)/gms,
  );
  return [...found].map(([, from = '', dynamic = '']) => resolved(path, from || dynamic));
}

function resolved(path: string, from: string): string {
  return from.startsWith('#') ? from.slice(1) : normalize(join(dirname(path), from));
}

test.each(staged.filter((path) => path.endsWith('.ts')))('%s finds what it imports', (path) => {
  expect(importsOf(path).filter((one) => !staged.includes(one))).toEqual([]);
});
