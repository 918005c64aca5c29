/** The examples do what their headers say, in the small. */
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { endAll, ROOT, run } from './support.ts';

afterEach(endAll);

const example = (...args: string[]) =>
  run(join(ROOT, 'holdfast'), ['example', ...args], { cwd: ROOT });

test('orders of a program that is killed over and over arrive once each', async () => {
  const { exitCode, stdout, stderr } = await example('events', '--kills', '8', '--orders', '2000');
  expect(stderr).toBe('');
  expect(stdout, stdout).toMatch(/^killed [1-8] times$/m);
  expect(exitCode, stdout).toBe(0);
});

test('log lines of an outage arrive in their order, with their times', async () => {
  const { exitCode, stdout, stderr } = await example('pino-transport', '--lines', '1500');
  expect(stderr).toBe('');
  expect(stdout).toContain('1500 of 1500 lines arrived, 0 out of place or time');
  expect(exitCode).toBe(0);
});

test('an example that is none is named', async () => {
  const { exitCode, stderr } = await example('nothing');
  expect(exitCode).toBe(2);
  expect(stderr).toContain('events, pino-transport');
});
