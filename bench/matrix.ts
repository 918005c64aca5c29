/**
 * Figures of contenders as tables: one for each case, a row for each measure, a column for each
 * contender with ours first; below each figure what ours is of it. What it looks like as Markdown, on
 * a terminal and on a page is told elsewhere.
 */
import type { FigureDocument } from './document.ts';
import { round, titleOf } from './figures.ts';

type ComparedFigure = FigureDocument & {
  readonly compared: NonNullable<FigureDocument['compared']>;
};

export const OURS = 'ours';

export interface Matrix {
  /** Null where there is one alone. */
  readonly case: string | null;
  /** In the order of the cells. */
  readonly contenders: readonly string[];
  readonly rows: readonly MatrixRow[];
}

export interface MatrixRow {
  /** With its size where there are several. */
  readonly title: string;
  /** Undefined where there are ratios alone. */
  readonly unit: string | undefined;
  /** One for each contender. */
  readonly cells: readonly MatrixCell[];
  /** Aims of the figures themselves; what is said of ratios, too, where no cell has one. */
  readonly aims: readonly Remark[];
  /** Aims of the ratios, and ratios over what is none of the contenders. */
  readonly ratioAims: readonly Remark[];
}

export interface MatrixCell {
  readonly contender: string;
  /** Undefined where it wasn't measured. */
  readonly figure: ComparedFigure | undefined;
  /** Ours divided by it, where that is a figure. */
  readonly ratio: ComparedFigure | undefined;
  /** No other is better, and not all are as good; never where neither way is better. */
  readonly isBest: boolean;
}

interface Remark {
  readonly text: string;
  /** Undefined where nothing is aimed at. */
  readonly met: boolean | undefined;
}

/** `rest`: figures of no contender, and ratios of cases in which no contender has a figure. */
export function matricesOf(figures: readonly FigureDocument[]): {
  readonly matrices: readonly Matrix[];
  readonly rest: readonly FigureDocument[];
} {
  const byCase = Map.groupBy(figures.filter(isCompared), ({ compared }) => compared.case);
  const cases = [...byCase].filter(([, those]) => those.some(isOwn));
  const placed = new Set<FigureDocument>(cases.flatMap(([, those]) => those));
  return {
    matrices: cases.map(([name, those]) => matrixOf(name, those)),
    rest: figures.filter((figure) => !placed.has(figure)),
  };
}

function isCompared(figure: FigureDocument): figure is ComparedFigure {
  return figure.compared !== null;
}

/** A contender's own figure, and no ratio to another. */
function isOwn({ compared }: ComparedFigure): boolean {
  return compared.over === null;
}

function matrixOf(name: string | null, figures: readonly ComparedFigure[]): Matrix {
  const own = figures.filter(isOwn);
  const found = new Set(own.map(({ compared }) => compared.contender));
  const contenders = [...(found.delete(OURS) ? [OURS] : []), ...found];
  const byMeasure = Map.groupBy(figures, ({ compared, at }) =>
    titleOf({ name: compared.measure, at }),
  );
  return {
    case: name,
    contenders,
    rows: [...byMeasure].map(([title, those]) => rowOf(title, contenders, those)),
  };
}

function rowOf(
  title: string,
  contenders: readonly string[],
  figures: readonly ComparedFigure[],
): MatrixRow {
  const own = figures.filter(isOwn);
  const ratios = figures.filter((figure) => !isOwn(figure));
  const [within = [], beside = []] = [true, false].map((isOne) =>
    ratios.filter(({ compared }) => contenders.includes(compared.over ?? '') === isOne),
  );
  const best = bestOf(own);
  const rivals = contenders.filter((name) => name !== OURS);
  const aims = remarksOf(own, (those) =>
    namesOf(those.filter(({ compared }) => compared.contender !== OURS)),
  );
  const ratioAims = [
    ...remarksOf(within, (those) =>
      those.length === rivals.length ? 'ours / each' : `ours / ${namesOf(those)}`,
    ),
    ...beside.flatMap((figure) => {
      const text = `ours / ${namesOf([figure])} ${round(figure.median)}`;
      const own = remarksOf([figure], () => text);
      return own.length > 0 ? own : [{ text, met: undefined }];
    }),
  ];
  return {
    title,
    unit: own[0]?.unit,
    cells: contenders.map((contender) => {
      const figure = own.find(({ compared }) => compared.contender === contender);
      return {
        contender,
        figure,
        ratio: within.find(({ compared }) => compared.over === contender),
        isBest: figure !== undefined && round(figure.median) === best,
      };
    }),
    ...(within.length > 0 ? { aims, ratioAims } : { aims: [...aims, ...ratioAims], ratioAims: [] }),
  };
}

/** Of contenders, or whom ours is divided by. */
function namesOf(figures: readonly ComparedFigure[]): string {
  return figures.map(({ compared: { contender, over } }) => over ?? contender).join(', ');
}

/** What is said of several alike is said once, behind whose it is. */
function remarksOf(
  figures: readonly ComparedFigure[],
  whose: (figures: readonly ComparedFigure[]) => string,
): Remark[] {
  const all = figures.flatMap((figure) => figure.aims.map((aim) => ({ figure, ...aim })));
  return [...Map.groupBy(all, ({ text }) => text)].map(([text, those]) => {
    const before = whose(those.map(({ figure }) => figure));
    return {
      text: before === '' ? text : `${before}: ${text}`,
      met: those.every(({ met }) => met),
    };
  });
}

/** As it is shown, for what looks alike is alike; undefined where there is nothing to choose. */
function bestOf(figures: readonly ComparedFigure[]): string | undefined {
  // Of a rival's figure neither way is better, for a change of it is no news of ours.
  const better = figures.find((figure) => figure.better !== 'neither')?.better;
  const medians = figures.map(({ median }) => median);
  if (better === undefined || new Set(medians.map(round)).size < 2) return undefined;
  return round(better === 'more' ? Math.max(...medians) : Math.min(...medians));
}

/** How often each was measured: `n = 3`, or from the least to the most. */
export function timesOf({ rows }: Matrix): string {
  const ns = rows.flatMap(({ cells }) => cells.flatMap(({ figure }) => figure?.n ?? []));
  const [least, most] = [Math.min(...ns), Math.max(...ns)];
  return least === most ? `n = ${least}` : `n = ${least} to ${most}`;
}

/** `13.2 – 14.1`, the least and the most; undefined where they are one. */
export function rangeOf(
  { min, max }: FigureDocument,
  shown: (value: number) => string = round,
): string | undefined {
  const [least, most] = [shown(min), shown(max)];
  return least === most ? undefined : `${least} – ${most}`;
}

/** How figures were measured: those of contenders of which the same is to be said in one entry. */
export function methodsOf(
  figures: readonly FigureDocument[],
): { readonly title: string; readonly method: string }[] {
  const compared = figures.filter(isCompared);
  const entries = [...Map.groupBy(compared, ({ method }) => method)].map(([method, those]) => ({
    title: togetherOf(those, compared),
    method,
  }));
  const rest = figures.filter((figure) => !isCompared(figure));
  return [...entries, ...rest.map((figure) => ({ title: titleOf(figure), method: figure.method }))];
}

/** `flap 5 s, 25 ms, ours: stored`; the case only where it is not all of them. */
function togetherOf(those: readonly ComparedFigure[], all: readonly ComparedFigure[]): string {
  const distinct = (of: readonly ComparedFigure[], text: (figure: ComparedFigure) => string) => [
    ...new Set(of.map(text)),
  ];
  const caseOf = ({ compared }: ComparedFigure) => compared.case ?? '';
  const cases = distinct(those, caseOf);
  const isOfAll = cases.length === distinct(all, caseOf).length;
  const whose = distinct(those, ({ compared: { contender, over } }) =>
    over === null ? contender : `${contender} / ${over}`,
  );
  const measures = distinct(those, ({ compared, at }) => titleOf({ name: compared.measure, at }));
  return `${[...(isOfAll ? [] : cases), ...whose].join(', ')}: ${measures.join('; ')}`;
}
