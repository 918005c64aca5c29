/** The figures of a contest: each measure for ours and for every rival, and the ratios within a round. */
import { type Name, type OfEach, type Outcome, RIVALS } from './contest.ts';
import { type Aim, type Figure, round } from './figures.ts';
import type { Proof } from './result.ts';

const LABEL_WIDTH = 32;
const CELL_WIDTH = 9;

type Rival = (typeof RIVALS)[number];

export interface Measure<T> {
  readonly what: string;
  readonly unit: Figure['unit'];
  readonly of: (one: T) => number;
  readonly method: string;
  /** What ours is held to. */
  readonly aims?: readonly Aim[];
  /** Ratios are given where this is there: what ours over each rival's is held to. */
  readonly ratios?: Readonly<Partial<Record<Rival, readonly Aim[]>>>;
}

/** `of` is what was done to them: the case, and what each figure's name begins with. */
export function compare<T>(
  of: string,
  rounds: readonly OfEach<T>[],
  measures: readonly Measure<T>[],
): Figure[] {
  return measures.flatMap((measure) => [
    ...(['ours', ...RIVALS] as const).map((name) => figureOf(of, name, rounds, measure)),
    ...(measure.ratios === undefined
      ? []
      : RIVALS.map((rival) => ratioOf(of, rival, rounds, measure))),
  ]);
}

function figureOf<T>(
  of: string,
  name: Name,
  rounds: readonly OfEach<T>[],
  { what, unit, of: pick, method, aims }: Measure<T>,
): Figure {
  return {
    name: `${of}, ${name}: ${what}`,
    compared: { contender: name, measure: what, case: of },
    unit,
    samples: rounds.map((one) => pick(one[name])),
    // A rival that does better or worse is no news of ours.
    ...(name === 'ours' ? {} : { better: 'neither' as const }),
    ...(name === 'ours' && aims !== undefined ? { aims } : {}),
    method: name === 'ours' ? method : 'as ours',
  };
}

function ratioOf<T>(
  of: string,
  rival: Rival,
  rounds: readonly OfEach<T>[],
  { what, of: pick, ratios }: Measure<T>,
): Figure {
  const aims = ratios?.[rival];
  return {
    name: `${of}, ours / ${rival}: ${what}`,
    compared: { contender: 'ours', measure: what, case: of, over: rival },
    unit: 'ratio',
    samples: rounds.map((one) => pick(one.ours) / pick(one[rival])),
    ...(aims === undefined ? {} : { aims }),
    method: 'of the same round: the same records, the same link, the same time',
  };
}

/** One round as a small table, a measure a line: for whoever watches, before the ratios come. */
export function* summaryOf<T>(
  of: string,
  one: OfEach<T>,
  measures: readonly Measure<T>[],
): Generator<string> {
  const names = ['ours', ...RIVALS] as const;
  const line = (first: string, cells: readonly string[]) =>
    [first.padEnd(LABEL_WIDTH), ...cells.map((cell) => cell.padStart(CELL_WIDTH))].join('');
  yield line(of, names);
  for (const { what, unit, of: pick } of measures) {
    yield line(
      `  ${what} [${unit}]`,
      names.map((name) => round(pick(one[name]))),
    );
  }
}

/** What became of the records, for every candidate. */
export function recordMeasures<T extends Outcome>(): Measure<T>[] {
  const none = [{ of: 'max', at: 'most', value: 0 }] as const;
  return [
    {
      what: 'lost',
      unit: 'frames',
      of: ({ judgement }) => judgement.lost,
      aims: none,
      method: 'records that the producer took, and that never came into the store',
    },
    {
      what: 'stored twice',
      unit: 'frames',
      of: ({ judgement }) => judgement.duplicated,
      aims: none,
      method: 'rows beyond the first of a record, by the number in its payload',
    },
    {
      what: 'out of order',
      unit: 'frames',
      of: ({ judgement }) => judgement.outOfOrder,
      aims: none,
      method: 'records that came into the store behind a later one',
    },
  ];
}

/** Of ours alone: what a rival loses is a figure, and no failure of the benchmark. */
export function proofsOf(of: string, rounds: readonly OfEach<Outcome>[]): Proof[] {
  return rounds.map(({ ours: { judgement, facts } }, i) => {
    const { sent, stored, lost, duplicated, altered, unexpected } = judgement;
    const found = { sent, stored, lost, duplicated, altered, unexpected };
    // What was in flight at a cut is sent again, rightly.
    const { resent } = facts;
    return { of: `${of}, round ${i + 1}`, ...found, resent, resentMax: undefined };
  });
}
