/** The tables of docs/metrics.md, and what they are held against. */
import { readFileSync } from 'node:fs';
import type { Registry } from 'prom-client';

/** The cells of the rows whose first cell is a name in backticks, under a heading. */
export function metricTable(heading: string): string[][] {
  const text = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const section = text.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** A row of such a table for each metric: name, type, help. */
export async function rowsOf(registry: Registry): Promise<string[][]> {
  const metrics = await registry.getMetricsAsJSON();
  return metrics.map(({ name, type, help }) => [`\`${name}\``, String(type), help]);
}
