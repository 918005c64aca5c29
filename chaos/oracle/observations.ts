/**
 * What whoever ran the case saw and did, and what the case allows. Both come as JSON documents and
 * are checked here, strictly: a limit under a mistyped name would be none. The programs' own
 * documents stand in them as they were answered.
 */
import { z } from 'zod';
import { auditSchema } from './audit.ts';

const count = z.number().int().min(0);

/**
 * One moment on both clocks of the observer's machine: wall time to compare with ledger and export,
 * monotonic time for durations.
 */
const moment = z.strictObject({ wall_us: count, monotonic_ms: z.number() });

const fault = z.strictObject({
  name: z.string(),
  /** What was hit: link, server, collector, … */
  target: z.string(),
  /** Nothing can be stored while it lasts, so a backlog is owed. */
  outage: z.boolean(),
  began: moment,
  /** The order to end it was given; null where it ends by itself, or never did. */
  lifted: moment.nullable(),
  /** What was hit works again: the process runs, the link takes connections. */
  running: moment.nullable(),
  /** It was seen to have had its effect, apart from what the pipeline says of itself. */
  bit: z.boolean(),
  /** How that was seen, in words. */
  evidence: z.string(),
});

/** The part of a collector's `/status` that is used. */
const status = z.object({
  collector: z.string(),
  state: z.string(),
  queue: z.object({ frames: count, oldest_captured_at: z.string().nullable() }),
  /** What stores have lost of what was acked is acked once more, if it could be sent again. */
  counters: z.object({ acked: count, lost_by_store: count.optional() }),
});

const exit = z.strictObject({
  at: moment,
  process: z.string(),
  code: z.number().int().nullable(),
  signal: z.string().nullable(),
  /** It was killed or stopped by the case. */
  injected: z.boolean(),
});

export const observationsSchema = z.strictObject({
  faults: z.array(fault).default([]),
  /** In the order of time. */
  statuses: z.array(z.strictObject({ at: moment, document: status })).default([]),
  /** In the order of time. */
  audits: z.array(z.strictObject({ at: moment, document: auditSchema })).default([]),
  exits: z.array(exit).default([]),
  /** Anything that a person would have had to do. */
  operator_actions: z.array(z.strictObject({ at: moment, what: z.string() })).default([]),
  /** What went wrong with the case itself, not with what it tests. */
  harness_failures: z.array(z.string()).default([]),
  /**
   * So many times as long everything took because the machine was busy with other things; 1 where
   * it was not. Times past a limit that this could explain carry no verdict.
   */
  stretch: z.number().min(1).default(1),
  /** Collectors with a ledger that no fault was aimed at: they had to go on as if nothing happened. */
  bystanders: z.array(z.string()).optional(),
  /** The wait for the backlog at the end. */
  drain: z
    .strictObject({ outcome: z.enum(['drained', 'timed_out']), waited_ms: z.number() })
    .nullable()
    .default(null),
});

export type Observations = z.output<typeof observationsSchema>;
export type Moment = z.output<typeof moment>;
export type Fault = z.output<typeof fault>;

const allowance = z.strictObject({
  /** A reason of the audit, such as `damaged`; for rejected frames the code, for pruned `pruned`. */
  reason: z.string(),
  /** Only these seqs; any, when left out. */
  ranges: z.array(z.strictObject({ epoch: z.string(), from: count, to: count })).optional(),
  /** At most so many frames; any number, when left out. */
  frames_max: count.optional(),
});

export const caseSchema = z.strictObject({
  /** Faults that must be among the observations, by name. */
  faults: z.array(z.string()).default([]),
  accepted_min: count.default(1_000),
  /** Frames that must have waited in each outage. */
  queued_min: count.default(1_000),
  /** Losses that are no failure, if they are declared. */
  allow: z.array(allowance).default([]),
  /** From a fault's beginning until the collector isn't Ready. */
  detect_ms_max: z.number().optional(),
  /** From the moment that what was hit works again to the first frame stored. */
  recover_ms_max: z.number().optional(),
  /** From the same moment until everything captured before it is stored. */
  drain_ms_max: z.number().optional(),
  /** From capture to storage, for 99 of 100 frames of the bystanders. */
  bystander_lag_ms_p99_max: z.number().min(0).optional(),
  /** Frames that came to the server more than once. */
  wire_duplicates_max: count.optional(),
  /** An older copy of the store is put in its place: for a time it may lack what it had. */
  store_put_back: z.boolean().default(false),
  /**
   * A clone of a collector is there for a while. Where it has the place, what it lacks of the
   * collector's newest frames is missing in the audit, until the collector itself is back.
   */
  cloned: z.boolean().default(false),
});

export type Case = z.output<typeof caseSchema>;

export const NO_OBSERVATIONS: Observations = observationsSchema.parse({});
export const USUAL_CASE: Case = caseSchema.parse({});
