/**
 * Starting the Docker daemon, by systemd where that runs, else by hand: detached from this
 * terminal, its output in a file, what dead predecessors left behind cleared away. Waits until it
 * answers, or says why it died.
 */
import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { symlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { install } from '#lab/apt.ts';
import type { LabConfig } from '#lab/config.ts';
import type { Docker } from '#lab/docker.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import type { Programs } from '#lab/process.ts';
import type { Step } from '#lab/steps.ts';

const LOG = '/var/log/holdfast-dockerd.log';
const START_TIMEOUT_MS = 90_000;
const POLL_MS = 250;
const LOG_LINES_SHOWN = 12;
const LEGACY_TABLES = '/run/holdfast/iptables-legacy';

interface DaemonContext {
  config: LabConfig;
  programs: Programs;
  docker: Docker;
  step: Step;
  dockerd: string;
}

export function systemdRuns(): boolean {
  return existsSync('/run/systemd/system');
}

/**
 * Starts the daemon and returns once it answers.
 * @throws LabError `engine_silent` with the last lines of its log.
 */
export async function startDaemon(context: DaemonContext): Promise<void> {
  const { programs, step } = context;
  if (systemdRuns()) {
    step.note('starting the Docker daemon (systemctl start docker)');
    await programs.must('systemctl', ['start', 'docker'], {
      what: 'start the Docker daemon',
      code: 'engine_silent',
      timeoutMs: START_TIMEOUT_MS,
      next: ['To see why: journalctl --unit docker --lines 50'],
    });
    return;
  }
  await ensureCgroups(context);
  await clearLeftovers();
  step.note(`starting the Docker daemon (no systemd here; its log is ${LOG})`);
  const first = await attempt(context, process.env.PATH ?? '');
  if (first.answered) return;
  // Kernels without nf_tables: the distribution ships the older tables beside the newer ones.
  if (
    first.log.some((line) => line.includes('iptables')) &&
    existsSync('/usr/sbin/iptables-legacy')
  ) {
    step.note('it failed at iptables; trying again with the legacy ones, for the daemon only');
    await clearLeftovers();
    const second = await attempt(context, `${await legacyTables()}:${process.env.PATH ?? ''}`);
    if (second.answered) return;
    throw died(second.log);
  }
  throw died(first.log);
}

function died(log: readonly string[]): LabError {
  const privileges = log.some((line) => /operation not permitted|permission denied/i.test(line));
  return new LabError({
    code: 'engine_silent',
    exitCode: EXIT.usage,
    message: `the Docker daemon does not start; from ${LOG}:`,
    details: log,
    next: privileges
      ? ['This looks like a container without the privileges that an engine needs.']
      : [`To see its whole log: less ${LOG}`, 'Once `docker version` answers, run this again.'],
  });
}

/** One start of dockerd: true once it answers, or what its log complains of when it does not. */
async function attempt(
  context: DaemonContext,
  path: string,
): Promise<{ answered: boolean; log: string[] }> {
  const from = existsSync(LOG) ? statSync(LOG).size : 0;
  const log = openSync(LOG, 'a', 0o600);
  const child = spawn(context.dockerd, [], {
    cwd: '/',
    env: { PATH: path, HOME: process.env.HOME ?? '/root', ...proxies() },
    stdio: ['ignore', log, log],
    detached: true, // a session of its own: it outlives this command and its terminal
  });
  closeSync(log);
  let ended = false;
  child.once('error', () => {
    ended = true;
  });
  child.once('exit', () => {
    ended = true;
  });
  child.unref();
  const deadline = performance.now() + START_TIMEOUT_MS;
  try {
    while (!ended && performance.now() < deadline) {
      if ((await context.docker.probe()).kind === 'ready') return { answered: true, log: [] };
      context.step.progress('waiting for the daemon to answer');
      await delay(POLL_MS);
    }
  } catch (error) {
    child.kill('SIGTERM'); // interrupted: a daemon half on its way up would be a leftover
    throw error;
  }
  child.kill('SIGTERM');
  const lines = readFileSync(LOG).subarray(from).toString('utf8').trimEnd().split('\n');
  const telling = lines.filter((line) => !/level=(info|debug)/.test(line));
  return { answered: false, log: telling.slice(-LOG_LINES_SHOWN) };
}

/** The proxy settings, which the daemon needs for its pulls. */
function proxies(): Record<string, string> {
  const wanted = /^(https?|no)_proxy$/i;
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      wanted.test(name) && value !== undefined ? [[name, value]] : [],
    ),
  );
}

async function legacyTables(): Promise<string> {
  mkdirSync(LEGACY_TABLES, { recursive: true });
  for (const name of ['iptables', 'ip6tables']) {
    for (const suffix of ['', '-save', '-restore']) {
      const link = `${LEGACY_TABLES}/${name}${suffix}`;
      rmSync(link, { force: true });
      await symlink(`/usr/sbin/${name}-legacy${suffix}`, link);
    }
  }
  return LEGACY_TABLES;
}

/** Machines that boot without an init have no control groups mounted; the engine needs them. */
async function ensureCgroups(context: DaemonContext): Promise<void> {
  const mounts = readFileSync('/proc/self/mounts', 'utf8');
  if (/ cgroup2? /.test(mounts)) return;
  await install(
    { packages: ['cgroupfs-mount'], missing: 'a mount of the control groups' },
    context,
  );
  await context.programs.must('cgroupfs-mount', [], {
    what: 'mount the control groups',
    code: 'engine_silent',
    timeoutMs: 30_000,
  });
}

/**
 * Pid files and sockets of daemons that were killed make the next start refuse (a pid that now
 * belongs to another program) or wait in vain (a socket that nobody answers).
 */
async function clearLeftovers(): Promise<void> {
  const pidFiles = [
    { path: '/var/run/docker.pid', program: 'dockerd' },
    { path: '/var/run/docker/containerd/containerd.pid', program: 'containerd' },
  ];
  for (const { path, program } of pidFiles) {
    if (existsSync(path) && programOf(readFileSync(path, 'utf8')) !== program) rmSync(path);
  }
  for (const socket of ['/run/containerd/containerd.sock', '/var/run/docker.sock']) {
    if (existsSync(socket) && !(await answers(socket))) rmSync(socket, { force: true });
  }
}

/** The program that runs under a pid; null for none, and for one that only waits to be reaped. */
function programOf(pid: string): string | null {
  const path = `/proc/${Number.parseInt(pid, 10)}/stat`;
  if (!existsSync(path)) return null;
  const [, name, state] = readFileSync(path, 'utf8').match(/\((.*)\) (\w)/s) ?? [];
  return state === 'Z' ? null : (name ?? null);
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const settle = (value: boolean) => {
      socket.destroy();
      resolve(value);
    };
    socket.setTimeout(2_000, () => settle(false));
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}
