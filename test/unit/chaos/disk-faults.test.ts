/** Faults of a disk aim at the file that is being written, also where that changes meanwhile. */
import { expect, test } from 'vitest';
import { DISK_FAULTS } from '#chaos/faults/disk.ts';
import type { Scene } from '#chaos/faults/fault.ts';
import type { CallFault } from '#lab/ground/ground.ts';

/**
 * A source whose newest segment is each of these when it is asked, the last one from then on.
 * @param counts Calls that have gone wrong on a file that strace is on.
 */
function sourceWith(segments: readonly string[], counts: Readonly<Record<string, number>> = {}) {
  const left = [...segments];
  const aimed: string[] = [];
  const lifted: string[] = [];
  const service = {
    name: 'source',
    dataPath: '/queue',
    run: async () => {
      const file = left.length > 1 ? left.shift() : left[0];
      return { exitCode: 0, output: JSON.stringify({ file, bytes: 1 }) };
    },
    failCalls: async ({ path }: CallFault) => {
      aimed.push(path);
      return { count: () => counts[path] ?? 0, lift: async () => void lifted.push(path) };
    },
  };
  const scene = { ground: { service: () => service } } as unknown as Scene;
  return { scene, aimed, lifted };
}

function diskFull() {
  const kind = DISK_FAULTS.find(({ kind: name }) => name === 'disk_full');
  if (kind === undefined) throw new Error('there is no such kind');
  return kind.make({ target: 'source' }, 'full');
}

test('a segment that is begun while strace is being attached is aimed at, and the other let go', async () => {
  const { scene, aimed, lifted } = sourceWith(['a', 'b', 'b', 'b']);
  await diskFull().inject(scene);
  expect(aimed).toEqual(['a', 'b']);
  expect(lifted).toEqual(['a']);
});

test('what has bitten already stays in force', async () => {
  const { scene, aimed, lifted } = sourceWith(['a', 'b'], { a: 1 });
  await diskFull().inject(scene);
  expect(aimed).toEqual(['a']);
  expect(lifted).toEqual([]);
});

test('a source that begins one after the other is not run after for ever', async () => {
  const segments = Array.from({ length: 20 }, (_, i) => `segment-${i}`);
  const { scene, aimed, lifted } = sourceWith(segments);
  await diskFull().inject(scene);
  expect(aimed).toHaveLength(5);
  expect(lifted).toHaveLength(4);
});
