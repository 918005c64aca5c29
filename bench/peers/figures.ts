/** The figures of ours and its peers: each measure for everyone, then ours over the best of the others. */
import { type Aim, type Figure, round } from '../figures.ts';
import type { Measured, Turns } from './turns.ts';

export interface Measure<T> {
  readonly what: string;
  readonly unit: Figure['unit'];
  readonly bound?: Figure['bound'];
  /** NaN where this one has no such number. */
  readonly of: (one: T) => number;
  readonly method: string;
  /** What ours is held to. */
  readonly aims?: readonly Aim[];
  /** Which way is the better one; ours over the best of the peers' is given where this is there. */
  readonly best?: 'more' | 'less';
  /** Whether ours is held to be no worse than that best. */
  readonly ahead?: true;
}

/** Figures of `measures`, and how many peers there were to be had. */
export function figuresOf<T>(measured: Measured<T>, measures: readonly Measure<T>[]): Figure[] {
  return [
    ...measures.flatMap((measure, i) => [
      ...[measured.ours, ...measured.peers].flatMap((turns) =>
        figureOf(turns, measure, i === 0 ? `: ${turns.contender.about}` : ''),
      ),
      ...ratiosOf(measured, measure),
    ]),
    countOf(measured),
  ];
}

/** `more` is said with it; none where it has no such number in any round. */
function figureOf<T>(turns: Turns<T>, measure: Measure<T>, more: string): Figure[] {
  const { what, unit, bound, of, method, aims } = measure;
  const { name } = turns.contender;
  const samples = turns.results.map(of).filter((value) => !Number.isNaN(value));
  if (samples.length === 0) return [];
  const isOurs = name === 'ours';
  return [
    {
      name: `${what}, ${name}`,
      compared: { contender: name, measure: what },
      unit,
      samples,
      ...(bound === undefined ? {} : { bound }),
      // A peer that does better or worse is no news of ours.
      ...(isOurs ? {} : { better: 'neither' as const }),
      ...(isOurs && aims !== undefined ? { aims } : {}),
      method: `${isOurs ? method : 'as ours'}${more}`,
    },
  ];
}

/** Ours over the best of all, and over the best of those that sync, where that is not the same question. */
function ratiosOf<T>({ ours, peers }: Measured<T>, measure: Measure<T>): Figure[] {
  const { best, ahead } = measure;
  if (best === undefined) return [];
  const aim: Aim = { of: 'median', at: best === 'more' ? 'least' : 'most', value: 1 };
  const held = ahead === undefined ? { better: best } : { aims: [aim] };
  const synced = peers.filter(({ contender }) => contender.synced);
  return [
    ...ratioOf('best peer', ours, peers, measure, held),
    ...(synced.length === peers.length
      ? []
      : ratioOf('best peer that syncs', ours, synced, measure, { better: best })),
  ];
}

/** Of each round in which both came to a number. */
function ratioOf<T>(
  to: string,
  ours: Turns<T>,
  peers: readonly Turns<T>[],
  measure: Measure<T>,
  held: Pick<Figure, 'better' | 'aims'>,
): Figure[] {
  const rounds = ours.results.flatMap((one, i) => {
    const best = bestOf(peers, i, measure);
    const value = measure.of(one);
    return best === undefined || Number.isNaN(value) ? [] : [{ ratio: value / best.value, best }];
  });
  if (rounds.length === 0) return [];
  const names = rounds.map(({ best }) => `${best.name} with ${round(best.value)}`);
  return [
    {
      name: `ours / ${to}: ${measure.what}`,
      compared: { contender: 'ours', measure: measure.what, over: to },
      unit: 'ratio',
      samples: rounds.map(({ ratio }) => ratio),
      ...held,
      method: `of the same round; the best was ${names.join(', ')}`,
    },
  ];
}

/** The best of one round; undefined where none came to a number. */
function bestOf<T>(peers: readonly Turns<T>[], index: number, { of, best }: Measure<T>) {
  const those = peers.flatMap(({ contender, results }) => {
    const one = results[index];
    const value = one === undefined ? Number.NaN : of(one);
    return Number.isNaN(value) ? [] : [{ name: contender.name, value }];
  });
  return those.toSorted((a, b) => (best === 'more' ? b.value - a.value : a.value - b.value))[0];
}

/** So that a run in which a peer could not be measured doesn't look like one in which it was beaten. */
function countOf<T>({ peers, known, failures }: Measured<T>): Figure {
  return {
    name: 'peers measured',
    unit: 'count',
    samples: [peers.length],
    aims: [{ of: 'min', at: 'least', value: known }],
    method: failures.length === 0 ? 'all that there are' : `failed: ${failures.join('; ')}`,
  };
}
