/**
 * One run held against another: what got worse by more than both runs' noise. Ratios are compared as
 * they are; what follows the machine (a rate, a time) by what it is worth on its own machine, that
 * is by the probe that was taken just before it.
 *
 * Noise is how far a median may lie from the true one by chance: the notch of a box plot, 1.57 times
 * the middle half of the samples over the root of their number (McGill, Tukey and Larsen 1978), of
 * both runs and of the probes. It does not know what changes between runs on the same machine, so a
 * change below a floor is never named.
 */
import type { BenchDocument, FigureDocument, PartDocument } from './document.ts';
import { medianOf, round, titleOf } from './figures.ts';

/** Smaller changes are not told from a machine's moods; with fewer than three samples not these. */
const FLOOR = 0.1;
const FLOOR_OF_FEW = 0.25;
const FEW = 3;
const NOTCH = 1.57;
/** A machine whose probe differs by this much is another one, whatever it says of itself. */
const OTHER_MACHINE = 1.25;

interface Change {
  readonly suite: string;
  readonly part: string;
  readonly title: string;
  readonly unit: string;
  /** Medians, as they were measured. */
  readonly base: number;
  readonly run: number;
  /** How much worse by comparison: 0.5 is half as much again; negative where it got better. */
  readonly worseBy: number;
  /** What of that chance can do. */
  readonly noise: number;
}

export interface Comparison {
  /** The most first, in each. */
  readonly worse: readonly Change[];
  readonly better: readonly Change[];
  readonly withinNoise: number;
  /** Aims that the other run met and this one misses, in words. */
  readonly aimsMissed: readonly string[];
  /** Figures that are not compared, for they were measured in another way or at another size. */
  readonly otherwise: readonly string[];
  /** Figures that one of the runs lacks, of parts that both have. */
  readonly onlyBase: readonly string[];
  readonly onlyRun: readonly string[];
  /** Parts that one of the runs lacks. */
  readonly partsOnlyBase: readonly string[];
  readonly partsOnlyRun: readonly string[];
  /** In which ways the machines, or how much was measured, are not the same; in words. */
  readonly differences: readonly string[];
}

interface Placed {
  readonly part: PartDocument;
  readonly figure: FigureDocument;
}

export function compare(run: BenchDocument, base: BenchDocument): Comparison {
  const [inRun, inBase] = [placedOf(run), placedOf(base)];
  const changes: Change[] = [];
  const aimsMissed: string[] = [];
  const otherwise: string[] = [];
  for (const [key, here] of inRun) {
    const there = inBase.get(key);
    if (there === undefined) continue;
    if (isMeasuredOtherwise(here.figure, there.figure)) {
      otherwise.push(key);
      continue;
    }
    const change = changeOf(here, there);
    if (change !== undefined) changes.push(change);
    aimsMissed.push(...aimsLost(key, here.figure, there.figure));
  }
  const byMost = (a: Change, b: Change) => Math.abs(b.worseBy) - Math.abs(a.worseBy);
  const worse = changes.filter(({ worseBy, noise }) => worseBy > noise).sort(byMost);
  const better = changes.filter((one) => gainOf(one) > one.noise).sort(byMost);
  return {
    worse,
    better,
    withinNoise: changes.length - worse.length - better.length,
    aimsMissed,
    otherwise,
    onlyBase: figuresMissing(inBase, inRun, run),
    onlyRun: figuresMissing(inRun, inBase, base),
    partsOnlyBase: partsMissing(base, run),
    partsOnlyRun: partsMissing(run, base),
    differences: differencesOf(run, base),
  };
}

/** By suite, part, name and size. */
function placedOf({ parts }: BenchDocument): Map<string, Placed> {
  return new Map(
    parts.flatMap((part) =>
      part.figures.map((figure) => [`${nameOf(part)}: ${titleOf(figure)}`, { part, figure }]),
    ),
  );
}

/** Of the one, what the other has not, though it has the part. */
function figuresMissing(
  of: Map<string, Placed>,
  other: Map<string, Placed>,
  otherRun: BenchDocument,
): string[] {
  const parts = new Set(otherRun.parts.map(nameOf));
  return [...of].flatMap(([key, { part }]) =>
    !other.has(key) && parts.has(nameOf(part)) ? [key] : [],
  );
}

function partsMissing(of: BenchDocument, from: BenchDocument): string[] {
  const there = new Set(from.parts.map(nameOf));
  return of.parts.map(nameOf).filter((name) => !there.has(name));
}

function nameOf({ suite, name }: PartDocument): string {
  return `${suite} ${name}`;
}

/** Ratios within a run are good for comparing even so. */
function isMeasuredOtherwise(run: FigureDocument, base: FigureDocument): boolean {
  return run.better !== 'neither' && run.unit !== 'ratio' && run.method !== base.method;
}

/** Undefined for what can't be better or worse. */
function changeOf(run: Placed, base: Placed): Change | undefined {
  const { better } = run.figure;
  if (better === 'neither') return undefined;
  const [now, before] = [worthOf(run), worthOf(base)];
  const worseBy = better === 'more' ? excess(before, now) : excess(now, before);
  if (worseBy === undefined) return undefined;
  const few = Math.min(run.figure.n, base.figure.n) < FEW;
  const noise = Math.max(few ? FLOOR_OF_FEW : FLOOR, noiseOf(run) + noiseOf(base));
  const { suite, name: part } = run.part;
  const { median, unit } = run.figure;
  const title = titleOf(run.figure);
  return { suite, part, title, unit, base: base.figure.median, run: median, worseBy, noise };
}

/** By how much one is over the other; undefined where a ratio means nothing. */
function excess(one: number, other: number): number | undefined {
  if (one === other) return 0;
  if (one < 0 || other < 0) return undefined;
  return one / other - 1;
}

/** The median by what its machine could do. */
function worthOf({ figure, part }: Placed): number {
  const { median, unit, bound } = figure;
  if (bound === 'none') return median;
  const { processor_per_s, fdatasync_ms } = part.probes;
  const perS = bound === 'processor' ? processor_per_s.median : 1_000 / fdatasync_ms.median;
  return unit.endsWith('/s') ? median / perS : median * perS;
}

function noiseOf({ figure, part }: Placed): number {
  const probe = {
    processor: part.probes.processor_per_s,
    disk: part.probes.fdatasync_ms,
    none: undefined,
  }[figure.bound];
  return notchOf(figure) + (probe === undefined ? 0 : notchOf(probe));
}

type Spread = Pick<FigureDocument, 'n' | 'median' | 'p25' | 'p75'>;

function notchOf({ n, median, p25, p75 }: Spread): number {
  return median === 0 ? 0 : (NOTCH * (p75 - p25)) / Math.sqrt(n) / Math.abs(median);
}

/** How many times better, less one: on the same scale as what got worse. */
function gainOf({ worseBy }: Change): number {
  return 1 / (1 + worseBy) - 1;
}

function aimsLost(key: string, run: FigureDocument, base: FigureDocument): string[] {
  return run.aims
    .filter((aim) => !aim.met)
    .filter(({ of, at, value }) =>
      base.aims.some((one) => one.met && one.of === of && one.at === at && one.value === value),
    )
    .map(({ text }) => `${key}: ${text}`);
}

function differencesOf(run: BenchDocument, base: BenchDocument): string[] {
  const differences: string[] = [];
  const differ = (what: string, here: string | number, there: string | number) => {
    if (here !== there) differences.push(`${what}: ${here} here, ${there} there`);
  };
  differ('how much was measured', run.size, base.size);
  differ('cores', run.machine.cores, base.machine.cores);
  differ('CPU', run.machine.cpu, base.machine.cpu);
  differ('memory in GB', Math.round(run.machine.memory_gb), Math.round(base.machine.memory_gb));
  differ('Node', run.machine.node, base.machine.node);
  if (run.parts.length === 0 || base.parts.length === 0) return differences;
  const probes = [
    ['the fixed piece of work, pieces a second', 'processor_per_s'],
    ['an fdatasync of 4 KiB, in ms', 'fdatasync_ms'],
  ] as const;
  for (const [what, probe] of probes) {
    const of = ({ parts }: BenchDocument) => medianOf(parts.map((one) => one.probes[probe].median));
    const [here, there] = [of(run), of(base)];
    if (Math.max(here / there, there / here) < OTHER_MACHINE) continue;
    differences.push(`${what}: ${round(here)} here, ${round(there)} there`);
  }
  return differences;
}

/** For people. The paths are told as they are. */
export function comparisonLines(
  comparison: Comparison,
  { run, base }: { readonly run: string; readonly base: string },
): string[] {
  const { worse, better, withinNoise, aimsMissed, onlyBase, onlyRun, differences } = comparison;
  const { otherwise, partsOnlyBase, partsOnlyRun } = comparison;
  return [
    `${run}`,
    `  against ${base}`,
    ...(differences.length === 0
      ? ['The same kind of machine, as far as it tells.']
      : [
          'The runs are not alike. Ratios are held against each other as they are, rates and times by the probes of their machines; what is left of the difference is not in these figures:',
          ...differences.map((text) => `  ${text}`),
        ]),
    '',
    ...section('✗ Worse by more than noise', worse.map(describe)),
    ...section('✓ Better by more than noise', better.map(describe)),
    ...section('Aims that were met there and are missed here', aimsMissed),
    ...section('Measured otherwise there, and not compared', otherwise),
    ...section('Measured there alone', [...inOneLine(partsOnlyBase), ...onlyBase]),
    ...section('Measured here alone', [...inOneLine(partsOnlyRun), ...onlyRun]),
    `${withinNoise} figures within noise, ${better.length} better, ${worse.length} worse.`,
  ];
}

/** Whole parts are many where a single benchmark was run. */
function inOneLine(parts: readonly string[]): string[] {
  return parts.length === 0 ? [] : [`all of ${parts.join(', ')}`];
}

function section(title: string, rows: readonly string[]): string[] {
  return rows.length === 0 ? [] : [`${title}:`, ...rows.map((row) => `  ${row}`), ''];
}

function describe(change: Change): string {
  const { suite, part, title, unit, base, run, worseBy, noise } = change;
  const by = worseBy > 0 ? worseBy : gainOf(change);
  const word = worseBy > 0 ? 'worse' : 'better';
  return `${suite} ${part}: ${title} [${unit}]: ${round(run)}, there ${round(base)}; ${percent(by)} ${word} by comparison, noise ${percent(noise)}`;
}

function percent(part: number): string {
  return Number.isFinite(part) ? `${Math.round(part * 100)} %` : 'out of nothing';
}
