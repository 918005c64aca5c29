/**
 * The oldest Node.js that the packed library says it runs on, kept in .tools/ for the tests that
 * hold it to that. The lab and the programs never run on it.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PATHS } from '#lab/paths.ts';
import type { Programs } from '#lab/process.ts';
import type { Step } from '#lab/steps.ts';

const FETCH_TIMEOUT_MS = 300_000;

/** By the library's own manifest: `>=` and a whole version. */
function oldestVersion(): string {
  const manifest = readFileSync(join(PATHS.root, 'library', 'package.json'), 'utf8');
  const version = /"node":\s*">=(\d+\.\d+\.\d+)"/.exec(manifest)?.[1];
  if (version === undefined) throw new Error('library/package.json names no oldest Node.js');
  return version;
}

/**
 * Fetches it by npm unless it is here, and returns its path.
 * @throws LabError `command_failed`.
 */
export async function ensureOldestNode(programs: Programs, step: Step): Promise<string> {
  const version = oldestVersion();
  const folder = join(PATHS.tools, `library-node-${version}`);
  const binary = join(folder, 'bin', 'node');
  if (existsSync(binary)) return binary;
  const work = join(PATHS.tools, `library-node-${process.pid}`);
  const { platform, arch } = process;
  const name = `node-${platform}-${arch}`;
  step.progress(`fetching Node.js ${version} by npm (about 45 MB)`);
  try {
    mkdirSync(work, { recursive: true });
    await programs.must('npm', ['pack', '--silent', `${name}@${version}`], {
      what: `fetch Node.js ${version}`,
      cwd: work,
      timeoutMs: FETCH_TIMEOUT_MS,
    });
    await programs.must('tar', ['-xzf', `${name}-${version}.tgz`], {
      what: `unpack Node.js ${version}`,
      cwd: work,
      timeoutMs: FETCH_TIMEOUT_MS,
    });
    rmSync(folder, { recursive: true, force: true });
    renameSync(join(work, 'package'), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return binary;
}
