/** The figures of a contest: each measure for ours and for every rival, and the ratios within a round. */
import { type Name, type OfEach, RIVALS } from './contest.ts';
import type { Aim, Figure } from './figures.ts';
import type { Judgement } from './judge.ts';
import type { Proof } from './result.ts';

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

/** `of` is what was done to them, and begins each figure's name. */
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
    unit,
    samples: rounds.map((round) => pick(round[name])),
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
    unit: 'ratio',
    samples: rounds.map((round) => pick(round.ours) / pick(round[rival])),
    ...(aims === undefined ? {} : { aims }),
    method: 'of the same round: the same records, the same link, the same time',
  };
}

/** What became of the records, for every candidate. */
export function recordMeasures<T extends { readonly judgement: Judgement }>(): Measure<T>[] {
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
export function proofsOf(
  of: string,
  rounds: readonly OfEach<{ readonly judgement: Judgement }>[],
): Proof[] {
  return rounds.map(({ ours }, i) => {
    const { sent, stored, lost, duplicated, altered, unexpected } = ours.judgement;
    const found = { sent, stored, lost, duplicated, altered, unexpected };
    // What was in flight at a cut is sent again, rightly; nothing counts it here.
    return { of: `${of}, round ${i + 1}`, ...found, resent: 0, resentMax: undefined };
  });
}
