/**
 * Where the bands of faults and the marks of exits stand: overlapping ones below each other, each
 * with its name beside it, or within it where there is no room. Widths are in percent, and reckoned
 * for a phone, so that nothing is written over on anything wider.
 */

export interface Banded {
  /** In percent of the width. */
  readonly from: number;
  readonly to: number;
  readonly label: string;
}

export interface Placed<T> {
  readonly of: T;
  readonly row: number;
  readonly label: {
    readonly x: number;
    readonly anchor: 'start' | 'end';
    /** Left out on a phone, or everywhere: there are too many. */
    readonly shown: 'always' | 'wide' | 'never';
  };
}

const PER_CHARACTER = { always: 1.9, wide: 0.95, never: 0 } as const;
const GAP = 1.2;

export function placed<T extends Banded>(items: readonly T[]): Placed<T>[] {
  const shown = items.length <= 12 ? 'always' : items.length <= 40 ? 'wide' : 'never';
  const ends: number[] = [];
  return items.map((item) => {
    const width = item.label.length * PER_CHARACTER[shown] + (shown === 'never' ? 0 : GAP);
    const { from, to } = item;
    const label = labelAt(from, to, width);
    const left = Math.min(from, label.left);
    const right = Math.max(to, label.left + width);
    let row = ends.findIndex((end) => end + GAP <= left);
    if (row < 0) row = ends.length;
    ends[row] = right;
    return { of: item, row, label: { x: label.x, anchor: label.anchor, shown } };
  });
}

function labelAt(
  from: number,
  to: number,
  width: number,
): { x: number; anchor: 'start' | 'end'; left: number } {
  if (to + width <= 100) return { x: to + GAP / 2, anchor: 'start', left: to };
  if (from - width >= 0) return { x: from - GAP / 2, anchor: 'end', left: from - width };
  // Within the band, where there is room for it nowhere else.
  if (from + width <= 100) return { x: from + GAP / 2, anchor: 'start', left: from };
  return { x: 100 - GAP / 2, anchor: 'end', left: 100 - width };
}
