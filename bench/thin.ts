/**
 * Goodput: payload bytes that a thin or a far link brings into the store, over what a bare socket
 * brings through the same toxics at the same time. Whole samples as the collector makes them, with
 * compression and without, and small frames of noise, for which the protocol's own bytes weigh most.
 *
 * The queue is full before the link is opened, so it is the link that limits. All links are measured
 * side by side, each with programs of its own: they need little of the machine. Behind it the links
 * are made whole, the rest drains, and everything is verified as in every benchmark.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Link } from '#lab/link.ts';
import type { ToxicOrder } from '#lab/toxics.ts';
import { BenchError } from './errors.ts';
import type { Aim, Figure } from './figures.ts';
import { type Arrival, bytesPerS, bytesPerSInAll, type Span, slicesOf } from './goodput.ts';
import { type Bench, type Pipeline, planOf, startLink, startPipeline } from './pipeline.ts';
import type { Running } from './programs.ts';
import type { Proof, Result } from './result.ts';
import { arrivedBytes } from './server-counts.ts';
import { type FramePlan, payloadOf } from './source/frames.ts';
import { verify } from './verification.ts';
import { BareFlow } from './wire/bare-flow.ts';

const AIM_PLAIN = 0.95;
const AIM_COMPRESSED = 4;
const BYTES_PER_KB = 1_000;
const NOISE_BYTES = 200;
/** What a link may take until its first ack. */
const START_MS_MAX = 20_000;
const STEP_US = 1_000_000;
const LENGTHS_TAKEN = 100;
const FIRST_ACK = { type: 'acked-past', frames: 0 } as const;

/** What is sent, and how. */
interface Load {
  readonly name: string;
  readonly words: string;
  readonly content: 'noise' | 'samples';
  readonly compression: 'auto' | 'off';
  readonly aims: readonly Aim[];
  /** More payload bytes than go into one on the wire. */
  readonly ratioMax: number;
}

const SAMPLES: Load = {
  name: 'samples',
  words: 'samples as the collector makes them, compression off',
  content: 'samples',
  compression: 'off',
  aims: [{ of: 'median', at: 'least', value: AIM_PLAIN }],
  ratioMax: 1,
};
const COMPRESSED: Load = {
  name: 'samples, compressed',
  words: 'samples as the collector makes them, compression as it is by default',
  content: 'samples',
  compression: 'auto',
  aims: [{ of: 'median', at: 'least', value: AIM_COMPRESSED }],
  ratioMax: 26,
};
const NOISE: Load = {
  name: `noise of ${NOISE_BYTES} bytes`,
  words: `frames of ${NOISE_BYTES} incompressible bytes, compression off`,
  content: 'noise',
  compression: 'off',
  aims: [],
  ratioMax: 1,
};

/** A link, and what is sent over ones like it. */
interface Course {
  readonly kbPerS: number;
  readonly words: string;
  readonly toxics: readonly ToxicOrder[];
  readonly loads: readonly Load[];
}

interface Plan {
  readonly name: string;
  readonly courses: readonly Course[];
  /** From the first ack on all links until the measurement begins. */
  readonly warmUpMs: number;
  readonly sliceMs: number;
  readonly slices: number;
  /** How what comes in a slice is reckoned, and the same in words. */
  readonly rateOf: (arrivals: readonly Arrival[], slice: Span) => number;
  readonly rateWords: string;
  /** Into how many parts all of it is divided besides, to show where little came; 1 where it isn't. */
  readonly parts: number;
  /** Whether it is told what passes until a link is full. */
  readonly tellsStart: boolean;
}

const thinBy = (kbPerS: number): ToxicOrder => {
  return { type: 'bandwidth', stream: 'upstream', attributes: { rate: kbPerS } };
};

const THIN: readonly Course[] = [1, 4, 64].map((kbPerS) => {
  const words = `${kbPerS} KB/s towards the server`;
  return { kbPerS, words, toxics: [thinBy(kbPerS)], loads: [SAMPLES, COMPRESSED, NOISE] };
});

const FAR_KB_PER_S = 1_000;
const FAR_LATENCY_MS = 1_000;
const FAR: Course = {
  kbPerS: FAR_KB_PER_S,
  words: `${FAR_KB_PER_S} KB/s towards the server, ${FAR_LATENCY_MS} ms later in each direction`,
  toxics: [
    thinBy(FAR_KB_PER_S),
    ...(['upstream', 'downstream'] as const).map((stream): ToxicOrder => {
      return { type: 'latency', stream, attributes: { latency: FAR_LATENCY_MS, jitter: 0 } };
    }),
  ],
  loads: [SAMPLES, NOISE],
};

/** Links of 1, 4 and 64 KB/s. */
export function measureThin(bench: Bench): Promise<Result> {
  // On the thinnest a message may take six seconds, and a rate takes two.
  const times = {
    short: { warmUpMs: 4_000, sliceMs: 16_000, slices: 1 },
    full: { warmUpMs: 12_000, sliceMs: 15_000, slices: 4 },
  };
  return measure(bench, {
    name: 'thin',
    courses: THIN,
    ...times[bench.size],
    rateOf: bytesPerS,
    rateWords: 'from the first arrival to the last',
    parts: 1,
    tellsStart: false,
  });
}

/**
 * A round trip of 2 s, and 1 MB/s. In full longer than a minute as one span: so often at most is the window
 * closed to measure the path, and no slice shall be spared that.
 */
export function measureFar(bench: Bench): Promise<Result> {
  const times = {
    short: { warmUpMs: 15_000, sliceMs: 8_000, parts: 1 },
    full: { warmUpMs: 15_000, sliceMs: 64_000, parts: 8 },
  };
  return measure(bench, {
    name: 'far',
    courses: [FAR],
    ...times[bench.size],
    slices: 1,
    rateOf: bytesPerSInAll,
    rateWords: 'all of that time, whatever came in it',
    tellsStart: true,
  });
}

/** A link with its programs, while it is measured. */
interface Lane {
  readonly course: Course;
  readonly load: Load;
  readonly plan: FramePlan;
  readonly pipeline: Pipeline;
  readonly directory: string;
}

interface BareLane {
  readonly course: Course;
  readonly flow: BareFlow;
  readonly link: Link;
  readonly port: number;
  readonly toxiproxy: Running;
}

/** What came of a lane. */
interface Measured {
  readonly course: Course;
  readonly load: Load;
  /** Payloads, by when their rows came into the store. */
  readonly arrivals: readonly Arrival[];
  /** Of all that reached the server while it was measured. */
  readonly wireBytesPerS: number;
  readonly proof: Proof;
}

async function measure(bench: Bench, plan: Plan): Promise<Result> {
  bench.progress(`${plan.name}: starting and filling queues`);
  const bare = await Promise.all(plan.courses.map((course) => startBare(bench, course)));
  try {
    return await measureBeside(bench, plan, bare);
  } finally {
    for (const { flow } of bare) flow.stop();
  }
}

async function measureBeside(bench: Bench, plan: Plan, bare: readonly BareLane[]): Promise<Result> {
  const { courses, name, warmUpMs, sliceMs, slices } = plan;
  const lanes: Lane[] = [];
  // One after the other: many that start at once only hold each other up.
  for (const course of courses) {
    for (const load of course.loads) lanes.push(await startLane(bench, plan, course, load));
  }
  await Promise.all([
    ...bare.map(async ({ course, link, flow, port }) => {
      await open(link, course);
      flow.start(port);
    }),
    ...lanes.map(({ pipeline, course }) => open(pipeline.link, course)),
  ]);
  const openedMs = Date.now();
  await Promise.all(lanes.map(({ pipeline }) => pipeline.source.ask(FIRST_ACK)));
  await delay(warmUpMs, undefined, { signal: bench.signal });
  bench.progress(`${name}: measuring for ${(slices * sliceMs) / 1_000} s`);
  const fromMs = Date.now();
  const before = await Promise.all(lanes.map(countOf));
  await delay(slices * sliceMs, undefined, { signal: bench.signal });
  const toMs = Date.now();
  const after = await Promise.all(lanes.map(countOf));
  for (const { flow, toxiproxy } of bare) {
    flow.stop();
    await toxiproxy.stop();
  }
  const measured: Measured[] = [];
  for (const [i, lane] of lanes.entries()) {
    const [first, last] = [before[i], after[i]];
    if (first && last) measured.push(await finish(lane, first, last));
  }
  const figures = courses.flatMap((course) => {
    const flow = bare.find((one) => one.course === course)?.flow;
    const own = measured.filter((one) => one.course === course);
    return figuresOf(plan, course, { openedMs, fromMs, toMs }, own, flow?.arrivals ?? []);
  });
  return { figures, proofs: measured.map(({ proof }) => proof) };
}

async function startBare(bench: Bench, course: Course): Promise<BareLane> {
  const directory = join(bench.directory, `bare-${course.kbPerS}`);
  await mkdir(directory);
  const flow = await BareFlow.listen();
  const { link, port, toxiproxy } = await startLink(bench, directory, flow.port);
  await link.cut();
  return { course, flow, link, port, toxiproxy };
}

async function startLane(bench: Bench, plan: Plan, course: Course, load: Load): Promise<Lane> {
  const name = `${load.name}-${course.kbPerS}`.replaceAll(/[ ,]+/g, '-');
  const { content, compression } = load;
  const frames: FramePlan = { ...planOf(bench, NOISE_BYTES), content, stepUs: STEP_US };
  const pipeline = await startPipeline(bench, name, frames, {}, { compression });
  await pipeline.source.ask({ type: 'fill', frames: framesFor(plan, course, load, frames) });
  return { course, load, plan: frames, pipeline, directory: join(bench.directory, name) };
}

/** More than the link can carry until the measurement ends. */
function framesFor(plan: Plan, { kbPerS }: Course, { ratioMax }: Load, frames: FramePlan): number {
  const lengths = Array.from({ length: LENGTHS_TAKEN }, (_, n) => payloadOf(frames, n).length);
  const meanBytes = lengths.reduce((sum, bytes) => sum + bytes, 0) / lengths.length;
  const spanMs = START_MS_MAX + plan.warmUpMs + plan.slices * plan.sliceMs;
  return Math.ceil((kbPerS * spanMs * ratioMax) / meanBytes);
}

async function open(link: Link, { toxics }: Course): Promise<void> {
  await link.add(toxics);
  await link.open();
}

/** What is known of a lane at a moment. */
interface Count {
  readonly atMs: number;
  readonly arrivedBytes: number;
  readonly queueFrames: number;
  readonly resent: number;
}

async function countOf({ pipeline: { server, source } }: Lane): Promise<Count> {
  const { status } = await source.ask({ type: 'facts' });
  const arrived = await arrivedBytes(server.api);
  const { queue, counters } = status;
  const { resent } = counters;
  return { atMs: Date.now(), arrivedBytes: arrived, queueFrames: queue.frames, resent };
}

/** The link is made whole, what is left drains, and the store is asked what came, and when. */
async function finish(lane: Lane, before: Count, after: Count): Promise<Measured> {
  const { course, load, plan, pipeline, directory } = lane;
  const { source, server, restore, stop } = pipeline;
  const of = `${load.name}, ${course.kbPerS} KB/s`;
  if (after.queueFrames === 0) throw new BenchError(`${of}: the queue was empty before the end`);
  await restore();
  const { sent } = await source.ask({ type: 'empty' });
  const arrivals: Arrival[] = [];
  const verification = await verify(server.api, plan, sent, ({ receivedAt, payload }) =>
    arrivals.push({ atMs: receivedAt / 1_000, bytes: payload.length }),
  );
  await stop();
  await rm(directory, { recursive: true });
  const seconds = (after.atMs - before.atMs) / 1_000;
  return {
    course,
    load,
    arrivals: arrivals.sort((a, b) => a.atMs - b.atMs),
    wireBytesPerS: (after.arrivedBytes - before.arrivedBytes) / seconds,
    proof: { of, ...verification, resent: after.resent, resentMax: 0 },
  };
}

interface Times extends Span {
  readonly openedMs: number;
}

function figuresOf(
  plan: Plan,
  { kbPerS, words }: Course,
  { openedMs, ...span }: Times,
  measured: readonly Measured[],
  bareArrivals: readonly Arrival[],
): Figure[] {
  const nominal = kbPerS * BYTES_PER_KB;
  const ratesOf = (arrivals: readonly Arrival[], count: number) =>
    slicesOf(span, count).map((slice) => plan.rateOf(arrivals, slice));
  const over = (some: readonly number[], others: readonly number[]) =>
    some.map((perS, i) => perS / (others[i] ?? Number.NaN));
  const bare = ratesOf(bareArrivals, plan.slices);
  const bareInAll = plan.rateOf(bareArrivals, span);
  const at = plan.courses.length > 1 ? { at: { value: kbPerS, unit: 'KB/s' } } : {};
  const times = plan.slices > 1 ? `${plan.slices} times ` : '';
  const inAll = `over ${times}${plan.sliceMs / 1_000} s, ${plan.rateWords}`;
  const ratio = (name: string, samples: readonly number[], method: string): Figure => {
    return { name, unit: 'ratio', better: 'more', samples, method, ...at };
  };
  const ofLoad = ({ load, arrivals, wireBytesPerS }: Measured): Figure[] => {
    const goodput = ratesOf(arrivals, plan.slices);
    const nominalWords = `over the nominal ${kbPerS} KB/s (${BYTES_PER_KB} bytes each)`;
    return [
      {
        ...ratio(
          `${load.name}: goodput / link`,
          over(goodput, bare),
          `payload bytes that come into the store a second, over what a bare socket brings through the same toxics at the same time; ${load.words}, ${words}, ${inAll}`,
        ),
        aims: load.aims,
      },
      ratio(
        `${load.name}: goodput / nominal rate`,
        goodput.map((perS) => perS / nominal),
        `the same ${nominalWords}`,
      ),
      ratio(
        `${load.name}: arrived / link`,
        [wireBytesPerS / bareInAll],
        'all bytes that reach the server, the protocol’s own included, over what the bare socket brings',
      ),
      ...(plan.parts > 1
        ? [
            ratio(
              `${load.name}: goodput / link, in parts`,
              over(ratesOf(arrivals, plan.parts), ratesOf(bareArrivals, plan.parts)),
              `the same in ${plan.parts} equal parts of that time, one after the other: less came where the window was closed to measure the path`,
            ),
          ]
        : []),
      ...(plan.tellsStart ? [startFigure(load, arrivals, { openedMs, ...span }, bareInAll)] : []),
    ];
  };
  return [
    ...measured.flatMap(ofLoad),
    {
      ...ratio(
        'limit: bare socket / nominal rate',
        bare.map((perS) => perS / nominal),
        `bytes over one socket through the same toxics at the same time, ${words}, ${inAll}`,
      ),
      better: 'neither',
    },
  ];
}

/** What of its time a link stood idle until it was measured. */
function startFigure(
  { name }: Load,
  arrivals: readonly Arrival[],
  { openedMs, fromMs }: Times,
  linkBytesPerS: number,
): Figure {
  const bytes = arrivals.reduce((sum, one) => sum + (one.atMs < fromMs ? one.bytes : 0), 0);
  return {
    name: `${name}: idle at its start`,
    unit: 's',
    samples: [(fromMs - openedMs) / 1_000 - bytes / linkBytesPerS],
    method:
      'from the opening of the link until the measurement, less what the payloads that came by then take at the rate of the bare socket: the dial, the handshake, and finding out how much the path holds',
  };
}
