/** A run that stood still says so. */
import { expect, test } from 'vitest';
import { Pulse } from '#chaos/observe/pulse.ts';

test('a standstill is told with its length, and a busy machine is none', () => {
  let atMs = 0;
  const pulse = new Pulse(() => atMs);
  for (const ms of [250, 3_000, 30_000, 250]) {
    atMs += ms;
    pulse.beat();
  }
  atMs += 6_000;
  pulse.stop();
  expect(pulse.failures).toEqual([
    'the run itself stood still for 30.0 s, and saw nothing of what happened in it',
    'the run itself stood still for 6.0 s, and saw nothing of what happened in it',
  ]);
});
