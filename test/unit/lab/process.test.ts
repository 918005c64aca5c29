/** Running programs: real children of this very Node.js. */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { Programs } from '#lab/process.ts';

const node = process.execPath;
let abort: AbortController;
let programs: Programs;

beforeEach(() => {
  abort = new AbortController();
  programs = new Programs(abort.signal);
});

test('both streams, the exit code and the last lines come back', async () => {
  const script = 'console.log("out"); console.error("err"); process.exit(7)';
  const result = await programs.run(node, ['-e', script], { timeoutMs: 20_000 });
  expect(result).toMatchObject({ exitCode: 7, stdout: 'out\n', stderr: 'err\n', gaveUp: false });
  expect(result.lastLines.toSorted()).toEqual(['err', 'out']);
});

test('a program that does not exist is exit code 127, as in a shell', async () => {
  const result = await programs.run('holdfast-no-such-program', [], { timeoutMs: 20_000 });
  expect(result.exitCode).toBe(127);
});

test('a program past its time limit is ended, its children too', async () => {
  const script =
    'const { spawn } = require("child_process");' +
    'const c = spawn(process.execPath, ["-e", "setInterval(() => {}, 1e6)"]);' +
    'console.log(c.pid); setInterval(() => {}, 1e6)';
  let pid = 0;
  const result = await programs.run(node, ['-e', script], {
    timeoutMs: 60_000,
    onLine: (line) => {
      pid = Number(line);
    },
    giveUp: () => pid !== 0,
  });
  expect(result.gaveUp).toBe(true);
  await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
});

test('an interruption ends what runs, and nothing new is started', async () => {
  const script = 'console.log("ready"); setInterval(() => {}, 1e6)';
  const running = programs.run(node, ['-e', script], {
    timeoutMs: 60_000,
    onLine: () => abort.abort(),
  });
  await expect(running).rejects.toMatchObject({ code: 'interrupted', exitCode: 130 });
  await expect(programs.run(node, ['-v'], { timeoutMs: 60_000 })).rejects.toMatchObject({
    code: 'interrupted',
  });
});

test('an uninterruptible program runs to its end before the interruption is told', async () => {
  const lines: string[] = [];
  const script =
    'console.log("begun"); process.stdin.resume(); setTimeout(() => console.log("done"), 50)';
  const running = programs.run(node, ['-e', script], {
    timeoutMs: 60_000,
    uninterruptible: true,
    onLine: (line) => {
      lines.push(line);
      abort.abort();
    },
  });
  await expect(running).rejects.toMatchObject({ code: 'interrupted' });
  expect(lines).toEqual(['begun', 'done']);
});

describe('a program that is followed', () => {
  const script = 'console.log("one"); console.error("two"); setInterval(() => {}, 1e6)';

  test('hands on the lines of both streams as they come, and ends when it is told to', async () => {
    const lines: string[] = [];
    const followed = programs.follow(node, ['-e', script], (line) => lines.push(line));
    await vi.waitFor(() => expect(lines.toSorted()).toEqual(['one', 'two']), { timeout: 10_000 });
    await followed.end();
    expect(await followed.ended).toBe(128 + 15);
  });

  test('ends with the command, and is not begun after it', async () => {
    const followed = programs.follow(node, ['-e', script], () => abort.abort());
    expect(await followed.ended).toBe(128 + 15);
    expect(() => programs.follow(node, ['-e', script], () => {})).toThrow('interrupted');
  });

  test('that is not there has ended with 127', async () => {
    expect(await programs.follow('/nonexistent', [], () => {}).ended).toBe(127);
  });
});

test('must turns a failure into an error with the last lines of output', async () => {
  const script = 'console.error("no space left"); process.exit(3)';
  await expect(
    programs.must(node, ['-e', script], { timeoutMs: 20_000, what: 'build the thing' }),
  ).rejects.toMatchObject({
    code: 'command_failed',
    message: expect.stringMatching(/could not build the thing: .*exit code 3/),
    details: ['no space left'],
  });
});

test('work under one name is done one after the other, also after a failure', async () => {
  const order: string[] = [];
  const first = programs.oneAtATime('x', async () => {
    order.push('first begins');
    await Promise.resolve();
    order.push('first ends');
    throw new Error('first');
  });
  const second = programs.oneAtATime('x', async () => order.push('second'));
  await expect(first).rejects.toThrow('first');
  await second;
  expect(order).toEqual(['first begins', 'first ends', 'second']);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
