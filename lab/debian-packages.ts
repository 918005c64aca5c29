/**
 * Programs out of the distribution's packages without installing them: fetched with apt-get together
 * with what they need and this machine lacks, and unpacked into .tools/. No package is installed and no
 * service is started. Nobody has to be root where the package lists are good for it; where they are not,
 * root has them read anew, which is all that changes outside of .tools/ (apt-get's lists, for everyone).
 */
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDebianLike } from '#lab/apt.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import { PATHS } from '#lab/paths.ts';
import type { Programs } from '#lab/process.ts';

const SIMULATE_TIMEOUT_MS = 60_000;
const UPDATE_TIMEOUT_MS = 180_000;
const FETCH_TIMEOUT_MS = 300_000;
/** What is read of their output is not translated. */
const ENVIRONMENT = { LC_ALL: 'C' };
const PROGRAM_FOLDERS = ['usr/sbin', 'usr/bin', 'sbin', 'bin'];
/** What is in a folder. */
const STAMP = 'packages.json';

interface Context {
  readonly programs: Programs;
  /** Says what takes long. */
  readonly progress: (text: string) => void;
  /** Where they are unpacked. */
  readonly folder?: string;
}

type Versions = Readonly<Record<string, string>>;

/** Packages as they were unpacked. */
export class UnpackedPackages {
  readonly #folder: string;
  readonly #versions: Versions;
  /** What their programs are given to find their libraries. */
  readonly environment: Readonly<Record<string, string>>;

  constructor(folder: string, versions: Versions) {
    this.#folder = folder;
    this.#versions = versions;
    const libraries = libraryFolders(folder);
    this.environment = libraries.length > 0 ? { LD_LIBRARY_PATH: libraries.join(':') } : {};
  }

  /**
   * The path of a program by its name.
   * @throws LabError `install_failed` when none of the packages has it.
   */
  path(program: string): string {
    const paths = PROGRAM_FOLDERS.map((name) => join(this.#folder, name, program));
    return paths.find((path) => existsSync(path)) ?? this.#lacks(program);
  }

  /**
   * The path of a directory of a package, by where it would be installed; may hold `*`, as for the
   * name of the architecture.
   * @throws LabError `install_failed` when none of the packages has it.
   */
  directory(path: string): string {
    const [found] = globSync(path, { cwd: this.#folder });
    return found === undefined ? this.#lacks(path) : join(this.#folder, found);
  }

  /** A package's version, as Debian counts it. */
  version(name: string): string {
    return this.#versions[name] ?? this.#lacks(name);
  }

  #lacks(what: string): never {
    throw new LabError({
      code: 'install_failed',
      message: `there is no ${what} in ${Object.keys(this.#versions).join(', ')}`,
      next: [`Fetch them anew: rm -r ${this.#folder}`],
    });
  }
}

/**
 * The packages with these names, fetched at first need.
 * @throws LabError `install_refused` where there is no apt-get, `install_failed` where a package
 *   doesn't exist or can't be fetched.
 */
export async function unpackedPackages(
  names: readonly string[],
  context: Context,
): Promise<UnpackedPackages> {
  const { folder: parent = join(PATHS.tools, 'peers') } = context;
  const folder = join(parent, names.join('+'));
  const stamp = join(folder, STAMP);
  if (!existsSync(stamp)) await fetch(names, folder, context);
  return new UnpackedPackages(folder, JSON.parse(readFileSync(stamp, 'utf8')));
}

/**
 * The packages that `apt-get --simulate install` would bring new. Those that it would only upgrade
 * are left as they are: a library in another version than its neighbours on this machine does harm.
 */
export function newPackages(simulation: string): string[] {
  return [...simulation.matchAll(/^Inst (\S+) \(/gm)].map(([, name = '']) => name);
}

async function fetch(names: readonly string[], folder: string, context: Context): Promise<void> {
  requireApt(names);
  const { programs, progress } = context;
  progress(`fetching Debian's ${names.join(', ')}`);
  mkdirSync(dirname(folder), { recursive: true });
  const half = mkdtempSync(`${folder}-`);
  try {
    await programs.oneAtATime('apt-get', () => download(names, half, context));
    const versions = await unpack(half, programs);
    await writeFile(join(half, STAMP), JSON.stringify(versions));
    // One without its stamp was left when it was being removed.
    if (!existsSync(join(folder, STAMP))) rmSync(folder, { recursive: true, force: true });
    await rename(half, folder).catch((error: NodeJS.ErrnoException) => {
      // Another process was faster.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    rmSync(half, { recursive: true, force: true });
  }
}

/** By the lists that are here, and where that fails by new ones. */
async function download(
  names: readonly string[],
  folder: string,
  { programs, progress }: Context,
): Promise<void> {
  const options = { cwd: folder, env: ENVIRONMENT, timeoutMs: FETCH_TIMEOUT_MS };
  const simulate = ['--simulate', '--no-install-recommends', 'install', ...names];
  const attempt = async () => {
    const simulated = await programs.run('apt-get', simulate, {
      ...options,
      timeoutMs: SIMULATE_TIMEOUT_MS,
    });
    if (simulated.exitCode !== 0) return simulated;
    const all = new Set([...names, ...newPackages(simulated.stdout)]);
    return programs.run('apt-get', ['download', '-q', ...all], options);
  };
  let result = await attempt();
  if (result.exitCode !== 0 && process.getuid?.() === 0) {
    progress('reading the package lists');
    const update = { ...options, timeoutMs: UPDATE_TIMEOUT_MS, what: 'read the package lists' };
    await programs.must('apt-get', ['update', '-q'], { ...update, code: 'install_failed' });
    result = await attempt();
  }
  if (result.exitCode !== 0) {
    const why = result.exitCode === 127 ? 'there is no apt-get' : result.lastLines.at(-1);
    throw new LabError({
      code: 'install_failed',
      message: `could not fetch the packages ${names.join(', ')}: ${why ?? 'apt-get says nothing'}`,
      details: result.lastLines,
      next: [`To see it whole: sudo apt-get update; apt-get download ${names.join(' ')}`],
    });
  }
}

/** Where they lie, and drops them. Answers what each is. */
async function unpack(folder: string, programs: Programs): Promise<Versions> {
  const files = readdirSync(folder).filter((name) => name.endsWith('.deb'));
  const versions: Record<string, string> = {};
  for (const file of files) {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-deb's own
    const show = ['--show', '--showformat=${Package} ${Version}', file];
    const [name = '', version = ''] = (await dpkg(show, folder, programs)).split(' ');
    versions[name] = version;
    await dpkg(['--extract', file, '.'], folder, programs);
    rmSync(join(folder, file));
  }
  return versions;
}

async function dpkg(args: readonly string[], cwd: string, programs: Programs): Promise<string> {
  const options = { cwd, timeoutMs: FETCH_TIMEOUT_MS, code: 'install_failed' as const };
  const what = 'unpack a package';
  return (await programs.must('dpkg-deb', args, { ...options, what })).stdout.trim();
}

function requireApt(names: readonly string[]): void {
  if (isDebianLike()) return;
  throw new LabError({
    code: 'install_refused',
    exitCode: EXIT.usage,
    message: `${names.join(', ')} can be fetched on Debian and Ubuntu alone`,
    next: ['Run this on one of them, or in a container of it.'],
  });
}

/** Where libraries lie: of the architecture's own folders those that are there. */
function libraryFolders(folder: string): string[] {
  return ['usr/lib', 'lib'].flatMap((name) => {
    const path = join(folder, name);
    if (!existsSync(path)) return [];
    const own = readdirSync(path).filter((entry) => entry.endsWith('-linux-gnu'));
    return own.map((entry) => join(path, entry));
  });
}
