/**
 * The files of a run's folder, read for the report. What is missing or damaged in a scenario's
 * folder is told in words and left out; only without run.json there is nothing to tell of.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { type LineSink, linesOf } from '../ledger/lines-of.ts';
import type { Result } from '../oracle/judge.ts';
import {
  type Case,
  caseSchema,
  type Observations,
  observationsSchema,
} from '../oracle/observations.ts';
import {
  type RunRecord,
  runRecordSchema,
  type UsageSample,
  usageSampleSchema,
} from '../run/records.ts';
import { type GrowthLine, growthSchema, resultSchema } from './document.ts';

const runResultSchema = z.object({ verdict: z.string() });
const aboutSchema = z.object({ title: z.string(), description: z.string() });
type About = z.output<typeof aboutSchema>;

/** A run's folder without a run.json that can be used. */
export class FolderError extends Error {
  override readonly name = 'FolderError';
}

/** What is left of one scenario; undefined for what is not there or can't be used. */
export interface ScenarioFiles {
  readonly path: string;
  readonly result: Result | undefined;
  readonly expected: Case | undefined;
  readonly observations: Observations | undefined;
  /** As it was run. */
  readonly scenario: string | undefined;
  readonly usage: readonly UsageSample[];
  /** Nothing where no usage was sampled. */
  readonly growth: readonly GrowthLine[];
  /** Undefined without one. */
  readonly exportPath: string | undefined;
  readonly problems: readonly string[];
}

/** @throws FolderError. */
export function readRun(runFolder: string): RunRecord {
  const path = join(runFolder, 'run.json');
  const read = readDocument(path, runRecordSchema);
  if (read.document !== undefined) return read.document;
  throw new FolderError(`${path} ${read.problem ?? 'is missing: this is no folder of a run'}`);
}

/** Ctrl-C came before everything was played; only the run's own result.json always tells. */
export function wasInterrupted(runFolder: string): boolean {
  const path = join(runFolder, 'result.json');
  return readDocument(path, runResultSchema).document?.verdict === 'interrupted';
}

/** What its file says of a scenario; nothing where it can't be read. */
export function aboutScenario(runFolder: string, folder: string): Partial<About> {
  const path = join(runFolder, folder, 'scenario.yaml');
  try {
    return aboutSchema.parse(parse(readFileSync(path, 'utf8')));
  } catch {
    return {};
  }
}

/** The folders of scenarios in it, whether or not run.json knows them. */
export function scenarioFolders(runFolder: string): string[] {
  return readdirSync(runFolder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && /^\d+-/.test(entry.name))
    .map(({ name }) => name)
    .sort();
}

export async function readScenario(runFolder: string, folder: string): Promise<ScenarioFiles> {
  const path = join(runFolder, folder);
  const problems: string[] = [];
  const document = <T>(name: string, schema: z.ZodType<T>): T | undefined => {
    const read = readDocument(join(path, name), schema);
    if (read.document === undefined) problems.push(`${name} ${read.problem ?? 'is missing'}`);
    return read.document;
  };
  const exportPath = join(path, 'export.ndjson');
  const scenarioPath = join(path, 'scenario.yaml');
  const hasExport = existsSync(exportPath);
  if (!hasExport) problems.push('export.ndjson is missing');
  return {
    path,
    result: document('result.json', resultSchema),
    expected: document('case.json', caseSchema),
    observations: document('observations.json', observationsSchema),
    scenario: existsSync(scenarioPath) ? readFileSync(scenarioPath, 'utf8') : undefined,
    usage: await readUsage(join(path, 'usage.ndjson'), problems),
    growth: existsSync(join(path, 'usage.ndjson'))
      ? (document('growth.json', growthSchema)?.lines ?? [])
      : [],
    exportPath: hasExport ? exportPath : undefined,
    problems,
  };
}

/** Neither for a file that isn't there. */
function readDocument<T>(
  path: string,
  schema: z.ZodType<T>,
): { readonly document?: T; readonly problem?: string } {
  try {
    const parsed = schema.safeParse(JSON.parse(readFileSync(path, 'utf8')));
    if (parsed.success) return { document: parsed.data };
    return { problem: `is not what it should be: ${z.prettifyError(parsed.error)}` };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return {};
    return { problem: `can't be read: ${messageOf(error)}` };
  }
}

async function readUsage(path: string, problems: string[]): Promise<UsageSample[]> {
  if (!existsSync(path)) return [];
  const samples: UsageSample[] = [];
  let unreadable = 0;
  const sink: LineSink = {
    push(line) {
      const sample = usageOf(line);
      if (sample === undefined) unreadable += 1;
      else samples.push(sample);
    },
  };
  // A last line without its end is where the runner died.
  await linesOf(path, sink);
  if (unreadable > 0) problems.push(`usage.ndjson has ${unreadable} lines that don't read`);
  return samples;
}

function usageOf(line: string): UsageSample | undefined {
  try {
    return usageSampleSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
