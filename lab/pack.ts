/**
 * The Producer library as an npm package: JavaScript and types made of the same sources that the
 * collector runs, because Node.js strips no types below node_modules. `library/` holds what the
 * package says of itself; `library/dist/` is made here, and nothing else makes JavaScript.
 *
 * The sources are copied with `#protocol/` turned into relative paths first: the compiler changes
 * the endings of relative imports only.
 */
import {
  cpSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { EXIT, LabError } from '#lab/errors.ts';
import { PATHS } from '#lab/paths.ts';
import type { Programs } from '#lab/process.ts';

/** Where a program enters, and where the library's own thread does. */
const ENTRIES = ['collector/producer/producer.ts', 'collector/producer/queue/worker.ts'];
const SOURCES = ['protocol/*.ts', 'collector/producer/**/*.ts'];
const library = join(PATHS.root, 'library');
const BUILD_TIMEOUT_MS = 120_000;
const PACK_TIMEOUT_MS = 60_000;

/** Makes `library/dist/` anew, whole or not at all. */
export async function buildLibrary(programs: Programs): Promise<void> {
  const work = join(PATHS.tools, `library-${process.pid}`);
  try {
    const sources = join(work, 'sources');
    for (const path of globSync(SOURCES, { cwd: PATHS.root })) copySource(path, sources);
    const config = join(sources, 'tsconfig.json');
    writeFileSync(config, JSON.stringify(compilerConfig(join(work, 'dist'))));
    await programs.must(join(PATHS.root, 'node_modules/.bin/tsc'), ['-p', config], {
      what: 'compile the library',
      cwd: PATHS.root,
      timeoutMs: BUILD_TIMEOUT_MS,
    });
    for (const path of globSync('**/*.d.ts', { cwd: join(work, 'dist') })) {
      turnTypeImports(join(work, 'dist', path));
    }
    rmSync(join(library, 'dist'), { recursive: true, force: true });
    renameSync(join(work, 'dist'), join(library, 'dist'));
    // npm takes it along when it stands beside the package's own file.
    cpSync(join(PATHS.root, 'LICENSE'), join(library, 'LICENSE'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Builds and packs; answers the archive's path.
 * @param destination Absolute; a folder that is made where it isn't there.
 * @throws LabError `command_failed`, `folder_unusable`.
 */
export async function packLibrary(destination: string, programs: Programs): Promise<string> {
  makeDestination(destination);
  await buildLibrary(programs);
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', destination];
  const { stdout } = await programs.must('npm', args, {
    what: 'pack the library',
    cwd: library,
    timeoutMs: PACK_TIMEOUT_MS,
  });
  const filename = /"filename":\s*"([^"]+)"/.exec(stdout)?.[1];
  if (filename === undefined) {
    throw new LabError({
      code: 'command_failed',
      message: 'npm packed the library and did not say into which file',
      details: stdout.split('\n').slice(-10),
    });
  }
  return join(destination, filename);
}

function makeDestination(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (cause) {
    throw new LabError({
      code: 'folder_unusable',
      exitCode: EXIT.usage,
      message: `the package can't be put into ${path}: ${(cause as Error).message}`,
      next: ['Another folder: ./holdfast pack --to FOLDER'],
      cause,
    });
  }
}

function copySource(path: string, sources: string): void {
  const place = join(sources, path);
  mkdirSync(dirname(place), { recursive: true });
  const text = readFileSync(join(PATHS.root, path), 'utf8');
  const toProtocol = (_: string, name: string): string => {
    const target = posix.relative(posix.dirname(path), `protocol/${name}`);
    return `from '${target.startsWith('.') ? target : `./${target}`}'`;
  };
  writeFileSync(place, text.replaceAll(/from '#protocol\/([^']+)'/g, toProtocol));
}

function compilerConfig(outDir: string): object {
  return {
    extends: join(PATHS.root, 'tsconfig.json'),
    compilerOptions: {
      target: 'es2023',
      noEmit: false,
      declaration: true,
      rewriteRelativeImportExtensions: true,
      rootDir: '.',
      outDir,
      typeRoots: [join(PATHS.root, 'node_modules/@types')],
    },
    include: [],
    files: ENTRIES,
  };
}

/** The compiler leaves the endings in declarations as they are. */
function turnTypeImports(path: string): void {
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replaceAll(/(from |import\()(["'])(\.[^"']*)\.ts\2/g, '$1$2$3.js$2'));
}
