/** Where bands and their names stand: never two over each other, however many. */
import { expect, test } from 'vitest';
import { type Banded, bandsOf, type Placed } from '#chaos/report/bands.ts';

const TARGETS = ['link', 'server', 'collector', 'toxiproxy'];

function many(count: number, length: number): Banded[] {
  return Array.from({ length: count }, (_, index) => {
    const from = (95 * index) / count;
    const lane = TARGETS[index % TARGETS.length] ?? '';
    return { from, to: from + length * (1 + (index % 3)), label: `fault-${index}`, lane };
  });
}

/** What a band takes of its row, with its name at the width of a letter on a phone. */
function reach({ of: { from, to, label: text }, label }: Placed<Banded>): [number, number] {
  if (label.shown !== 'always') return [from, to];
  const width = text.length * 2.4;
  const left = label.anchor === 'start' ? label.x : label.x - width;
  return [Math.min(from, left), Math.max(to, left + width)];
}

test.each([
  [1, 40],
  [6, 8],
  [12, 30],
  [13, 2],
  [70, 1],
  [300, 2],
])('%i bands of length %i and their names never meet', (count, length) => {
  const { placed, rows } = bandsOf(many(count, length));
  expect(placed).toHaveLength(count);
  for (let row = 0; row < rows; row += 1) {
    const own = placed
      .filter((one) => one.row === row)
      .map(reach)
      .sort(([a], [b]) => a - b);
    expect(own.length).toBeGreaterThan(0);
    for (const [index, [left]] of own.entries()) {
      expect(left).toBeGreaterThanOrEqual(own[index - 1]?.[1] ?? 0);
    }
  }
});

test('a few bands all have their names; of many each stands in the lane of its target', () => {
  expect(bandsOf(many(12, 3)).placed.every(({ label }) => label.shown === 'always')).toBe(true);
  expect(bandsOf(many(12, 3)).lanes).toEqual([]);
  const { placed, lanes, rows } = bandsOf(many(70, 1));
  expect(lanes.map(({ name }) => name)).toEqual(TARGETS);
  for (const { of, row } of placed) {
    const lane = lanes.findLast((one) => one.row <= row);
    expect(lane?.name).toBe(of.lane);
  }
  expect(rows).toBeLessThan(12);
});
