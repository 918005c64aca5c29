/** What the length of a backlog is held to: the longest against the shortest, round by round. */
import { expect, test } from 'vitest';
import { speedFiguresOf } from '#bench/depth-speed.ts';
import { missed } from '#bench/figures.ts';

const ROUNDS = [9, 10, 30];

/** `slower`: by so much, whatever else slows the round down. */
function backlog(frames: number, slower: number) {
  const speeds = ROUNDS.map((slowness) => {
    return { appendPerS: 2e6 / slowness / slower, drainPerS: 1e6 / slowness / slower };
  });
  return { at: { value: frames, unit: 'frames queued' }, speeds };
}

const figures = (slower: number) =>
  speedFiguresOf([backlog(10_000, 1), backlog(1e6, 7), backlog(1e7, slower)], 200);

test('each length has its own figures, by its size', () => {
  const sized = figures(1).filter(({ at }) => at !== undefined);
  expect(sized.map(({ name, at }) => [name, at?.value])).toEqual(
    ['append', 'drain'].flatMap((name) => [10_000, 1e6, 1e7].map((frames) => [name, frames])),
  );
});

test('the longest is held against the shortest of the same round; a fifth slower is allowed', () => {
  const ratios = (slower: number) => figures(slower).filter(({ unit }) => unit === 'ratio');
  for (const { samples } of ratios(1)) expect(samples).toEqual(ROUNDS.map(() => 1));
  const missedOf = (slower: number) =>
    ratios(slower).filter((figure) => figure.aims?.some((aim) => missed(figure, aim)));
  expect(missedOf(1.19)).toEqual([]);
  expect(missedOf(1.21).map(({ name }) => name)).toEqual([
    'append, the longest backlog / the shortest',
    'drain, the longest backlog / the shortest',
  ]);
});
