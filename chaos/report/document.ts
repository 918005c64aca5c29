/**
 * `report.json`: what a run comes to, for programs. Its names are stable; a change that breaks
 * readers gives `version` another number. docs/chaos-report.md is made from the descriptions here.
 */
import { z } from 'zod';
import type { Result } from '../oracle/judge.ts';
import { runRecordSchema, scenarioRecordSchema } from '../run/records.ts';

const count = z.number().int().min(0);
const ms = z.number().nullable();

const reason = z.strictObject({
  code: z.string().describe('One of the codes of docs/oracle.md'),
  verdict: z.enum(['fail', 'inconclusive']),
  text: z.string().describe('In words'),
});

const counts = z
  .strictObject({
    attempted: count,
    accepted: count,
    acked: count.nullable(),
    refused: count,
    indeterminate: count,
    stored: count,
    lost: count,
    declared: count,
    rejected: count,
    pruned: count,
    pending: count,
    duplicated: count,
    altered: z.strictObject({
      payload: count,
      captured_at: count,
      identity: count,
      checksum: count,
    }),
    unexpected: count,
    recovered: count,
    skipped: count,
    rows: count,
    foreign_rows: count,
    unjudged_rows: count,
  })
  .describe('The counts of docs/oracle.md');

const recovery = z.strictObject({
  stored_ms: ms.describe('Until the first frame was stored'),
  acked_ms: ms.describe('Until a new ack was sampled'),
  drained_ms: ms.describe('Until everything captured before was stored'),
});

const fault = z.strictObject({
  name: z.string(),
  target: z.string().describe('What was hit: link, server, collector, source, toxiproxy'),
  outage: z.boolean().describe('Nothing could be stored while it lasted'),
  bit: z.boolean().describe('It was seen to have its effect'),
  evidence: z.string().describe('How that was seen'),
  queued: count.describe('Frames that waited in it'),
  owed: count.describe('Frames there to be stored after its end'),
  detect_ms: ms.describe('From its beginning until the collector was not Ready'),
  restart_ms: ms.describe('From the order to end it until what was hit worked again'),
  since_order: recovery.nullable().describe('Recovery since the order to end it'),
  since_running: recovery.nullable().describe('Recovery since what was hit worked again'),
  disturbed: z
    .strictObject({ recovery: z.boolean(), drain: z.boolean() })
    .describe('Another fault fell into it: its length says nothing of the product'),
});

const offender = z.strictObject({
  n: count.nullable().describe('Its number in the ledger; null for a row that no attempt explains'),
  collector: z.string(),
  epoch: z.string().nullable(),
  seq: count.nullable(),
  captured_at: z.string(),
  bytes: count,
  detail: z.string(),
  last_seen: z
    .enum(['source', 'queue', 'wire', 'server'])
    .describe('The last place where it was as it should be'),
});

const bystanderLag = z.strictObject({
  frames: count.describe('Accepted, and stored'),
  p50_ms: z.number(),
  p99_ms: z.number(),
  max_ms: z.number(),
});

/** `result.json`, as the oracle wrote it. */
export const resultSchema: z.ZodType<Result> = z.object({
  verdict: z.enum(['pass', 'inconclusive', 'fail']),
  reasons: z.array(reason),
  counts,
  faults: z.array(fault),
  bystander_lag: bystanderLag.optional(),
  operator_actions: z.array(z.string()),
  intervals: z.record(z.string(), z.string()),
  offenders: z.record(z.string(), z.array(offender)),
});

const growthLine = z.strictObject({
  service: z.string(),
  what: z.enum(['memory', 'files', 'disk']),
  verdict: z.enum(['steady', 'grows', 'not_judged']),
  ours: z
    .boolean()
    .describe('A program of ours; the growth of another is told, and not held against it'),
  text: z.string().describe('In words'),
  rate: z
    .strictObject({ value: z.number(), bound: z.number(), unit: z.string() })
    .nullable()
    .describe('How fast it grew, and how fast it may; null where there is nothing to tell it from'),
  minutes: z.number().describe('Of the stretches that were looked at'),
  first: z.number(),
  last: z.number(),
});

/** `growth.json`, as the long run's judge wrote it. */
export const growthSchema = z.strictObject({
  verdict: growthLine.shape.verdict,
  lines: z.array(growthLine),
});

const { name, title, description, repeat, folder, outcome, ...rest } = scenarioRecordSchema.shape;

const repeatSchema = z.strictObject({
  repeat: repeat.describe('1 and up'),
  folder: folder.describe('Where its files are, within the run; null when it was not run'),
  outcome: outcome.describe('As in run.json'),
  reason: rest.reason.describe('In words; empty for a pass'),
  started_at: rest.started_at,
  ended_at: rest.ended_at,
  duration_ms: ms,
  reasons: z.array(reason).describe('As in result.json'),
  counts: counts.nullable().describe('As in result.json; null where nothing was judged'),
  queued_max: count.nullable().describe('Most frames seen waiting in the queue of the source'),
  faults: z.array(fault).describe('As in result.json'),
  bystander_lag: bystanderLag
    .nullable()
    .describe('From capture to storage, of sources that no fault was aimed at; null without any'),
  limits: z
    .strictObject({
      detect_ms_max: ms,
      recover_ms_max: ms,
      drain_ms_max: ms,
      bystander_lag_ms_p99_max: ms,
    })
    .describe('What the scenario asks for; null where it asks for nothing'),
  exits: z
    .array(
      z.strictObject({
        at_ms: z.number().describe('Since the first answer of the source'),
        process: z.string(),
        code: z.number().int().nullable(),
        signal: z.string().nullable(),
        injected: z.boolean().describe('It was done to it by the scenario'),
      }),
    )
    .describe('Programs that ended'),
  operator_actions: z.array(z.string()).describe('What somebody had to do; must be empty'),
  intervals: z.record(z.string(), z.string()).describe('All that was found, as sets of numbers'),
  offenders: z
    .record(z.string(), z.array(offender))
    .describe('The first 20 of each kind that was found'),
  growth: z
    .array(growthLine)
    .describe('What each program took, where the run samples it; as the lines of growth.json'),
  problems: z.array(z.string()).describe('Files that are missing or damaged'),
});

const spread = z.strictObject({
  n: count.describe('How many repeats have it'),
  min: z.number(),
  median: z.number(),
  p95: z.number().describe('Nearest rank'),
  max: z.number(),
});

const scenarioSchema = z.strictObject({
  name: name.describe('The name of its file, without the ending'),
  title,
  description: description.describe('The trouble of the real world that it stands for'),
  outcome: outcome.describe('The worst of its repeats'),
  repeats: z.array(repeatSchema),
  faults: z
    .array(
      z.strictObject({
        name: z.string(),
        detect_ms: spread.nullable(),
        recover_ms: spread.nullable().describe('Until the first frame was stored, since running'),
        drain_ms: spread.nullable().describe('Until the backlog was stored, since running'),
      }),
    )
    .describe('Of each fault over all repeats; disturbed ones are left out'),
});

const { scenarios: _, started_at, ended_at, ...run } = runRecordSchema.shape;

export const reportSchema = z.strictObject({
  ...run,
  verdict: z.enum(['held', 'failed', 'inconclusive', 'interrupted']),
  sentence: z.string().describe('The verdict in words'),
  started_at,
  ended_at: ended_at.describe('Null when the runner died'),
  duration_ms: ms,
  totals: z
    .strictObject({
      scenarios: count,
      passed: count,
      failed: count,
      inconclusive: count,
      not_run: count,
      interrupted: count,
      repeats: count.describe('All of them, those not run left out'),
      uncounted: count.describe('Repeats whose frames are not in the sums: damaged or no evidence'),
      accepted: count,
      stored: count.describe('Accepted, and found in the store'),
      lost: count,
      given_up: count.describe('Declared, rejected or pruned'),
      pending: count,
      duplicated: count,
      altered: count,
      unexpected: count,
    })
    .describe('Frames, summed over all repeats whose evidence could be counted'),
  scenarios: z.array(scenarioSchema),
});

export type Report = z.output<typeof reportSchema>;
export type ScenarioReport = z.output<typeof scenarioSchema>;
export type RepeatReport = z.output<typeof repeatSchema>;
export type GrowthLine = z.output<typeof growthLine>;
export type Outcome = RepeatReport['outcome'];
