/** A run as lines of text: the machine, the table of figures, the proofs, and how each was measured. */
import type { BenchDocument, FigureDocument, PartDocument } from './document.ts';
import { medianOf, round, titleOf } from './figures.ts';

export function lines(run: BenchDocument): string[] {
  const { machine: m, seed, command, parts } = run;
  const disk = medianOf(parts.map(({ probes }) => probes.fdatasync_ms.median));
  return [
    command,
    `${m.cores} cores (${m.cpu}), ${m.memory_gb} GB, Node ${m.node}, ${m.kernel}`,
    `fdatasync of 4 KiB: ${round(disk)} ms; load before the run: ${m.load.toFixed(2)}; seed ${seed}`,
    '',
    ...table(parts),
    '',
    ...parts.flatMap(({ proofs }) => proofs.map(describeProof)),
    ...troubles(run),
    '',
    'How each was measured:',
    ...parts.flatMap(({ figures }) =>
      figures.map((figure) => `  ${titleOf(figure)}: ${figure.method}.`),
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

/** One table for all, a title for each part where there are several. */
function table(parts: readonly PartDocument[]): string[] {
  const rows = parts.flatMap((part) => [
    ...(parts.length > 1 ? [{ title: `— ${part.suite} ${part.name}`, figure: undefined }] : []),
    ...part.figures.map((figure) => ({ title: undefined, figure })),
  ]);
  const cells = rows.map(({ figure }) => (figure === undefined ? undefined : cellsOf(figure)));
  const widths = HEAD.map((title, i) =>
    Math.max(title.length, ...cells.map((row) => row?.[i]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ');
  return [
    `${line(HEAD)}  aim`,
    ...rows.map(({ title, figure }, i) =>
      figure === undefined
        ? (title ?? '')
        : `${line(cells[i] ?? [])}  ${verdictOf(figure)}`.trimEnd(),
    ),
  ];
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
