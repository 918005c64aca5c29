/** What a collector at rest is said to take, and how far that is from what is given. */
import { expect, test } from 'vitest';
import { restFigures } from '#bench/footprint.ts';

test('the distance in CPU is that of the collector with all that it has others do for it', () => {
  const collector = { memoryMb: [88], cpuPercent: [1.2, 0.9] };
  const figures = restFigures(new Map([['collector', collector]]), [0.3, 0.6]);
  const named = (name: string) => figures.find((figure) => figure.name === name);
  expect(named('collector, CPU at rest')).toMatchObject({
    samples: [1.2, 0.9],
    method: expect.stringContaining('without the commands that it runs'),
  });
  const distance = named("collector, CPU / the Rust collector's 0.03 %")?.samples ?? [];
  expect(distance.map((ratio) => Math.round(ratio))).toEqual([50, 50]);
  expect(named("collector, memory / the Rust collector's 4.4 MB")?.samples).toEqual([20]);
});
