/**
 * Where the bands of faults and the marks of exits stand. A few stand below each other where they
 * would meet, each with its name. Many stand in lanes, one for each target, and have their names
 * where there is room. Widths are in percent, and reckoned for a phone as well as for anything
 * wider, so that nothing is written over.
 */

export interface Banded {
  /** In percent of the width. */
  readonly from: number;
  readonly to: number;
  readonly label: string;
  /** The lane that it stands in, where they are many. */
  readonly lane: string;
}

export interface Placed<T> {
  readonly of: T;
  readonly row: number;
  readonly label: {
    readonly x: number;
    readonly anchor: 'start' | 'end';
    /** Left out on a phone, or everywhere: there is no room. */
    readonly shown: 'always' | 'wide' | 'never';
  };
}

export interface Bands<T> {
  readonly placed: readonly Placed<T>[];
  readonly rows: number;
  /** Of each lane its name and its first row; none where all bands stand together. */
  readonly lanes: readonly { readonly name: string; readonly row: number }[];
}

const LABELLED_MAX = 12;
const PER_CHARACTER = { always: 2.5, wide: 1.15 } as const;
const GAP = 1.2;

/** Lanes stand in the order of `items`. */
export function bandsOf<T extends Banded>(items: readonly T[]): Bands<T> {
  return items.length <= LABELLED_MAX ? stacked(items) : laned(items);
}

function stacked<T extends Banded>(items: readonly T[]): Bands<T> {
  const ends: number[] = [];
  const placed = inTime(items).map((item) => {
    const width = widthOf(item.label, 'always');
    const { from, to } = item;
    const { left, x, anchor } = labelAt(from, to, width);
    const row = rowFor(ends, Math.min(from, left), Math.max(to, left + width));
    return { of: item, row, label: { x, anchor, shown: 'always' as const } };
  });
  return { placed, rows: ends.length, lanes: [] };
}

function laned<T extends Banded>(items: readonly T[]): Bands<T> {
  const names = [...new Set(items.map(({ lane }) => lane))];
  const placed: Placed<T>[] = [];
  const lanes: { name: string; row: number }[] = [];
  let rows = 0;
  for (const name of names) {
    lanes.push({ name, row: rows });
    const ends: number[] = [];
    const own = inTime(items.filter(({ lane }) => lane === name)).map((item) => ({
      item,
      row: rowFor(ends, item.from, item.to),
    }));
    for (const { item, row } of own) {
      const next = own.find((one) => one.row === row && one.item.from > item.from)?.item;
      placed.push({ of: item, row: rows + row, label: labelBeside(item, next?.from ?? 100 + GAP) });
    }
    rows += ends.length;
  }
  return { placed, rows, lanes };
}

function inTime<T extends Banded>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => a.from - b.from);
}

/** The first row that is free from `left` on, taken until `right`. */
function rowFor(ends: number[], left: number, right: number): number {
  const free = ends.findIndex((end) => end + GAP / 2 <= left);
  const row = free < 0 ? ends.length : free;
  ends[row] = right;
  return row;
}

function labelBeside({ to, label }: Banded, next: number): Placed<Banded>['label'] {
  const room = next - to;
  const shown =
    widthOf(label, 'always') <= room ? 'always' : widthOf(label, 'wide') <= room ? 'wide' : 'never';
  return { x: to + GAP / 2, anchor: 'start', shown };
}

function widthOf(label: string, shown: keyof typeof PER_CHARACTER): number {
  return label.length * PER_CHARACTER[shown] + GAP;
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
