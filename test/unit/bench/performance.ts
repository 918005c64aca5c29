/**
 * The tables in docs/performance.md, made from a committed run: what stands between a comment
 * `<!-- bench NAME -->` and the next `<!-- /bench -->` is that suite's; `run` is the run itself, `missed`
 * the aims that it missed.
 */
import {
  type BenchDocument,
  benchSchema,
  type FigureDocument,
  type PartDocument,
} from '#bench/document.ts';
import { medianOf, round, titleOf } from '#bench/figures.ts';
import { type Matrix, matricesOf, rangeOf, timesOf } from '#bench/matrix.ts';
import { SUITES, type SuiteName } from '#bench/suites.ts';

const BLOCK = /<!-- bench ([a-z]+) -->\n[\s\S]*?<!-- \/bench -->/g;

/** Longer tables are folded. */
const ROWS_MAX = 40;

/** The page with all of its blocks made anew. */
export function withTables(page: string, run: BenchDocument, path: string): string {
  return page.replace(BLOCK, (_, name: string) => {
    return `<!-- bench ${name} -->\n${blockOf(name, run, path)}\n<!-- /bench -->`;
  });
}

function blockOf(name: string, run: BenchDocument, path: string): string {
  if (name === 'run') return aboutRun(run, path);
  return name === 'missed' ? missedTable(run) : suiteTables(run, name);
}

export function blocksOf(page: string): string[] {
  return [...page.matchAll(BLOCK)].map(([, name]) => name ?? '');
}

/** @throws ZodError. */
export function parseRun(text: string): BenchDocument {
  return benchSchema.parse(JSON.parse(text));
}

function aboutRun(run: BenchDocument, path: string): string {
  const { machine: m, command, started_at, elapsed_s, parts, product } = run;
  const probe = (name: keyof PartDocument['probes']) =>
    round(medianOf(parts.map(({ probes }) => probes[name].median)));
  const loads = parts.map(({ load }) => load);
  const aims = parts.flatMap(({ figures }) => figures.flatMap((figure) => figure.aims));
  const frames = parts.flatMap(({ proofs }) => proofs).reduce((sum, { sent }) => sum + sent, 0);
  return [
    '```',
    command,
    `${started_at.slice(0, 16).replace('T', ' ')} UTC, ${Math.round(elapsed_s / 60)} minutes, ${product.commit?.slice(0, 12) ?? product.version}`,
    `${m.cores} cores (${m.cpu}), ${m.memory_gb} GB, Node ${m.node}, ${m.kernel}`,
    `fdatasync of 4 KiB: ${probe('fdatasync_ms')} ms; pieces of work a second: ${probe('processor_per_s')}; load before its parts: ${Math.min(...loads).toFixed(2)} to ${Math.max(...loads).toFixed(2)}`,
    `${aims.filter(({ met }) => met).length} of ${aims.length} aims met; ${frames.toLocaleString('en-US')} frames sent, ${run.held ? 'each stored once and unaltered' : 'and it did not hold'}`,
    '```',
    '',
    `Every sample: [${path}](${path.replace(/^docs\//, '')}).`,
  ].join('\n');
}

function missedTable({ parts }: BenchDocument): string {
  const rows = parts.flatMap(({ suite, name, figures }) =>
    figures.flatMap((figure) =>
      figure.aims
        .filter(({ met }) => !met)
        .map(
          ({ text }) =>
            `| ${nameOf(suite, name)} | ${titleOf(figure)} [${figure.unit}] | ${text} |`,
        ),
    ),
  );
  if (rows.length === 0) return 'None.';
  return ['| part | figure | by how much |', '|---|---|---|', ...rows].join('\n');
}

/** In the order of the suite, however they were measured; what there is no figure of by its reason. */
function suiteTables({ parts, left_out }: BenchDocument, suite: string): string {
  const order: readonly string[] = Object.keys(SUITES[suite as SuiteName]?.parts ?? {});
  const own = parts
    .filter((part) => part.suite === suite)
    .toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  const missing = left_out.filter((one) => one.suite === suite);
  if (own.length + missing.length === 0) return 'Not part of the committed run.';
  return [
    ...own.flatMap(partTables),
    ...missing.map(({ part, reason }) => `\`${nameOf(suite, part)}\` was not measured: ${reason}.`),
  ].join('\n\n');
}

function nameOf(suite: string, part: string): string {
  return part === suite ? suite : `${suite} ${part}`;
}

function partTables(part: PartDocument): string[] {
  const title = nameOf(part.suite, part.name);
  const { matrices, rest } = matricesOf(part.figures);
  return [
    ...(part.error === null ? [] : [`\`${title}\` has no figures: ${part.error}.`]),
    ...matrices.map((matrix) => matrixTable(matrix, title)),
    ...(rest.length === 0 ? [] : [figureTable(rest, title)]),
  ];
}

function figureTable(figures: readonly FigureDocument[], title: string): string {
  const head = `| ${title} | n | median | middle half | least – most | aim |`;
  const rows = figures.map((figure) => {
    const { n, median, p25, p75, min, max, unit } = figure;
    const aim = figure.aims.map(marked).join('; ');
    const range = (from: number, to: number) => (n === 1 ? '' : `${round(from)} – ${round(to)}`);
    return `| ${titleOf(figure)} [${unit}] | ${n} | ${round(median)} | ${range(p25, p75)} | ${range(min, max)} | ${aim} |`;
  });
  const table = [head, '|---|---|---|---|---|---|', ...rows].join('\n');
  if (rows.length <= ROWS_MAX) return table;
  const summary = `<summary>${title}: ${rows.length} figures</summary>`;
  return `<details>${summary}\n\n${table}\n\n</details>`;
}

function matrixTable(matrix: Matrix, title: string): string {
  const { contenders, rows } = matrix;
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const lines = rows.flatMap((row) => [
    line([
      row.unit === undefined ? row.title : `${row.title} [${row.unit}]`,
      ...row.cells.map(({ figure, isBest }) => {
        if (figure === undefined) return '';
        const median = isBest ? `**${round(figure.median)}**` : round(figure.median);
        const range = rangeOf(figure);
        return range === undefined ? median : `${median} (${range})`;
      }),
      row.aims.map(marked).join('; '),
    ]),
    ...(row.cells.some(({ ratio }) => ratio !== undefined)
      ? [
          line([
            '*ours / it*',
            ...row.cells.map(({ ratio }) => (ratio === undefined ? '' : round(ratio.median))),
            row.ratioAims.map(marked).join('; '),
          ]),
        ]
      : []),
  ]);
  return [
    line([`${matrix.case ?? title} (${timesOf(matrix)})`, ...contenders, 'aim']),
    `|${'---|'.repeat(contenders.length + 2)}`,
    ...lines,
  ].join('\n');
}

function marked({ text, met }: { readonly text: string; readonly met: boolean | undefined }) {
  return met === false ? `**${text}**` : text;
}
