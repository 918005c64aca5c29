/**
 * Chromium for the tests of the page: the one that a setting names, one that is on PATH, or the
 * distribution's package, installed at first need. Playwright drives it; it brings none of its own.
 */
import { resolve } from 'node:path';
import { install, type Wanted } from '#lab/apt.ts';
import { LAB_SETTINGS } from '#lab/config.ts';
import { findProgram } from '#lab/engine.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import { PATHS } from '#lab/paths.ts';
import type { LabContext } from '#lab/setup.ts';
import type { Step } from '#lab/steps.ts';

type Context = Pick<LabContext, 'config' | 'programs'> & { readonly step: Step };

const VERSION_TIMEOUT_MS = 30_000;
const NAMES_ON_PATH = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];
const PACKAGES: Wanted = {
  packages: [['chromium', 'chromium-browser']],
  missing: 'Chromium (it shows the page to the tests)',
};
const NAME_ONE = `Or name one that is here: ${LAB_SETTINGS.chromium.name}=/path make test-browser`;

/**
 * The path of a Chromium that runs.
 * @throws LabError `bad_configuration` when the one that is named does not run, `install_refused`
 *   and `install_failed` where there is none to be had.
 */
export async function ensureChromium(context: Context): Promise<string> {
  const named = context.config.chromium;
  if (named !== undefined) return checked(resolve(PATHS.root, named), context);
  const here = await chromiumHere(context);
  if (here !== null) return here;
  try {
    await install(PACKAGES, context);
  } catch (error) {
    if (!(error instanceof LabError) || error.code === 'interrupted') throw error;
    const { code, exitCode, message, details, next } = error;
    throw new LabError({ code, exitCode, message, details, next: [...next, NAME_ONE] });
  }
  const installed = await chromiumHere(context);
  if (installed !== null) return installed;
  throw new LabError({
    code: 'install_failed',
    message: 'Chromium was installed, and does not run here (some packages of it need snapd)',
    next: [NAME_ONE],
  });
}

async function chromiumHere(context: Context): Promise<string | null> {
  for (const name of NAMES_ON_PATH) {
    const path = findProgram(name);
    if (path !== null && (await runs(path, context))) return path;
  }
  return null;
}

async function checked(path: string, context: Context): Promise<string> {
  if (await runs(path, context)) return path;
  throw new LabError({
    code: 'bad_configuration',
    exitCode: EXIT.usage,
    message: `${LAB_SETTINGS.chromium.name}=${path} is no Chromium that can be run`,
    next: ['Name another one, or unset it: then one is found or installed.'],
  });
}

async function runs(path: string, { programs }: Context): Promise<boolean> {
  const options = { timeoutMs: VERSION_TIMEOUT_MS };
  const { exitCode, stdout } = await programs.run(path, ['--version'], options);
  return exitCode === 0 && /^(Chromium|Google Chrome)/m.test(stdout);
}
