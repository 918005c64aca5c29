/**
 * The supervisor of the processes' lab, as a real process with small real programs under it: what is
 * ordered has taken effect when it is answered, and what dies is told, and comes back or doesn't.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ControlClient, endSupervisor, startSupervisor } from '#lab/ground/process/client.ts';
import type { Ended, ProgramSpec, ProgramState } from '#lab/ground/process/control.ts';
import { readLog } from '#lab/ground/process/log-file.ts';
import { logPath } from '#lab/ground/process/place.ts';
import { groupOf, markedWith } from '#lab/ground/process/proc.ts';
import { backoffMs } from '#lab/ground/process/program.ts';
import { endOrphans } from '#lab/ground/process/supervisor.ts';

const DEADLINE_MS = 15_000;

let folder: string;
let client: ControlClient;
let ends: Ended[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-supervisor-'));
  client = await startSupervisor(folder);
  ends = [];
  await client.watch((ended) => ends.push(ended));
});

afterEach(async () => {
  const answering = await ControlClient.connect(folder);
  if (answering !== null) await endSupervisor(answering, folder);
  client.close();
  await endOrphans(folder);
  rmSync(folder, { recursive: true });
});

function spec(script: string, more: Partial<ProgramSpec> = {}): ProgramSpec {
  return {
    name: 'one',
    command: ['sh', '-c', script],
    environment: {},
    data: null,
    ports: {},
    restarts: true,
    graceMs: 5_000,
    role: 'launched',
    sources: '',
    ...more,
  };
}

async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
) {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() > deadline) throw new Error(`not within ${DEADLINE_MS} ms: ${what}`);
    await delay(5);
  }
}

async function state(name = 'one'): Promise<ProgramState> {
  const found = (await client.list()).programs.find((one) => one.spec.name === name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}

async function launched(program: ProgramSpec): Promise<number> {
  await client.order({ order: 'launch', spec: program });
  const { pid } = await state(program.name);
  if (pid === null) throw new Error('it does not run');
  return pid;
}

/** The next start after this one. */
function another({ generation }: ProgramState): Promise<ProgramState> {
  return until('it runs again', async () => {
    const now = await state();
    return now.pid !== null && now.generation !== generation && now;
  });
}

const SLEEPER = 'echo started; exec sleep 1000';

describe('what ends comes back', () => {
  test('one that is killed through the supervisor; its end is told as injected', async () => {
    const pid = await launched(spec(SLEEPER));
    const before = await state();
    await client.order({ order: 'kill', name: 'one' });
    expect(ends).toMatchObject([{ process: 'one', code: null, signal: 'SIGKILL', injected: true }]);
    expect((await another(before)).pid).not.toBe(pid);
  });

  test('one that is killed by somebody else; its end is not injected', async () => {
    const pid = await launched(spec(SLEEPER));
    const before = await state();
    process.kill(pid, 'SIGKILL');
    await another(before);
    expect(ends).toMatchObject([{ signal: 'SIGKILL', injected: false }]);
  });

  test('one that is told to end by SIGTERM, and one that a signal ends by default', async () => {
    await launched(spec(SLEEPER));
    for (const signal of ['TERM', 'HUP'] as const) {
      const before = await state();
      await client.order({ order: 'signal', name: 'one', signal });
      await another(before);
    }
    expect(ends.map(({ signal, injected }) => [signal, injected])).toEqual([
      ['SIGTERM', true],
      ['SIGHUP', true],
    ]);
  });

  test('one that ends by itself, over and over', async () => {
    await client.order({ order: 'launch', spec: spec('exit 7') });
    await until('three ends', () => ends.length >= 3);
    const how = ends.map(({ code, injected }) => ({ code, injected }));
    expect(new Set(how.map((one) => JSON.stringify(one)))).toEqual(
      new Set([JSON.stringify({ code: 7, injected: false })]),
    );
  });

  test('later each time, and never later than after five seconds', () => {
    const waits = Array.from({ length: 9 }, (_, quickEnds) => backoffMs(quickEnds));
    expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
  });

  test('not one that restarts are off for', async () => {
    await client.order({ order: 'launch', spec: spec('exit 3', { restarts: false }) });
    await until('its end', () => ends.length > 0);
    expect(await state()).toMatchObject({ pid: null, restarts: 0 });
  });

  test('not one that was stopped, until it is started', async () => {
    await launched(spec(SLEEPER));
    await client.order({ order: 'stop', name: 'one' });
    expect(await state()).toMatchObject({ pid: null, wanted: false });
    expect(ends).toMatchObject([{ signal: 'SIGTERM', injected: true }]);
    await client.order({ order: 'start', name: 'one' });
    expect((await state()).pid).not.toBeNull();
    expect(ends).toHaveLength(1);
  });
});

describe('a program as a whole', () => {
  test('one that takes no notice of SIGTERM is killed after its grace', async () => {
    await launched(spec("trap '' TERM; echo deaf; while :; do sleep 0.01; done", { graceMs: 50 }));
    await until('its trap', () => readLog(logPath(folder, 'one')).length > 0);
    await client.order({ order: 'stop', name: 'one' });
    expect(ends).toMatchObject([{ signal: 'SIGKILL', injected: true }]);
  });

  test('its children are frozen, thawed and killed with it', async () => {
    const pid = await launched(spec('sleep 1000 & sleep 1000 & wait'));
    await until('three processes', () => groupOf(pid).length === 3);
    await client.order({ order: 'freeze', name: 'one' });
    expect(groupOf(pid).map((one) => one.state)).toEqual(['T', 'T', 'T']);
    expect(await state()).toMatchObject({ frozen: true });
    await client.order({ order: 'thaw', name: 'one' });
    expect(groupOf(pid).map((one) => one.state)).not.toContain('T');
    expect(await state()).toMatchObject({ frozen: false });
    await client.order({ order: 'kill', name: 'one' });
    expect(groupOf(pid)).toEqual([]);
  });

  test('one that somebody else has stopped is frozen, too, and is thawed', async () => {
    const pid = await launched(spec(SLEEPER));
    process.kill(pid, 'SIGSTOP');
    await until('it is said to be frozen', async () => (await state()).frozen);
    await client.order({ order: 'thaw', name: 'one' });
    expect(await state()).toMatchObject({ frozen: false });
  });

  test('a frozen one can be stopped', async () => {
    await launched(spec(SLEEPER));
    await client.order({ order: 'freeze', name: 'one' });
    await client.order({ order: 'stop', name: 'one' });
    expect(ends).toMatchObject([{ signal: 'SIGTERM' }]);
  });

  test('what it says is in its log, with the time of each line', async () => {
    const since = Date.now();
    await launched(
      spec("echo first; echo second >&2; printf 'no end'; exec sleep 0.01", { restarts: false }),
    );
    await until('its end', () => ends.length > 0);
    const lines = await until('its log', () => {
      const all = readLog(logPath(folder, 'one'));
      return all.length === 4 && all;
    });
    expect(lines.map(({ text }) => text).sort()).toEqual(
      ['ended with exit code 0', 'first', 'no end', 'second'].sort(),
    );
    for (const { at } of lines) expect(at.getTime()).toBeGreaterThanOrEqual(since);
  });

  test('nothing of the environment of who started the supervisor comes through', async () => {
    const pid = await launched(spec(SLEEPER, { environment: { HOLDFAST_OWN: 'yes' } }));
    const names = readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .map((line) => line.split('=')[0]);
    expect(names).toContain('HOLDFAST_OWN');
    expect(names).not.toContain('VITEST');
  });
});

describe('launching', () => {
  test('the same again changes nothing, another one of that name takes its place', async () => {
    const pid = await launched(spec(SLEEPER));
    expect(await client.order({ order: 'launch', spec: spec(SLEEPER) })).toBe('unchanged');
    expect((await state()).pid).toBe(pid);
    expect(await launched(spec(SLEEPER, { environment: { OTHER: '1' } }))).not.toBe(pid);
    expect(ends).toMatchObject([{ injected: true }]);
  });

  test('one that is removed is gone', async () => {
    const pid = await launched(spec(SLEEPER));
    await client.order({ order: 'remove', name: 'one' });
    expect((await client.list()).programs).toEqual([]);
    expect(groupOf(pid)).toEqual([]);
  });

  test('a program that is not there is said to be so, and so is one that nobody knows', async () => {
    const missing = spec('', { command: ['/nonexistent/program'] });
    await expect(client.order({ order: 'launch', spec: missing })).rejects.toThrow('/nonexistent');
    await expect(client.order({ order: 'kill', name: 'one' })).rejects.toThrow('does not run');
    await expect(client.order({ order: 'kill', name: 'two' })).rejects.toThrow("'two'");
  });
});

describe('the supervisor itself', () => {
  test('a second one in its folder is refused', async () => {
    const main = join(import.meta.dirname, '../../../lab/ground/process/main.ts');
    const second = spawn(process.execPath, [main, folder], { stdio: 'ignore' });
    const [code] = await once(second, 'exit');
    expect(code).toBe(1);
    expect((await client.list()).programs).toEqual([]);
  });

  test('it ends with everything under it, and another one can start', async () => {
    await launched(spec(SLEEPER));
    await endSupervisor(client, folder);
    expect(markedWith(folder)).toEqual([]);
    client = await startSupervisor(folder);
    expect((await client.list()).programs).toEqual([]);
  });

  test('what a killed one leaves behind, the next one ends', async () => {
    const pid = await launched(spec('sleep 1000 & sleep 1000 & wait'));
    await until('three processes', () => groupOf(pid).length === 3);
    await client.order({ order: 'freeze', name: 'one' });
    const supervisor = (await client.list()).pid;
    process.kill(supervisor, 'SIGKILL');
    await until('its end', () => !existsSync(`/proc/${supervisor}`));
    await expect(client.list()).rejects.toThrow('has gone');
    expect(markedWith(folder)).toHaveLength(3);
    client = await startSupervisor(folder);
    expect(markedWith(folder)).toEqual([]);
    expect((await client.list()).programs).toEqual([]);
  });

  test('it keeps nothing open that its starter had open', async () => {
    await endSupervisor(client, folder);
    // A high descriptor, as `exec 200>lock` of a shell: Node.js closes low ones by itself.
    const starter = spawn(
      'bash',
      [
        '-c',
        `exec 200>${join(folder, 'held')}; exec "$0" "$1" "$2"`,
        process.execPath,
        ...startArguments(),
      ],
      { stdio: 'ignore', detached: true },
    ) as ChildProcess;
    starter.unref();
    client = await until(
      'it answers',
      async () => (await ControlClient.connect(folder)) ?? undefined,
    );
    const { pid } = await client.list();
    expect(existsSync(`/proc/${pid}/fd/200`)).toBe(false);
  });
});

function startArguments(): [string, string] {
  return [join(import.meta.dirname, '../../../lab/ground/process/main.ts'), folder];
}
