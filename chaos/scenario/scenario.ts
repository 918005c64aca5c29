/**
 * A scenario: what is done to the pipeline, in Chaos Toolkit's words, as a file says it and as the
 * runner takes it. The schema is strict: a limit under a mistyped name would be none. Reading files,
 * and telling file, line and rule of what is wrong in them, is `file.ts`.
 *
 * Times are seconds here, because people write them.
 */
import { z } from 'zod';
import { caseSchema } from '../oracle/observations.ts';

const seconds = z.number().min(0).max(86_400);
const count = z.number().int().min(0);

/** What the runner can wait for. All that are named must hold at once. */
const condition = z
  .strictObject({
    /** So long since this step began. */
    seconds: seconds.optional(),
    /** At least so many frames wait in the source's queue. */
    queued_min: count.optional(),
    /** At most so many. */
    queued_max: count.optional(),
    /** So much of what waited when this step began has left the queue. */
    drained_percent: z.number().min(0).max(100).optional(),
    /** So many more frames are stored than when this step began. */
    stored_more: count.optional(),
    /** The state of the source's link. */
    state: z.enum(['Ready', 'Backoff', 'Recovering']).optional(),
  })
  .refine((one) => Object.keys(one).length > 0, 'names no condition');

const pauses = z.strictObject({ before: seconds.optional(), after: seconds.optional() });

const probe = z.strictObject({
  type: z.literal('probe'),
  /** For the report. */
  name: z.string().min(1),
  until: condition,
  /** How long it may take; past that the run is inconclusive. */
  deadline: seconds.default(60),
  pauses: pauses.optional(),
});

export type Condition = z.output<typeof condition>;
export type Probe = z.output<typeof probe>;

export interface Action {
  readonly type: 'action';
  /** The fault's name in verdict and report; its kind, when left out. Unique within a scenario. */
  readonly name?: string | undefined;
  /** One of the kinds of `chaos/faults/kinds.ts`. */
  readonly fault: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** In force until this holds, and at least until it was seen to bite. */
  readonly until?: Condition | undefined;
  /** Steps while it is in force, after `until`; it is lifted behind the last. */
  readonly method: readonly Step[];
  /** The next step begins once this one is in force; Chaos Toolkit's word. */
  readonly background: boolean;
  readonly pauses?:
    | { readonly before?: number | undefined; readonly after?: number | undefined }
    | undefined;
}

export type Step = Probe | Action;

const action: z.ZodType<Action> = z.strictObject({
  type: z.literal('action'),
  name: z.string().min(1).optional(),
  fault: z.string(),
  arguments: z.record(z.string(), z.unknown()).default({}),
  until: condition.optional(),
  get method() {
    return z.array(step).default([]);
  },
  background: z.boolean().default(false),
  pauses: pauses.optional(),
});

const step: z.ZodType<Step> = z.union([probe, action]);

/** The load, in the words of the source's settings. */
const load = z.strictObject({
  /** Frames a second. */
  rate: z.number().int().min(1).max(20_000).default(200),
  /** As HOLDFAST_LOAD_PAYLOADS. */
  payloads: z.string().optional(),
});

export const scenarioSchema = z.strictObject({
  title: z.string().min(1),
  /** The trouble of the real world that it stands for. */
  description: z.string().min(1),
  /** `default`: part of `make chaos`. */
  tags: z.array(z.string()).default([]),
  configuration: z
    .strictObject({
      load: load.prefault({}),
      /** A second source on the same link, which no fault is aimed at. */
      bystander: z.boolean().default(false),
      /** Further environment of the source: HOLDFAST_QUEUE_LIMIT_BYTES and the like. */
      environment: z.record(z.string().regex(/^HOLDFAST_[A-Z_]+$/), z.string()).default({}),
    })
    .prefault({}),
  'steady-state-hypothesis': z
    .strictObject({
      title: z.string().min(1).default('what was accepted is stored, once, as it was captured'),
      /** What the oracle asks beyond that, in its own words. */
      tolerances: caseSchema.omit({ faults: true }).prefault({}),
    })
    .prefault({}),
  method: z.array(step).min(1),
  /** Beside what every fault undoes by itself. */
  rollbacks: z
    .array(
      z.strictObject({
        type: z.literal('action'),
        name: z.string().min(1).optional(),
        rollback: z.enum(['restore-link', 'thaw', 'start', 'restart']),
        service: z.enum(['server', 'toxiproxy', 'collector', 'source']).optional(),
      }),
    )
    .default([]),
});

export type Scenario = z.output<typeof scenarioSchema>;
