/**
 * Tools of others that tests hold Holdfast against: promtool, which knows Prometheus' rules, and
 * schemathesis, which tries a server against its OpenAPI document. Fetched into .tools/ at first
 * need; nothing is installed for promtool, and for schemathesis only Python's own venv where it is
 * missing.
 */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { install, isDebianLike } from '#lab/apt.ts';
import { unpackedPackages } from '#lab/debian-packages.ts';
import { findProgram } from '#lab/engine.ts';
import { LabError } from '#lab/errors.ts';
import { PATHS } from '#lab/paths.ts';
import type { LabContext } from '#lab/setup.ts';
import type { Step } from '#lab/steps.ts';

type Context = Pick<LabContext, 'config' | 'programs' | 'docker'> & { readonly step: Step };

const FETCH_TIMEOUT_MS = 300_000;

/** Where the distribution has none. */
const PROMETHEUS_IMAGE = 'prom/prometheus:v2.53.5';
const SCHEMATHESIS_VERSION = '4.32.5';

/**
 * The path of promtool: this machine's, or out of Debian's package, or out of Prometheus' image.
 * @throws LabError `install_failed`, `image_unavailable`.
 */
export async function ensurePromtool(context: Context): Promise<string> {
  const path = join(PATHS.tools, 'promtool');
  const here = existsSync(path) ? path : findProgram('promtool');
  if (here !== null) return here;
  if (isDebianLike()) return fromPackage(context);
  mkdirSync(PATHS.tools, { recursive: true });
  const folder = mkdtempSync(join(PATHS.tools, 'promtool-'));
  try {
    renameSync(await fromImage(folder, context), path);
    return path;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Unpacked, not installed: the package would start a Prometheus. */
async function fromPackage({ programs, step }: Context): Promise<string> {
  const context = { programs, progress: step.progress, folder: PATHS.tools };
  return (await unpackedPackages(['prometheus'], context)).path('promtool');
}

/** By a container that is never started. */
async function fromImage(folder: string, { docker, step }: Context): Promise<string> {
  step.progress(`fetching ${PROMETHEUS_IMAGE} for its promtool`);
  const container = `holdfast-promtool-copy-${process.pid}`;
  const path = join(folder, 'promtool');
  const run = async (...args: string[]) => {
    const result = await docker.command(args, { timeoutMs: FETCH_TIMEOUT_MS });
    if (result.exitCode === 0) return;
    throw new LabError({
      code: 'image_unavailable',
      message: `could not take promtool out of the image ${PROMETHEUS_IMAGE}`,
      details: result.lastLines,
      next: ["Put Prometheus' promtool on PATH, then run this again."],
    });
  };
  await run('create', '--name', container, PROMETHEUS_IMAGE);
  try {
    await run('cp', `${container}:/bin/promtool`, path);
  } finally {
    await run('rm', container);
  }
  return path;
}

/**
 * The path of schemathesis, in a Python environment of its own.
 * @throws LabError `install_refused`, `install_failed`, `command_failed`.
 */
export async function ensureSchemathesis(context: Context): Promise<string> {
  const folder = join(PATHS.tools, `schemathesis-${SCHEMATHESIS_VERSION}`);
  const path = join(folder, 'bin', 'schemathesis');
  if (existsSync(path)) return path;
  const { programs, step } = context;
  const options = { timeoutMs: FETCH_TIMEOUT_MS };
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(PATHS.tools, { recursive: true });
  if ((await programs.run('python3', ['-m', 'venv', folder], options)).exitCode !== 0) {
    const packages = ['python3', 'python3-venv'];
    await install({ packages, missing: "Python's venv (it holds schemathesis)" }, context);
    await programs.must('python3', ['-m', 'venv', folder], {
      ...options,
      what: 'make a Python environment',
    });
  }
  step.progress(`fetching schemathesis ${SCHEMATHESIS_VERSION} with pip`);
  const pip = join(folder, 'bin', 'pip');
  const args = ['install', '--quiet', `schemathesis==${SCHEMATHESIS_VERSION}`];
  try {
    await programs.must(pip, args, { ...options, what: 'fetch schemathesis' });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return path;
}
