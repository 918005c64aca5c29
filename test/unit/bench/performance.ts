/**
 * The tables in docs/performance.md, made from a committed run: what stands between a comment
 * `<!-- bench NAME -->` and the next `<!-- /bench -->` is that suite's, and `run` is the run itself.
 */
import { type BenchDocument, benchSchema, type PartDocument } from '#bench/document.ts';
import { medianOf, round, titleOf } from '#bench/figures.ts';

const BLOCK = /<!-- bench ([a-z]+) -->\n[\s\S]*?<!-- \/bench -->/g;

/** Longer tables are folded. */
const ROWS_MAX = 40;

/** The page with all of its blocks made anew. */
export function withTables(page: string, run: BenchDocument, path: string): string {
  return page.replace(BLOCK, (_, name: string) => {
    const text = name === 'run' ? aboutRun(run, path) : suiteTables(run, name);
    return `<!-- bench ${name} -->\n${text}\n<!-- /bench -->`;
  });
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
  const aims = parts.flatMap(({ figures }) => figures.flatMap((figure) => figure.aims));
  const frames = parts.flatMap(({ proofs }) => proofs).reduce((sum, { sent }) => sum + sent, 0);
  return [
    '```',
    command,
    `${started_at.slice(0, 16).replace('T', ' ')} UTC, ${Math.round(elapsed_s / 60)} minutes, ${product.commit?.slice(0, 12) ?? product.version}`,
    `${m.cores} cores (${m.cpu}), ${m.memory_gb} GB, Node ${m.node}, ${m.kernel}`,
    `fdatasync of 4 KiB: ${probe('fdatasync_ms')} ms; pieces of work a second: ${probe('processor_per_s')}; load before the run: ${m.load.toFixed(2)}`,
    `${aims.filter(({ met }) => met).length} of ${aims.length} aims met; ${frames.toLocaleString('en-US')} frames sent, ${run.held ? 'each stored once and unaltered' : 'and it did not hold'}`,
    '```',
    '',
    `Every sample: [${path}](${path.replace(/^docs\//, '')}).`,
  ].join('\n');
}

function suiteTables({ parts }: BenchDocument, suite: string): string {
  const own = parts.filter((part) => part.suite === suite && part.figures.length > 0);
  if (own.length === 0) return 'Not part of the committed run.';
  return own
    .map((part) => {
      const title = part.name === suite ? suite : `${suite} ${part.name}`;
      const head = `| ${title} | n | median | middle half | least – most | aim |`;
      const rows = part.figures.map((figure) => {
        const { n, median, p25, p75, min, max, unit } = figure;
        const aim = figure.aims.map(({ text, met }) => (met ? text : `**${text}**`)).join('; ');
        const range = (from: number, to: number) =>
          n === 1 ? '' : `${round(from)} – ${round(to)}`;
        return `| ${titleOf(figure)} [${unit}] | ${n} | ${round(median)} | ${range(p25, p75)} | ${range(min, max)} | ${aim} |`;
      });
      const table = [head, '|---|---|---|---|---|---|', ...rows].join('\n');
      if (rows.length <= ROWS_MAX) return table;
      const summary = `<summary>${title}: ${rows.length} figures</summary>`;
      return `<details>${summary}\n\n${table}\n\n</details>`;
    })
    .join('\n\n');
}
