/**
 * The dashboard's page, built: `dashboard/dist`, which the server serves and the image carries. Made
 * anew only when something that it is made of has changed, or somebody has changed what was made;
 * the same sources give the same bytes. How it is built is dashboard/vite.config.ts.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { addContent, filesIn } from '#lab/content.ts';
import { LabError } from '#lab/errors.ts';
import { withLock } from '#lab/lock.ts';
import { PATHS } from '#lab/paths.ts';
import type { LabContext } from '#lab/setup.ts';
import { writeWhole } from '#lab/state.ts';
import type { StepPlan } from '#lab/steps.ts';

const SOURCES = join(PATHS.root, 'dashboard');
const DIST = join(SOURCES, 'dist');
const BUILD_TIMEOUT_MS = 120_000;

const stampPath = join(PATHS.tools, 'dashboard.json');
const stampSchema = z.object({ sources: z.string(), made: z.string(), weight: z.string() });

type Context = Pick<LabContext, 'programs' | 'signal'>;

/** The step of a set-up after which the page is there. */
export function dashboardStep(context: Context): StepPlan {
  return {
    title: 'The page',
    run: async () => {
      const { weight, built } = await ensureDashboard(context);
      return `${weight}, ${built ? 'built' : 'unchanged'}`;
    },
  };
}

/**
 * Makes sure that the page is there, as its sources are now.
 * @returns its weight in words, as the build measured it.
 * @throws LabError `command_failed` with the build's output; the page is left as it was then.
 */
export async function ensureDashboard(
  context: Context,
): Promise<{ weight: string; built: boolean }> {
  // Of this checkout, whatever lab it is wanted for.
  return withLock(
    'dashboard',
    () => {},
    context.signal,
    async () => {
      const sources = hashOfSources();
      const stamp = readStamp();
      if (stamp?.sources === sources && stamp.made === hashOf(DIST)) {
        return { weight: stamp.weight, built: false };
      }
      const weight = await build(context);
      writeWhole(stampPath, JSON.stringify({ sources, made: hashOf(DIST), weight }), 0o644);
      return { weight, built: true };
    },
  );
}

/** Beside its place, and moved there whole. */
async function build({ programs }: Context): Promise<string> {
  const work = join(PATHS.tools, 'dashboard');
  const made = join(work, 'dist');
  try {
    rmSync(work, { recursive: true, force: true }); // what one left that was killed
    mkdirSync(work, { recursive: true });
    const vite = join(PATHS.root, 'node_modules', '.bin', 'vite');
    const args = ['build', SOURCES, '--outDir', made, '--emptyOutDir'];
    const { stdout } = await programs.must(vite, args, {
      what: 'build the page',
      cwd: PATHS.root,
      // A test runner's would have it built for development.
      env: { NODE_ENV: 'production', NO_COLOR: '1' },
      timeoutMs: BUILD_TIMEOUT_MS,
      next: ['To see it whole: npx vite build dashboard'],
    });
    if (existsSync(DIST)) renameSync(DIST, join(work, 'old'));
    renameSync(made, DIST);
    return weightIn(stdout);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The line of dashboard/build/compress.ts. */
function weightIn(output: string): string {
  const weight = /^first view: .*$/m.exec(output)?.[0];
  if (weight !== undefined) return weight;
  throw new LabError({
    code: 'command_failed',
    message: 'the page was built, and the build did not say what it weighs',
    details: output.split('\n').slice(-10),
    next: ['To see it whole: npx vite build dashboard'],
  });
}

function hashOfSources(): string {
  const files = filesIn(SOURCES).filter((file) => !file.startsWith(`${DIST}/`));
  const hash = createHash('sha256');
  addContent(hash, PATHS.root, [...files, join(PATHS.root, 'package-lock.json')]);
  return hash.digest('hex');
}

function hashOf(folder: string): string {
  const hash = createHash('sha256');
  addContent(hash, folder, filesIn(folder));
  return hash.digest('hex');
}

function readStamp(): z.infer<typeof stampSchema> | null {
  if (!existsSync(stampPath)) return null;
  try {
    return stampSchema.parse(JSON.parse(readFileSync(stampPath, 'utf8')));
  } catch {
    return null; // cut short or of another version: it is made anew
  }
}
