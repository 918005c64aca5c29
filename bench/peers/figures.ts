/** The figures of ours and its peers: each measure for everyone, then ours over the best of the others. */
import { type Aim, type Figure, round } from '../figures.ts';
import type { Measured, Turns } from './turns.ts';

/** When a record counts as stored, for methods to say. */
export const STORED =
  'of mosquitto and NATS when a subscriber at the centre has it, of rsyslog when its line is in the file, before that is synced, and of ours when the source has the ack of its committed row';

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
  /** Where another run's is neither better nor worse, be it ours. */
  readonly better?: 'neither';
  /** Whether ours is held to be no worse than that best, and than the best of those that sync. */
  readonly ahead?: true;
}

/** What a contender was given, in words, where they weren't given the same. */
type Given<T> = (results: readonly T[]) => string;

/** Figures of `measures`, and how many peers there were to be had. */
export function figuresOf<T>(
  measured: Measured<T>,
  measures: readonly Measure<T>[],
  given?: Given<T>,
): Figure[] {
  return [
    ...measures.flatMap((measure, i) => [
      ...[measured.ours, ...measured.peers].flatMap((turns) =>
        figureOf(turns, measure, [
          ...(given === undefined ? [] : [given(turns.results)]),
          ...(i === 0 ? [turns.contender.about] : []),
        ]),
      ),
      ...ratiosOf(measured, measure, given),
    ]),
    countOf(measured),
  ];
}

/** `more` is said with it; none where it has no such number in any round. */
function figureOf<T>(turns: Turns<T>, measure: Measure<T>, more: readonly string[]): Figure[] {
  const { what, unit, bound, of, method, aims, better } = measure;
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
      ...(isOurs && better === undefined ? {} : { better: 'neither' as const }),
      ...(isOurs && aims !== undefined ? { aims } : {}),
      method: [isOurs ? method : 'as ours', ...more].join('; '),
    },
  ];
}

/** Ours over the best of all, and over the best of those that sync, where that is not the same question. */
function ratiosOf<T>(
  { ours, peers }: Measured<T>,
  measure: Measure<T>,
  given: Given<T> | undefined,
): Figure[] {
  if (measure.best === undefined) return [];
  const synced = peers.filter(({ contender }) => contender.synced);
  return [
    ...ratioOf('best peer', ours, peers, measure, given),
    ...(synced.length === peers.length
      ? []
      : ratioOf('best peer that syncs', ours, synced, measure, given)),
  ];
}

/**
 * Of each round in which ours and every one of the peers came to a number: one that is missing may have
 * been the best. Where there are fewer such rounds than were measured, an aim says so and is missed.
 */
function ratioOf<T>(
  to: string,
  ours: Turns<T>,
  peers: readonly Turns<T>[],
  measure: Measure<T>,
  given: Given<T> | undefined,
): Figure[] {
  if (peers.length === 0) return [];
  const name = `ours / ${to}: ${measure.what}`;
  const rounds = ours.results.map((_, i) => {
    return {
      i,
      lacking: [ours, ...peers].filter((one) => Number.isNaN(numberIn(one, i, measure))),
    };
  });
  const ratios = rounds.flatMap(({ i, lacking }) => {
    if (lacking.length > 0) return [];
    const best = bestOf(peers, i, measure);
    return [{ value: numberIn(ours, i, measure) / best.value, best }];
  });
  const names = ratios.map(({ best: { turns, value } }) => {
    const more = given === undefined ? '' : ` (${given(turns.results)})`;
    return `${turns.contender.name} with ${round(value)}${more}`;
  });
  const ratio: Figure = {
    name,
    compared: { contender: 'ours', measure: measure.what, over: to },
    unit: 'ratio',
    samples: ratios.map(({ value }) => value),
    ...heldTo(measure),
    method: `of the same round; the best was ${names.join(', ')}`,
  };
  const isIncomplete = measure.ahead === true && ratios.length < rounds.length;
  return [
    ...(ratios.length > 0 ? [ratio] : []),
    ...(isIncomplete ? [incompleteOf(name, rounds)] : []),
  ];
}

/** That not every round could be compared, as an aim that is missed; `ratio` is the name of its figure. */
function incompleteOf<T>(
  ratio: string,
  rounds: readonly { readonly i: number; readonly lacking: readonly Turns<T>[] }[],
): Figure {
  const without = rounds.filter(({ lacking }) => lacking.length > 0);
  const words = without.map(({ i, lacking }) => {
    return `round ${i + 1}: ${lacking.map(({ contender }) => contender.name).join(', ')}`;
  });
  return {
    name: `${ratio}, rounds compared`,
    unit: 'count',
    samples: [rounds.length - without.length],
    aims: [{ of: 'min', at: 'least', value: rounds.length }],
    method: `those in which everyone has this figure; without it in ${words.join('; ')}`,
  };
}

/** How a ratio of ours to another's is read. */
function heldTo<T>({ best, ahead }: Measure<T>): Pick<Figure, 'better' | 'aims'> {
  if (ahead === undefined) return best === undefined ? {} : { better: best };
  return { aims: [{ of: 'median', at: best === 'more' ? 'least' : 'most', value: 1 }] };
}

/** NaN where it has no such number in that round, be it that it failed. */
function numberIn<T>({ results }: Turns<T>, index: number, { of }: Measure<T>): number {
  const one = results[index];
  return one === undefined ? Number.NaN : of(one);
}

/** The best of a round in which each has a number. */
function bestOf<T>(peers: readonly Turns<T>[], index: number, measure: Measure<T>) {
  const those = peers.map((turns) => {
    return { turns, value: numberIn(turns, index, measure) };
  });
  return those.reduce((one, other) => {
    const isBetter = measure.best === 'more' ? other.value > one.value : other.value < one.value;
    return isBetter ? other : one;
  });
}

/** So that a run in which a peer could not be measured doesn't look like one in which it was beaten. */
function countOf<T>({ ours, peers, known, failures }: Measured<T>): Figure {
  const rounds = ours.results.length;
  return {
    name: 'peers measured',
    unit: 'count',
    samples: [peers.filter(({ results }) => results.length === rounds).length],
    aims: [{ of: 'min', at: 'least', value: known }],
    method: `in every round; ${failures.length === 0 ? 'all that there are' : `failed: ${failures.join('; ')}`}`,
  };
}
