/**
 * What a run leaves behind, file by file: all that `recheck` needs to judge and draw it again.
 *
 *   reports/<time>/
 *     run.json             RunRecord: written at the start, and again after each scenario
 *     result.json          {verdict, exit_code, text}: what the run comes to, written at its end
 *     report.html          made from the rest, as report.json and junit.xml are
 *     <NN>-<name>[-r<M>]/  one scenario, or one repeat of it
 *       scenario.yaml      as it was run
 *       case.json          what the oracle is asked for (oracle/observations.ts)
 *       observations.json  what was seen (the same)
 *       audit.json         the server's, once the backlog was in, before the export
 *       export.ndjson      of the sources' collectors, and what was captured meanwhile under other names
 *       ledger/<source>.jsonl
 *       usage.ndjson       UsageSample a line: what each program took; where the run samples it
 *       growth.json        whether they grew (soak/growth.ts); where the run samples it
 *       toxiproxy.json     Toxiproxy's own account after each step
 *       <service>.log
 *       result.json        the oracle's (oracle/judge.ts)
 */
import { z } from 'zod';

const verdict = z.enum(['pass', 'fail', 'inconclusive']);

export const scenarioRecordSchema = z.strictObject({
  /** The file's name without its ending. */
  name: z.string(),
  title: z.string(),
  description: z.string(),
  /** 1 and up. */
  repeat: z.number().int().min(1),
  /** Within the run's folder; null for one that was not run. */
  folder: z.string().nullable(),
  /** `not_run`: this ground can't do it, see `reason`. `interrupted`: Ctrl-C. */
  outcome: z.enum([...verdict.options, 'not_run', 'interrupted']),
  /** In words; empty for a pass. */
  reason: z.string(),
  started_at: z.string().nullable(),
  ended_at: z.string().nullable(),
});

export const runRecordSchema = z.strictObject({
  version: z.literal(1),
  kind: z.enum(['scenarios', 'swarm', 'soak', 'matrix']),
  ground: z.enum(['compose', 'process', 'containers']),
  /** Why this ground, in words. */
  ground_reason: z.string(),
  started_at: z.string(),
  /** Null while it goes on, and for ever when the runner died. */
  ended_at: z.string().nullable(),
  seed: z.number().int(),
  /** What to type to have it again. */
  command: z.string(),
  product: z.strictObject({ version: z.string(), commit: z.string().nullable() }),
  machine: z.strictObject({
    cpus: z.number().int(),
    cpu_model: z.string(),
    memory_bytes: z.number(),
    node: z.string(),
    os: z.string(),
  }),
  scenarios: z.array(scenarioRecordSchema),
  /** What was mended before it began, left by a run that died. */
  healed: z.array(z.string()),
});

export const usageSampleSchema = z.strictObject({
  at: z.strictObject({ wall_us: z.number().int(), monotonic_ms: z.number() }),
  service: z.string(),
  /** Changes when the program is started anew. */
  generation: z.string(),
  resident_bytes: z.number(),
  open_files: z.number(),
  disk_bytes: z.number(),
});

export type ScenarioRecord = z.output<typeof scenarioRecordSchema>;
export type RunRecord = z.output<typeof runRecordSchema>;
export type UsageSample = z.output<typeof usageSampleSchema>;
