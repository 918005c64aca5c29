/**
 * What is said over the supervisor's control socket: one JSON document a line, orders to it, and
 * from it a reply to each, and the ends of programs to who asked for them. Who may use the socket
 * is a matter of its folder's mode. Shapes alone are here; both ends check what they are told.
 */
import { z } from 'zod';

/** A program and everything that is needed to start it. */
export const programSpec = z.strictObject({
  name: z.string(),
  /** The first word is a path or on PATH. */
  command: z.array(z.string()).min(1),
  /** All of it that is the lab's; PATH and the like are added. */
  environment: z.record(z.string(), z.string()),
  /** Its data folder; made when it isn't there. */
  data: z.string().nullable(),
  /** Its ports by their number in Compose, and which they are here. */
  ports: z.record(z.string(), z.number()),
  /** Brought back when it ends. */
  restarts: z.boolean(),
  /** After SIGTERM, before SIGKILL. */
  graceMs: z.number(),
  /** One of the lab's own, or launched beside them. */
  role: z.enum(['service', 'launched']),
  /** Of the sources that it is made of: other ones are another program. */
  sources: z.string(),
});

/** What strace does to a program, as its options. */
const trace = z.strictObject({
  name: z.string(),
  path: z.string(),
  calls: z.array(z.string()).min(1),
  /** As strace takes it: `error=EIO`, `delay_enter=300000`. */
  injection: z.string(),
});

const onProgram = <Word extends string>(word: Word) =>
  z.strictObject({ order: z.literal(word), name: z.string() });

const order = z.discriminatedUnion('order', [
  z.strictObject({ order: z.literal('list') }),
  /** From now on, the ends of all programs are told on this connection. */
  z.strictObject({ order: z.literal('watch') }),
  /** Stops everything, then the supervisor ends. */
  z.strictObject({ order: z.literal('end') }),
  /** Starts it; one of the same spec that is there is left alone, another is replaced. */
  z.strictObject({ order: z.literal('launch'), spec: programSpec }),
  onProgram('remove'),
  onProgram('start'),
  onProgram('stop'),
  onProgram('kill'),
  onProgram('freeze'),
  onProgram('thaw'),
  z.strictObject({
    order: z.literal('signal'),
    name: z.string(),
    signal: z.enum(['TERM', 'HUP', 'USR2']),
  }),
  z.strictObject({ order: z.literal('limit_files'), name: z.string(), limit: z.number().min(1) }),
  onProgram('unlimit_files'),
  /** Answered with the path of strace's log, once it holds every thread. */
  trace.extend({ order: z.literal('trace') }),
  onProgram('untrace'),
]);

const programState = z.strictObject({
  spec: programSpec,
  pid: z.number().nullable(),
  frozen: z.boolean(),
  /** False after `stop`: it stays down. */
  wanted: z.boolean(),
  generation: z.string(),
  /** ISO 8601; null before the first start. */
  started_at: z.string().nullable(),
  restarts: z.number(),
  limited: z.boolean(),
  traced: z.boolean(),
});

export const list = z.strictObject({
  pid: z.number(),
  /** Of the supervisor's own sources. */
  sources: z.string(),
  programs: z.array(programState),
});

const ended = z.strictObject({
  wall_us: z.number(),
  /** On the machine's monotonic clock, which all its processes have in common. */
  machine_ms: z.number(),
  process: z.string(),
  code: z.number().nullable(),
  signal: z.string().nullable(),
  injected: z.boolean(),
});

export const request = z.strictObject({ id: z.number(), order });

export const message = z.union([
  z.strictObject({ id: z.number(), answer: z.unknown() }),
  z.strictObject({ id: z.number(), refused: z.string() }),
  z.strictObject({ ended }),
]);

export type ProgramSpec = z.infer<typeof programSpec>;
export type ProgramState = z.infer<typeof programState>;
export type Order = z.infer<typeof order>;
export type SupervisorState = z.infer<typeof list>;
export type Ended = z.infer<typeof ended>;
export type Request = z.infer<typeof request>;
export type Message = z.infer<typeof message>;
