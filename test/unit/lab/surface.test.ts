/**
 * The surface holds together: what help lists, what make offers and what ./holdfast takes are the
 * same; the Compose file keeps the promises that a look at it cannot.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { LAB_SETTINGS } from '#lab/config.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** What ./holdfast hands to a program of its own. */
const PROGRAMS = [
  'collector',
  'server',
  'bench',
  'bench-compare',
  'chaos',
  'chaos-list',
  'soak',
  'simulate',
  'fuzz',
  'example',
];

function lab(...args: string[]) {
  const main = join(ROOT, 'lab/main.ts');
  return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', timeout: 20_000 });
}

/** What make would do. */
function make(...args: string[]) {
  return spawnSync('make', ['--dry-run', ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { PATH: process.env.PATH },
    timeout: 20_000,
  });
}

/** The commands that lab/main.ts takes, as its own --help lists them. */
function commands(): string[] {
  const listed = lab('--help').stdout.split('Commands:')[1] ?? '';
  return [...listed.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) => name ?? '').sort();
}

test('help lists every command of the lab', () => {
  const listed = [...read('lab/help.txt').matchAll(/^ {2}([a-z-]+) /gm)].map(([, name]) => name);
  const own = listed.filter((name) => !PROGRAMS.includes(name ?? ''));
  expect([...own, 'help'].sort()).toEqual(commands());
});

test('every make target is one call of ./holdfast with a command of its own name', () => {
  const text = read('Makefile');
  const targets = [...text.matchAll(/^([a-z-]+):\n\t(.*)$/gm)].map(([, name, line]) => [
    name,
    line,
  ]);
  expect(targets.length).toBeGreaterThan(10);
  for (const [name, line] of targets) expect(line).toBe(`@./holdfast ${name}`);
  const known = [...commands(), ...PROGRAMS, 'help'];
  for (const [name] of targets) expect(known).toContain(name);
  const phony = (text.match(/^\.PHONY: ([\s\S]*?[^\\])\n/m)?.[1] ?? '').split(/[\s\\]+/);
  expect(targets.map(([name]) => name).sort()).toEqual(phony.sort());
});

test.each([
  ['LATENCY=5', 'there is no variable LATENCY (did you mean LATENCY_MS?)'],
  ['SCENARIOS=cut', 'there is no variable SCENARIOS (did you mean SCENARIO?)'],
  ['COLOUR=blue', 'there is no variable COLOUR; there are AGAINST ARGS'],
])('make refuses %s, which nothing takes, and does nothing', (given, told) => {
  const { status, stdout, stderr } = make('slow', given);
  expect(status).toBe(2);
  expect(stderr).toContain(told);
  expect(stdout).toBe('');
});

test('make takes every variable that help, the README and the Makefile name', () => {
  const texts = ['lab/help.txt', 'README.md', 'Makefile'].map(read).join('\n');
  const named = new Set([...texts.matchAll(/\b([A-Z][A-Z_]+)=[\w"./…]/g)].map(([, name]) => name));
  expect(named.size).toBeGreaterThan(10);
  for (const name of named) {
    expect(make('slow', `${name}=two words`)).toMatchObject({ status: 0, stderr: '' });
  }
});

test('a service that there is not has no logs', () => {
  for (const { status, stderr } of [lab('logs', 'sever'), lab('logs', 'server', 'proxy')]) {
    expect(status).toBe(2);
    expect(stderr).toContain('there is no service');
  }
  expect(lab('logs', 'sever').stderr).toContain('./holdfast logs server');
});

test('an unknown command and a bad option are usage errors, without a stack trace', () => {
  for (const args of [['bogus'], ['slow', '--latency-ms', 'soon']]) {
    const { status, stderr } = lab(...args);
    expect(status).toBe(2);
    expect(stderr).not.toContain('    at ');
  }
});

test('a place for the package that can be no folder is refused before anything is built', () => {
  const { status, stderr } = lab('pack', '--to', join(ROOT, 'README.md', 'packages'));
  expect(status).toBe(2);
  expect(stderr).toContain("the package can't be put into");
  expect(stderr).not.toContain('npm');
});

test('every published port is bound to 127.0.0.1', () => {
  const ports = [...read('docker-compose.yml').matchAll(/"([^"\n]*:\d+)"/g)]
    .map(([, port]) => port ?? '')
    .filter((port) => port.includes('_PORT'));
  expect(ports).toHaveLength(4);
  for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
});

test('the ports that Compose publishes by default are those of the settings', () => {
  const text = read('docker-compose.yml');
  for (const key of ['apiPort', 'statusPort', 'linkPort', 'toxiproxyPort'] as const) {
    const { name, default: usual } = LAB_SETTINGS[key];
    expect(text).toContain(`\${${name}:-${usual}}`);
  }
});

test('the collector has no network in common with the server', () => {
  const networks = (service: string) => {
    const text = read('docker-compose.yml').split(`\n  ${service}:\n`)[1] ?? '';
    return (text.match(/networks: \[(.*)\]/)?.[1] ?? '').split(', ');
  };
  const shared = networks('collector').filter((name) => networks('server').includes(name));
  expect(shared).toEqual([]);
  expect(networks('toxiproxy')).toEqual(expect.arrayContaining(['edge', 'central']));
});
