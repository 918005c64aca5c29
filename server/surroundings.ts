/**
 * Where time and chance come from for the connections of collectors: the port, and the real thing.
 * Tests run the same connections on modelled ones.
 */
import { randomBytes, randomUUID } from 'node:crypto';

/** The wall clock in microseconds since 1970 UTC. */
export function wallTime(): number {
  return Date.now() * 1_000;
}

export interface Surroundings {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Microseconds since 1970 UTC. */
  readonly wallTime: () => number;
  /** Calls once, after that many milliseconds. Answers how to call it off. */
  readonly after: (ms: number, call: () => void) => () => void;
  /** Calls once, when the bytes that have already arrived on any socket have been read. */
  readonly afterReads: (call: () => void) => void;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly randomUuid: () => string;
}

export const REAL_SURROUNDINGS: Surroundings = {
  now: () => performance.now(),
  wallTime,
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
  afterReads: setImmediate,
  randomBytes,
  randomUuid: randomUUID,
};
