/** Ranges and windows: what is shown, and what dragging and keys make of it. */
import { describe, expect, test } from 'vitest';
import {
  between,
  isAskable,
  isLive,
  isSameRange,
  pan,
  type Range,
  windowOf,
  zoom,
} from '#dashboard/range.ts';

const NOW = Date.UTC(2026, 10, 26, 12);
const MINUTE = 60_000;

describe('windowOf', () => {
  test('the last minutes end now', () => {
    expect(windowOf({ kind: 'last', span: 5 * MINUTE }, NOW, undefined)).toEqual({
      from: NOW - 5 * MINUTE,
      to: NOW,
    });
  });

  test('all begins with the first frame', () => {
    const first = NOW - 90 * MINUTE;
    expect(windowOf({ kind: 'all' }, NOW, first)).toEqual({ from: first, to: NOW });
  });

  test.each([[undefined], [NOW - 1_000], [NOW + MINUTE]])(
    'all is a minute at least, with the first frame at %s',
    (first) => {
      expect(windowOf({ kind: 'all' }, NOW, first)).toEqual({ from: NOW - MINUTE, to: NOW });
    },
  );
});

describe('between', () => {
  test('takes both directions', () => {
    expect(between(NOW, NOW - MINUTE)).toEqual(between(NOW - MINUTE, NOW));
  });

  test('is no shorter than ten seconds, about the same middle', () => {
    expect(between(NOW, NOW + 1_000)).toEqual({
      kind: 'between',
      from: NOW - 4_500,
      to: NOW + 5_500,
    });
  });
});

test.each([
  [-MINUTE, MINUTE],
  [-2 * MINUTE, -MINUTE],
  [NOW, 8.64e15],
  [8.63e15, 8.64e15],
])('between %s and %s is what can be asked for', (from, to) => {
  const range = between(from, to);
  expect(range.kind === 'between' && isAskable(range)).toBe(true);
});

describe('zoom', () => {
  test('a range that follows now goes on following', () => {
    const range: Range = { kind: 'last', span: 4 * MINUTE };
    expect(zoom(range, windowOf(range, NOW, undefined), 0.5)).toEqual({
      kind: 'last',
      span: 2 * MINUTE,
    });
  });

  test('one that stands still keeps its middle', () => {
    const range = between(NOW - 4 * MINUTE, NOW);
    expect(zoom(range, windowOf(range, NOW, undefined), 2)).toEqual(
      between(NOW - 6 * MINUTE, NOW + 2 * MINUTE),
    );
  });

  test('ends at ten seconds', () => {
    let range: Range = { kind: 'last', span: MINUTE };
    for (let i = 0; i < 20; i += 1) range = zoom(range, windowOf(range, NOW, undefined), 0.5);
    expect(range).toEqual({ kind: 'last', span: 10_000 });
  });
});

describe('pan', () => {
  const window = { from: NOW - 4 * MINUTE, to: NOW };

  test('goes to the past by a share of the window', () => {
    expect(pan(window, -0.25, NOW)).toEqual(between(NOW - 5 * MINUTE, NOW - MINUTE));
  });

  test('there and back follows now again', () => {
    const past = pan(window, -0.25, NOW);
    const back = pan(windowOf(past, NOW, undefined), 0.25, NOW);
    expect(back).toEqual({ kind: 'last', span: 4 * MINUTE });
    expect(isLive(back)).toBe(true);
  });
});

test('ranges are the same by what they say', () => {
  expect(isSameRange({ kind: 'last', span: 1 }, { kind: 'last', span: 1 })).toBe(true);
  expect(isSameRange({ kind: 'last', span: 1 }, { kind: 'all' })).toBe(false);
});
