/**
 * What a producer needs from outside: time, chance, its queue's thread, a way to the server and a
 * place for dead letters. Here is the port and the real thing; tests run the same producer on
 * modelled ones. Nothing else in this room asks the operating system for any of these.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { type DeadLetter, keepDeadLetter } from './dead-letters.ts';
import { dial, type LinkSocket, type LinkTarget } from './link.ts';
import { wallTime } from './older-node.ts';
import { startThread } from './queue/queue-thread.ts';
import type { StartThread } from './queue/thread.ts';

export interface Surroundings {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Microseconds since 1970 UTC. */
  readonly wallTime: () => number;
  /** Calls once, after that many milliseconds. Answers how to call it off. */
  readonly after: (ms: number, call: () => void) => () => void;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly randomUuid: () => string;
  readonly dial: (target: LinkTarget) => LinkSocket;
  readonly startQueueThread: StartThread;
  /** On disk when it resolves; rejects with the file system's error. */
  readonly keepDeadLetter: (queuePath: string, letter: DeadLetter) => Promise<void>;
}

export const REAL_SURROUNDINGS: Surroundings = {
  now: () => performance.now(),
  wallTime,
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
  randomBytes,
  randomUuid: randomUUID,
  dial,
  startQueueThread: startThread,
  keepDeadLetter,
};
