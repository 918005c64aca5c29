/**
 * What faults do: signs that a pipeline without the fault doesn't show. Each waits for its sign,
 * says in words what was seen, and rejects when there is nothing to see.
 */
import type { Traffic } from '../support/service.ts';
import { waitUntil } from '../support/wait.ts';
import type { Ground, Target } from './faults.ts';

export type Effect = (ground: Ground) => Promise<string>;

const STANDSTILL_MS = 1_000;
const SILENCE_MS = 1_000;
/** What the load brings in a second; a link in order leaves a few frames waiting. */
const SECOND_OF_FRAMES = 200;
const RECONNECTS = 5;
/** Enough that a few whole packets of other conversations don't matter. */
const SLICED_PACKETS = 1_000;
/** A packet has 66 bytes of Ethernet, IP and TCP before its first own byte. */
const SLICED_PACKET_BYTES_MAX = 90;

/** The store takes nothing, and the queue grows. */
export const standstill: Effect = async ({ observer }) => {
  let stored = -1;
  let sinceMs = 0;
  await observer.audit(`the store stands still for ${STANDSTILL_MS} ms`, ({ totals }) => {
    if (totals.stored !== stored) sinceMs = performance.now();
    stored = totals.stored;
    return performance.now() - sinceMs >= STANDSTILL_MS;
  });
  const { queue } = await observer.status(
    'frames wait in the queue',
    ({ queue: { frames } }) => frames >= SECOND_OF_FRAMES,
  );
  return `the store stood at ${stored} frames while ${queue.frames} waited`;
};

/** Standing still, with an error of this kind at the collector. */
export function failing(codes: readonly string[]): Effect {
  return async (ground) => {
    const { last_error } = await ground.observer.status(
      `the link fails with ${codes.join(' or ')}`,
      ({ state, last_error }) => state !== 'Ready' && codes.includes(last_error?.code ?? ''),
    );
    return `${last_error?.code}; ${await standstill(ground)}`;
  };
}

/** Much more than usual is under way, on a connection that goes on. */
export const lag: Effect = async ({ observer }) => {
  const { queue } = await observer.status(
    'a second of frames is under way',
    ({ state, queue: { frames } }) => state === 'Ready' && frames >= SECOND_OF_FRAMES,
  );
  return `${queue.frames} frames were under way on a link that was Ready`;
};

/** Less gets through than comes in. */
export function backlog(frames: number): Effect {
  return async ({ observer }) => {
    const { queue } = await observer.status(
      `${frames} frames wait in the queue`,
      (status) => status.queue.frames >= frames,
    );
    return `${queue.frames} frames waited`;
  };
}

/** Connection after connection is lost. */
export const reconnects: Effect = async ({ observer }) => {
  const before = await observer.status('there is a status', () => true);
  const from = before.counters.connections;
  const { counters } = await observer.status(
    `${RECONNECTS} more connections were made`,
    ({ counters: { connections } }) => connections >= from + RECONNECTS,
  );
  return `${counters.connections - from} connections were made`;
};

/** What reaches the target comes in very small packets, by the counters of its interface. */
export function crumbs(target: Target): Effect {
  return async ({ stack }) => {
    const before = await stack[target].traffic();
    let bytesEach = Infinity;
    await waitUntil(
      `packets to the ${target} are tiny`,
      async () => {
        bytesEach = packetBytes(before, await stack[target].traffic());
        return bytesEach <= SLICED_PACKET_BYTES_MAX;
      },
      { describe: () => bytesEach },
    );
    return `packets to the ${target} had ${bytesEach.toFixed(1)} bytes with all their headers`;
  };
}

/** Infinity while there are too few to tell. */
function packetBytes(before: Traffic, after: Traffic): number {
  const packets = after.rxPackets - before.rxPackets;
  return packets < SLICED_PACKETS ? Infinity : (after.rxBytes - before.rxBytes) / packets;
}

/** The engine saw it end by a SIGKILL that was sent here. */
export function died(target: Target): Effect {
  return async ({ stack }) => {
    const killed = () => stack[target].exits.find(({ code, injected }) => injected && code === 137);
    await waitUntil(`the engine tells the end of the ${target}`, () => killed() !== undefined);
    return 'the engine told its end by SIGKILL';
  };
}

/** strace had a call fail, and the engine saw the program end with exit code 1 by itself. */
export function ended(target: Target): Effect {
  return async ({ stack }) => {
    const { fault } = stack.tracing(target);
    await waitUntil(
      `a ${fault.call} of the ${target} fails`,
      () => stack.tracing(target).calls.wrong > 0,
      { describe: () => stack.tracing(target).calls },
    );
    const end = () => stack[target].exits.find(({ injected, code }) => injected && code === 1);
    await waitUntil(`the engine tells the end of the ${target}`, () => end() !== undefined);
    return `strace had ${fault.call} ${fault.from} fail, and the program ended with exit code 1`;
  };
}

/** strace had calls wait or fail; frames went on to be accepted and stored, or did so again. */
export function wrongCalls(target: Target): Effect {
  return async ({ stack, observer }) => {
    const { fault } = stack.tracing(target);
    const count = fault.to - fault.from + 1;
    const before = await observer.status('there is a status', () => true);
    await waitUntil(
      `${count} calls of the ${target} went wrong`,
      () => stack.tracing(target).calls.wrong >= count,
      { describe: () => stack.tracing(target).calls },
    );
    const after = await observer.status(
      'frames were acked since',
      ({ counters }) => counters.acked > before.counters.acked + SECOND_OF_FRAMES,
    );
    const acked = after.counters.acked - before.counters.acked;
    return `strace had ${count} calls of ${fault.call} go wrong; ${acked} frames were acked since`;
  };
}

/** It neither answers nor refuses. */
export function silent(target: Target): Effect {
  return async (ground) => {
    const { stack, observer } = ground;
    const { paused } = await stack[target].state();
    if (!paused) throw new Error(`the engine says that the ${target} is not paused`);
    const asked = performance.now();
    await stack.ready(stack[target]).then(
      () => Promise.reject(new Error(`the ${target} answered in its freeze`)),
      () => undefined,
    );
    const silentMs = Math.round(performance.now() - asked);
    if (silentMs < SILENCE_MS) throw new Error(`the ${target} refused after ${silentMs} ms`);
    const { queue } = await observer.status(
      'frames wait in the queue',
      ({ queue: { frames } }) => frames >= SECOND_OF_FRAMES,
    );
    return `no answer within ${silentMs} ms, and ${queue.frames} frames waited`;
  };
}
