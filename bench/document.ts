/**
 * `bench.json`: what a run of benchmarks came to, for programs. Its names are stable; a change that
 * breaks readers gives `version` another number. docs/bench-report.md is made from the descriptions
 * here.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { DocumentError } from './errors.ts';
import { describeAim, type Figure, missed, readingOf, summaryOf } from './figures.ts';
import type { Machine } from './machine.ts';
import type { Size } from './pipeline.ts';
import type { Probes } from './probes.ts';
import { isGood, type Proof } from './result.ts';

const count = z.number().int().min(0);

const spread = {
  n: count.min(1).describe('How many samples'),
  median: z.number(),
  p25: z.number().describe('A quarter of the samples is below; between two of them by distance'),
  p75: z.number(),
  p95: z.number(),
  min: z.number(),
  max: z.number(),
};

const figure = z.strictObject({
  name: z.string().describe('Unique in its part, together with `at`'),
  unit: z.string(),
  at: z
    .strictObject({ value: z.number(), unit: z.string() })
    .nullable()
    .describe('Which size this is of, where the same is measured at several'),
  better: z
    .enum(['more', 'less', 'neither'])
    .describe('Which way is the better one; `neither` is shown and not compared'),
  bound: z
    .enum(['processor', 'disk', 'none'])
    .describe('By which probe of its part it is made comparable with other runs'),
  compared: z
    .strictObject({
      contender: z.string().describe('`ours` is what the others are held against'),
      measure: z.string().describe('The same words for every contender'),
      case: z.string().nullable().describe('Under which circumstances, where there are several'),
      over: z
        .string()
        .nullable()
        .describe('For a ratio: whom ours is divided by; null for the contender’s own figure'),
    })
    .nullable()
    .default(null)
    .describe('Whose it is, where several contenders are compared'),
  ...spread,
  samples: z.array(z.number()).describe('In the order in which they were measured'),
  aims: z.array(
    z.strictObject({
      of: z.enum(['median', 'min', 'max']),
      at: z.enum(['least', 'most']),
      value: z.number(),
      met: z.boolean(),
      text: z.string().describe('In words; what was missed, where it was'),
    }),
  ),
  method: z.string().describe('How it was measured'),
});

const proof = z
  .strictObject({
    of: z.string().describe('Which run of the programs it is of'),
    sent: count,
    stored: count.describe(
      'Rows that the export gave; of the largest stores, that their file holds',
    ),
    lost: count,
    duplicated: count,
    altered: count,
    unexpected: count,
    resent: count.describe('Frames that were sent more than once'),
    resent_max: count.nullable().describe('What is allowed of that; null where it is not judged'),
    held: z.boolean(),
  })
  .describe('What the store was found to hold');

const part = z.strictObject({
  suite: z.string(),
  name: z.string(),
  elapsed_s: z.number(),
  load: z.number().describe('Of the machine, over the last minute before it'),
  probes: z
    .strictObject({
      processor_per_s: z
        .strictObject(spread)
        .describe('A fixed piece of work on one core: pieces a second'),
      fdatasync_ms: z
        .strictObject(spread)
        .describe('4 KiB behind a file’s end, and synced: milliseconds'),
    })
    .describe('What the machine could do just before'),
  error: z.string().nullable().describe('Why there are no figures; null where all went well'),
  figures: z.array(figure),
  proofs: z.array(proof),
});

export const benchSchema = z.strictObject({
  version: z.literal(1),
  size: z.enum(['short', 'full']).describe('How much was measured'),
  command: z.string().describe('What to type to have it again'),
  started_at: z.string().describe('RFC 3339'),
  ended_at: z.string().nullable().describe('Null where the run did not come to its end'),
  elapsed_s: z.number(),
  seed: count,
  product: z.strictObject({ version: z.string(), commit: z.string().nullable() }),
  machine: z.strictObject({
    cores: count,
    cpu: z.string(),
    memory_gb: z.number(),
    node: z.string(),
    kernel: z.string(),
    load: z.number().describe('Over the last minute before the run'),
  }),
  held: z
    .boolean()
    .describe('Nothing was lost, doubled or changed, and every part was measured to its end'),
  parts: z.array(part),
  left_out: z
    .array(z.strictObject({ suite: z.string(), part: z.string(), reason: z.string() }))
    .describe('Parts of the set that were not measured'),
});

export type BenchDocument = z.output<typeof benchSchema>;
export type PartDocument = BenchDocument['parts'][number];
export type FigureDocument = PartDocument['figures'][number];

/** A part as it was measured. */
export interface MeasuredPart {
  readonly suite: string;
  readonly name: string;
  readonly elapsedS: number;
  readonly load: number;
  readonly probes: Probes;
  readonly error: string | null;
  readonly figures: readonly Figure[];
  readonly proofs: readonly Proof[];
}

export interface MeasuredRun {
  readonly size: Size;
  readonly command: string;
  readonly startedAt: Date;
  /** Null while it goes on, and for ever where it is ended before its time. */
  readonly endedAt: Date | null;
  readonly elapsedS: number;
  readonly seed: number;
  readonly product: BenchDocument['product'];
  readonly machine: Machine;
  readonly parts: readonly MeasuredPart[];
  readonly leftOut: BenchDocument['left_out'];
}

export function documentOf(run: MeasuredRun): BenchDocument {
  const { size, command, seed, product, machine, startedAt, endedAt, parts, leftOut } = run;
  return {
    version: 1,
    size,
    command,
    started_at: startedAt.toISOString(),
    ended_at: endedAt?.toISOString() ?? null,
    elapsed_s: tidy(run.elapsedS),
    seed,
    product,
    machine,
    held: parts.every(({ error, proofs }) => error === null && proofs.every(isGood)),
    parts: parts.map(partOf),
    left_out: [...leftOut],
  };
}

function partOf({ elapsedS, probes, figures, proofs, ...rest }: MeasuredPart): PartDocument {
  return {
    ...rest,
    elapsed_s: tidy(elapsedS),
    probes: {
      processor_per_s: tidied({ ...probes.processorPerS }),
      fdatasync_ms: tidied({ ...probes.fdatasyncMs }),
    },
    figures: figures.map(figureOf),
    proofs: proofs.map(({ resentMax, ...proof }) => ({
      ...proof,
      resent_max: resentMax ?? null,
      held: isGood({ ...proof, resentMax }),
    })),
  };
}

function figureOf(figure: Figure): FigureDocument {
  const { name, unit, at = null, samples, aims = [], method, compared } = figure;
  return {
    name,
    unit,
    at,
    ...readingOf(figure),
    compared: compared === undefined ? null : { case: null, over: null, ...compared },
    ...tidied({ ...summaryOf(figure) }),
    samples: samples.map(tidy),
    aims: aims.map((aim) => {
      const failure = missed(figure, aim);
      return { ...aim, met: failure === undefined, text: failure ?? `${describeAim(aim)}: met` };
    }),
    method,
  };
}

/** @throws DocumentError for a file that isn't there, or isn't one of these. */
export function readDocument(path: string): BenchDocument {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DocumentError(`${path} can't be read as a run of benchmarks: ${why}`, { cause });
  }
  const parsed = benchSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new DocumentError(
    `${path} is no run of benchmarks that this version knows (docs/bench-report.md):\n${z.prettifyError(parsed.error)}`,
  );
}

const DIGITS = 6;

/** Six digits are more than any figure is good for, and keep the file small. */
function tidy(value: number): number {
  return Number(value.toPrecision(DIGITS));
}

function tidied<T extends Record<string, number>>(values: T): T {
  return Object.fromEntries(Object.entries(values).map(([key, one]) => [key, tidy(one)])) as T;
}
