/**
 * ./holdfast itself, run by a real sh in a copy of its surroundings: what it finds, refuses,
 * fetches and installs. npm, curl's mirror and Node.js are stand-ins, so nothing leaves this
 * machine.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../../..');
/** What the door may use of the system; no node and no npm among them. */
const TOOLS = 'sh cat cp mv rm mkdir ln ls sleep readlink tar gzip uname tail head tr grep chmod';
const NODE = 'echo "ran: $*"';

let folder: string;
let bin: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-door-'));
  bin = join(folder, 'path');
  mkdirSync(join(folder, 'lab'));
  mkdirSync(bin);
  for (const file of ['holdfast', 'package.json', 'package-lock.json', '.npmrc', 'lab/help.txt']) {
    copyFileSync(join(ROOT, file), join(folder, file));
  }
  for (const tool of [...TOOLS.split(' '), 'curl', 'sha256sum', 'dirname']) {
    symlinkSync(systemTool(tool), join(bin, tool));
  }
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function systemTool(name: string): string {
  const folders = (process.env.PATH ?? '').split(':').map((path) => join(path, name));
  const found = folders.find((path) => existsSync(path));
  if (found === undefined) throw new Error(`this test needs ${name}`);
  return found;
}

function fake(name: string, body: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`);
  chmodSync(join(bin, name), 0o755);
}

/** A host's Node.js of that version; anything but --version prints its arguments. */
function fakeNode(version: string): void {
  fake('node', `[ "$1" = --version ] && echo v${version} && exit 0\n${NODE}`);
}

/** An npm whose `ci` leaves what a real one leaves. */
function fakeNpm(): void {
  fake(
    'npm',
    `echo "npm $*" >>"${folder}/npm-calls"
[ "$1" = ci ] || exit 1
mkdir -p node_modules && echo '{}' >node_modules/.package-lock.json`,
  );
}

interface Outcome {
  exitCode: number | null;
  output: string;
}

async function door(args: string[], env: Record<string, string> = {}): Promise<Outcome> {
  const child = spawn(join(folder, 'holdfast'), args, { env: { PATH: bin, ...env } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  }
  const [exitCode] = await once(child, 'close');
  return { exitCode, output };
}

test('help needs neither Node.js nor packages', async () => {
  const { exitCode, output } = await door([]);
  expect(exitCode).toBe(0);
  expect(output).toBe(readFileSync(join(ROOT, 'lab/help.txt'), 'utf8'));
});

test('a new enough Node.js of the host is used, and the packages installed once', async () => {
  fakeNode('26.10.0');
  fakeNpm();
  const first = await door(['status', '--x']);
  expect(first.output).toContain('installing the packages');
  expect(first.output).toContain(`ran: ${folder}/lab/main.ts status --x`);
  const second = await door(['collector', 'run']);
  expect(second.output).toBe(`ran: --max-semi-space-size=1 ${folder}/collector/main.ts run\n`);
  expect(readFileSync(join(folder, 'npm-calls'), 'utf8').trim().split('\n')).toHaveLength(1);
});

test('an example without a name is told which there are', async () => {
  fakeNode('26.10.0');
  fakeNpm();
  const without = await door(['example']);
  expect(without.exitCode).toBe(2);
  expect(without.output).toContain('Usage: ./holdfast example events | pino-transport');
  expect(without.output).not.toContain("''");
  expect((await door(['example', '--help'])).exitCode).toBe(0);
  const unknown = await door(['example', 'orders']);
  expect(unknown.exitCode).toBe(2);
  expect(unknown.output).toContain("there is no example 'orders'; there are: events");
});

test('a changed lock file installs the packages again', async () => {
  fakeNode('27.0.0');
  fakeNpm();
  await door(['status']);
  const later = Date.now() / 1000 + 60;
  utimesSync(join(folder, 'package-lock.json'), later, later);
  expect((await door(['status'])).output).toContain('installing the packages');
});

test.each(['20.20.2', '26.9.9', '25.99.0'])('the host’s Node.js %s is too old', async (version) => {
  fakeNode(version);
  fakeNpm();
  const { exitCode, output } = await door(['up'], { HOLDFAST_NO_INSTALL: '1' });
  expect(exitCode).toBe(2);
  expect(output).toContain('Node.js 26.10 or newer is not here');
  expect(existsSync(join(folder, 'npm-calls'))).toBe(false);
});

test('HOLDFAST_NO_INSTALL refuses to install packages, with the command', async () => {
  fakeNode('26.10.0');
  fakeNpm();
  const { exitCode, output } = await door(['up'], { HOLDFAST_NO_INSTALL: '1' });
  expect(exitCode).toBe(2);
  expect(output).toContain('npm ci --ignore-scripts');
  expect(existsSync(join(folder, 'node_modules'))).toBe(false);
});

test('doctor before the installation installs nothing and says what is here', async () => {
  const { exitCode, output } = await door(['doctor']);
  expect(exitCode).toBe(1);
  expect(output).toContain('make up');
  expect(existsSync(join(folder, '.tools'))).toBe(false);
});

test('a failing npm ci is told, and leaves node_modules and no work folder', async () => {
  fakeNode('26.10.0');
  fake('npm', 'echo "npm error: no way to the registry"; exit 1');
  mkdirSync(join(folder, 'node_modules'));
  const { exitCode, output } = await door(['up']);
  expect(exitCode).toBe(1);
  expect(output).toContain('no way to the registry');
  expect(existsSync(join(folder, 'node_modules'))).toBe(true);
  expect(readdirSync(join(folder, '.tools'))).toEqual([]);
});

test('calls at the same time install once', async () => {
  fakeNode('26.10.0');
  fakeNpm();
  const outcomes = await Promise.all([door(['status']), door(['status']), door(['status'])]);
  expect(outcomes.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
  expect(readFileSync(join(folder, 'npm-calls'), 'utf8').trim().split('\n')).toHaveLength(1);
});

test('the lock and the work of a call that was killed are cleared away', async () => {
  fakeNode('26.10.0');
  fakeNpm();
  const dead = spawn('/bin/sh', ['-c', 'exit 0']);
  await once(dead, 'close');
  mkdirSync(join(folder, '.tools', `work-${dead.pid}`), { recursive: true });
  symlinkSync(String(dead.pid), join(folder, '.tools/lock'));
  const { exitCode } = await door(['status']);
  expect(exitCode).toBe(0);
  expect(readdirSync(join(folder, '.tools'))).toEqual([]);
});

/** Serves a "distribution" whose node prints its arguments; `damage` makes its checksum wrong. */
async function withMirror(damage: boolean, use: (url: string) => Promise<void>): Promise<void> {
  const arch = { x64: 'x64', arm64: 'arm64' }[process.arch as 'x64' | 'arm64'];
  const name = `node-v26.10.0-${process.platform}-${arch}`;
  const made = join(folder, 'made', name);
  mkdirSync(join(made, 'bin'), { recursive: true });
  writeFileSync(join(made, 'bin/node'), `#!/bin/sh\n${NODE}\n`, { mode: 0o755 });
  const npm = `#!/bin/sh\nmkdir -p node_modules && echo '{}' >node_modules/.package-lock.json\n`;
  writeFileSync(join(made, 'bin/npm'), npm, { mode: 0o755 });
  const archive = join(folder, 'made', `${name}.tar.gz`);
  await once(spawn('tar', ['-czf', archive, '-C', join(folder, 'made'), name]), 'close');
  const bytes = readFileSync(archive);
  const sum = createHash('sha256')
    .update(damage ? 'other' : bytes)
    .digest('hex');
  const server = createServer((request, response) => {
    if (request.url === `/v26.10.0/${name}.tar.gz`) response.end(bytes);
    else if (request.url === '/v26.10.0/SHASUMS256.txt') response.end(`${sum}  ${name}.tar.gz\n`);
    else response.writeHead(404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.close();
  }
}

test('without npm, Node.js is fetched by curl, checked, and used from then on', async () => {
  await withMirror(false, async (url) => {
    const { exitCode, output } = await door(['status'], { NODEJS_ORG_MIRROR: url });
    expect(output).toContain('fetching Node.js 26.10.0');
    expect(output).toContain(`ran: ${folder}/lab/main.ts status`);
    expect(exitCode).toBe(0);
  });
  expect((await door(['status'])).output).toBe(`ran: ${folder}/lab/main.ts status\n`);
});

test('an archive that is not what its checksum says is not used', async () => {
  await withMirror(true, async (url) => {
    const { exitCode, output } = await door(['status'], { NODEJS_ORG_MIRROR: url });
    expect(exitCode).toBe(1);
    expect(output).toContain('could not fetch Node.js');
  });
  expect(readdirSync(join(folder, '.tools'))).toEqual([]);
});
