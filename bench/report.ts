/** A run as lines of text: the machine, the table of figures, the proofs, and how each was measured. */
import type { BenchDocument, FigureDocument, PartDocument } from './document.ts';
import { medianOf, round, titleOf } from './figures.ts';
import { type Matrix, matricesOf, methodsOf, rangeOf, timesOf } from './matrix.ts';

export function lines(run: BenchDocument): string[] {
  const { machine: m, seed, command, parts } = run;
  const syncs = parts.map(({ probes }) => probes.fdatasync_ms.median);
  const disk = syncs.length === 0 ? '' : `fdatasync of 4 KiB: ${round(medianOf(syncs))} ms; `;
  return [
    command,
    `${m.cores} cores (${m.cpu}), ${m.memory_gb} GB, Node ${m.node}, ${m.kernel}`,
    `${disk}load before the run: ${m.load.toFixed(2)}; seed ${seed}`,
    '',
    ...parts.flatMap(contestTables),
    ...table(parts),
    ...parts.flatMap(({ proofs }) => proofs.map(describeProof)),
    ...troubles(run),
    '',
    'How each was measured:',
    ...parts.flatMap(({ figures }) =>
      methodsOf(figures).map(({ title, method }) => `  ${title}: ${method}.`),
    ),
  ];
}

/** What has no figures, and why; nothing where all was measured. */
export function troubles({ parts, left_out }: BenchDocument): string[] {
  return [
    ...parts
      .filter(({ error }) => error !== null)
      .map(({ suite, name, error }) => `✗ ${suite} ${name}: ${error}`),
    ...left_out.map(({ suite, part, reason }) => `  ${suite} ${part} was not measured: ${reason}`),
  ];
}

const HEAD = ['figure', 'n', 'median', 'p25', 'p75', 'p95', 'min', 'max'];

/** A table for each case in which contenders are compared. */
function contestTables({ suite, name, figures }: PartDocument): string[] {
  return matricesOf(figures).matrices.flatMap((matrix) => [
    ...matrixTable(matrix, matrix.case ?? `${suite} ${name}`),
    '',
  ]);
}

function matrixTable(matrix: Matrix, title: string): string[] {
  const rows = matrix.rows.flatMap(({ title, unit, cells, aims, ratioAims }) => [
    {
      cells: [
        unit === undefined ? title : `${title} [${unit}]`,
        ...cells.map(({ figure, isBest }) => {
          if (figure === undefined) return '';
          const range = rangeOf(figure);
          const spread = range === undefined ? '' : ` (${range})`;
          return `${isBest ? '*' : ''}${round(figure.median)}${spread}`;
        }),
      ],
      remarks: aims,
    },
    ...(cells.some(({ ratio }) => ratio !== undefined)
      ? [
          {
            cells: [
              '  ours / it',
              ...cells.map(({ ratio }) => (ratio === undefined ? '' : round(ratio.median))),
            ],
            remarks: ratioAims,
          },
        ]
      : []),
  ]);
  const head = [`${title}, ${timesOf(matrix)}, * best`, ...matrix.contenders];
  const line = aligned([head, ...rows.map((row) => row.cells)]);
  return [
    `${line(head)}  aim`,
    ...rows.map(({ cells, remarks }) =>
      `${line(cells)}  ${remarks.map(({ text }) => text).join('; ')}`.trimEnd(),
    ),
  ];
}

/** One table for all others, a title for each part where there are several; nothing without any. */
function table(parts: readonly PartDocument[]): string[] {
  const rest = parts.map(({ suite, name, figures }) => ({
    title: `— ${suite} ${name}`,
    figures: matricesOf(figures).rest,
  }));
  const own = rest.filter(({ figures }) => figures.length > 0);
  if (own.length === 0) return [];
  const rows = own.flatMap(({ title, figures }) => [
    ...(parts.length > 1 ? [{ title, figure: undefined }] : []),
    ...figures.map((figure) => ({ title: undefined, figure })),
  ]);
  const cells = rows.map(({ figure }) => (figure === undefined ? undefined : cellsOf(figure)));
  const line = aligned([HEAD, ...cells.filter((row) => row !== undefined)]);
  return [
    `${line(HEAD)}  aim`,
    ...rows.map(({ title, figure }, i) =>
      figure === undefined
        ? (title ?? '')
        : `${line(cells[i] ?? [])}  ${verdictOf(figure)}`.trimEnd(),
    ),
    '',
  ];
}

/** Writes a row of a table: its first cell to the left, the others to the right of their columns. */
function aligned(rows: readonly (readonly string[])[]): (row: readonly string[]) => string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return (row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ');
}

function cellsOf(figure: FigureDocument): string[] {
  const { n, median, p25, p75, p95, min, max } = figure;
  return [
    `${titleOf(figure)} [${figure.unit}]`,
    String(n),
    ...[median, p25, p75, p95, min, max].map(round),
  ];
}

function verdictOf({ aims }: FigureDocument): string {
  return aims.map(({ text }) => text).join('; ');
}

function describeProof(proof: PartDocument['proofs'][number]): string {
  const { of, sent, stored, lost, duplicated, altered, unexpected, resent, held } = proof;
  const defects = `${lost} lost, ${duplicated} duplicated, ${altered} altered, ${unexpected} unexpected`;
  return `${held ? '✓' : '✗'} ${of}: ${sent} sent, ${stored} stored; ${defects}; ${resent} sent again`;
}
