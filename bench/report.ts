/**
 * The table for people and the JSON for programs, of the same run.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeAim, type Figure, missed, round, summaryOf } from './figures.ts';
import type { Machine } from './machine.ts';
import type { Proof, Result } from './result.ts';
import { holds } from './verification.ts';

export interface Run {
  readonly command: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly seed: number;
  readonly machine: Machine;
  readonly results: readonly Result[];
}

/** True when nothing was lost, doubled or changed, and nothing was sent again without a reason. */
export function nothingLost(run: Run): boolean {
  return run.results.every(({ proofs }) => proofs.every(isGood));
}

export function lines(run: Run): string[] {
  const { machine: m, seed, command } = run;
  const figures = run.results.flatMap((result) => result.figures);
  const proofs = run.results.flatMap((result) => result.proofs);
  return [
    command,
    `${m.cores} cores (${m.cpu}), ${m.memory_gb} GB, Node ${m.node}, ${m.kernel}`,
    `fdatasync of 4 KiB: ${m.fdatasync_ms} ms; load before the run: ${m.load.toFixed(2)}; seed ${seed}`,
    '',
    ...table(figures),
    '',
    ...proofs.map(describeProof),
    '',
    'How each was measured:',
    ...figures.map(({ name, method }) => `  ${name}: ${method}.`),
  ];
}

/** Writes the JSON and answers where. */
export function writeJson(run: Run, directory: string): string {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `bench-${run.startedAt.replaceAll(/[-:]|\.\d+/g, '')}.json`);
  const { startedAt, results, ...rest } = run;
  const figures = results.flatMap((result) => result.figures);
  const document = {
    ...rest,
    started_at: startedAt,
    figures: figures.map((figure) => ({
      ...figure,
      ...summaryOf(figure),
      missed: (figure.aims ?? []).flatMap((aim) => missed(figure, aim) ?? []),
    })),
    proofs: results.flatMap((result) => result.proofs),
    held: nothingLost(run),
  };
  writeFileSync(path, `${JSON.stringify(document, null, 2)}\n`);
  return path;
}

function table(figures: readonly Figure[]): string[] {
  const rows = figures.map((figure) => {
    const { n, median, p95, min, max } = summaryOf(figure);
    return [`${figure.name} [${figure.unit}]`, String(n), ...[median, p95, min, max].map(round)];
  });
  const head = ['figure', 'n', 'median', 'p95', 'min', 'max'];
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)));
  return [
    `${line(head).join('  ')}  aim`,
    ...rows.map((row, i) => `${line(row).join('  ')}  ${verdict(figures[i])}`.trimEnd()),
  ];
}

function verdict(figure: Figure | undefined): string {
  if (figure?.aims === undefined) return '';
  return figure.aims.map((aim) => missed(figure, aim) ?? `${describeAim(aim)}: met`).join('; ');
}

function isGood(proof: Proof): boolean {
  const { resent, resentMax = resent } = proof;
  return holds(proof) && resent <= resentMax;
}

function describeProof(proof: Proof): string {
  const { of, sent, stored, lost, duplicated, altered, unexpected, resent } = proof;
  const defects = `${lost} lost, ${duplicated} duplicated, ${altered} altered, ${unexpected} unexpected`;
  return `${isGood(proof) ? '✓' : '✗'} ${of}: ${sent} sent, ${stored} stored; ${defects}; ${resent} sent again`;
}
