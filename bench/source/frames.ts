/**
 * The frames that a benchmark sends: payload and capture time of frame n follow from the seed and n
 * alone, so what the server stored can be judged without having kept what was sent.
 *
 * A payload opens with its n, and is noise behind that: no compressor gets it smaller. Or it is JSON with
 * three numbers, such as a server makes charts of, filled up with noise; or a sample (`samples.ts`).
 */
import { sampleOf } from './samples.ts';

export interface FramePlan {
  /** A u32. */
  readonly seed: number;
  /** At least 8; of JSON at least 160. Samples are as long as they are. */
  readonly payloadBytes: number;
  /** Noise when left out. */
  readonly content?: 'noise' | 'json' | 'samples';
  /** Of a plan of noise: so many of the first frames are JSON all the same; 0 when left out. */
  readonly jsonFrames?: number;
  /** Capture time of frame 0, in microseconds since 1970 UTC. */
  readonly startedAt: number;
  /** How long after frame n − 1 frame n was captured, in microseconds; {@link STEP_US} when left out. */
  readonly stepUs?: number;
}

const INDEX_BYTES = 8;

const STEP_US = 1_001;

/** The metrics of a JSON payload, beside its `n`. */
export const METRICS = ['bench.level', 'bench.total'] as const;

/** A buffer of its own. */
export function payloadOf(plan: FramePlan, n: number): Buffer {
  switch (plan.content) {
    case 'json':
      return jsonOf(plan, n);
    case 'samples':
      return sampleOf(plan, n);
    default:
      return n < (plan.jsonFrames ?? 0) ? jsonOf(plan, n) : noiseOf(plan, n);
  }
}

function jsonOf(plan: FramePlan, n: number): Buffer {
  const [level, total] = METRICS;
  const metrics = [
    { name: level, unit: '1', value: Math.round(5_000 * (1 + Math.sin(n / 10_000))) / 10_000 },
    { name: total, unit: 'By', value: n * 4_096 },
  ];
  const head = `{"n":${n},"metrics":${JSON.stringify(metrics)},"fill":"`;
  const noise = noiseOf(plan, n)
    .toString('base64')
    .slice(0, plan.payloadBytes - head.length - 2);
  return Buffer.from(`${head}${noise}"}`);
}

function noiseOf({ seed, payloadBytes }: FramePlan, n: number): Buffer {
  const words = new Uint32Array(Math.ceil(payloadBytes / 4));
  let state = (seed ^ Math.imul(n + 1, 0x9e37_79b1)) >>> 0 || 1;
  for (let i = 0; i < words.length; i += 1) {
    // xorshift32 (Marsaglia 2003), with the index mixed in so that no two frames share a stretch.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = Math.imul(state + i, 0x85eb_ca6b);
  }
  const payload = Buffer.from(words.buffer, 0, payloadBytes);
  payload.writeBigUInt64BE(BigInt(n), 0);
  return payload;
}

export function capturedAtOf({ startedAt, stepUs = STEP_US }: FramePlan, n: number): number {
  return startedAt + n * stepUs;
}

/** How many frames have a capture time that has come. */
export function framesDue({ startedAt, stepUs = STEP_US }: FramePlan): number {
  return Math.max(0, Math.floor((Date.now() * 1_000 - startedAt) / stepUs) + 1);
}

/** Which frame a payload is, as far as it says so; undefined where it is too short for that. */
export function indexOf(payload: Buffer): number | undefined {
  // The n of noise would be 2^62 and more to begin with a brace.
  if (payload[0] === 0x7b)
    return Number(/^\{"n":(\d+),/.exec(payload.toString('latin1', 0, 24))?.[1]);
  return payload.length < INDEX_BYTES ? undefined : Number(payload.readBigUInt64BE(0));
}
