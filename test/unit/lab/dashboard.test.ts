/** The dashboard's page, built by the lab: when it is made anew, and that it is then the same. */
import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { addContent, filesIn } from '#lab/content.ts';
import { ensureDashboard } from '#lab/dashboard.ts';
import { PATHS } from '#lab/paths.ts';
import { Programs } from '#lab/process.ts';

const DIST = join(PATHS.root, 'dashboard', 'dist');
const { signal } = new AbortController();
const context = { programs: new Programs(signal), signal };

function content(): string {
  const hash = createHash('sha256');
  addContent(hash, DIST, filesIn(DIST));
  return hash.digest('hex');
}

test('is left alone while nothing has changed, and made anew, the same, when it was harmed', async () => {
  const { weight } = await ensureDashboard(context);
  const made = content();
  expect(weight).toMatch(/^first view: .* brotli/);
  expect(await ensureDashboard(context)).toEqual({ weight, built: false });

  writeFileSync(join(DIST, 'index.html'), 'changed by hand');
  expect(await ensureDashboard(context)).toEqual({ weight, built: true });
  expect(content()).toBe(made);

  rmSync(DIST, { recursive: true });
  expect(await ensureDashboard(context)).toEqual({ weight, built: true });
  expect(content()).toBe(made);
}, 60_000);
