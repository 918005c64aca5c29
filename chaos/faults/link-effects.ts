/**
 * What a fault of the link does to a connection of our own through it, or to packets: signs that
 * show even where the pipeline has little to say. Each is put beside signs of the pipeline itself,
 * for a connection from this machine sees less of what goes towards the server.
 */

import type { Traffic } from '#lab/ground/ground.ts';
import { LONG_BYTES, type Probe, probeLink, type Saying } from '#lab/link-probe.ts';
import { waitUntil } from '../observe/wait.ts';
import type { Target } from './arguments.ts';
import type { Effect, Scene } from './fault.ts';
import { API_PORT, entranceUrl } from './services.ts';

/** Tries of which the fastest counts, for a busy machine is slow, too; one, where it can't be that. */
const TRIES = 3;
const BEYOND_DOUBT_MS = 1_000;
const PATIENCE_MS = 10_000;
/** What is asked for of a time that was ordered: timers and rates are not exact. */
const SHARE = 0.7;
/** Less than this could be the machine. */
const TELLING_MS = 20;
/** GREETING comes in one piece, or in two at the utmost. */
const PIECES_MIN = 4;
/** Enough that a few whole packets of other conversations don't matter. */
const SLICED_PACKETS = 1_000;
/** A packet has 66 bytes of Ethernet, IP and TCP before its first own byte. */
const SLICED_PACKET_BYTES_MAX = 90;
/** The longest that a late end is waited for. */
const LATE_END_MS_MAX = 5_000;

/** What is said through the link comes to the server so late; in milliseconds, as it was ordered. */
export function lateThere(orderedMs: number): Effect {
  return late(orderedMs, 'nonsense through the link was judged', ({ endedMs }) => endedMs);
}

/** The server's first word comes so late; in milliseconds, as it was ordered. */
export function lateBack(orderedMs: number): Effect {
  return late(orderedMs, 'the server was heard through the link', ({ firstByteMs }) => firstByteMs);
}

function late(orderedMs: number, what: string, timeOf: (probe: Probe) => number | null): Effect {
  return async (scene) => {
    const leastMs = SHARE * orderedMs;
    requireTelling(leastMs, 'the delay');
    const patienceMs = PATIENCE_MS + 2 * orderedMs;
    const tookMs = await fastest(scene, 'nonsense', patienceMs, timeOf);
    requireAtLeast(tookMs, leastMs, what);
    return `${what} after ${Math.round(tookMs)} ms`;
  };
}

/** What is sent is judged so late, at so many kilobytes a second. */
export function slowUpload(rateKbps: number): Effect {
  return async (scene) => {
    const leastMs = (SHARE * LONG_BYTES) / rateKbps;
    requireTelling(leastMs, `${LONG_BYTES} bytes at ${rateKbps} kB/s`);
    const patienceMs = PATIENCE_MS + 2 * leastMs;
    const tookMs = await fastest(scene, 'long', patienceMs, ({ endedMs }) => endedMs);
    requireAtLeast(tookMs, leastMs, `${LONG_BYTES} bytes through the link were judged`);
    return `${LONG_BYTES} bytes took ${Math.round(tookMs)} ms through the link`;
  };
}

/** The same for slices of so many bytes with so many microseconds in between. */
export function slicedUpload(sliceBytes: number, delayUs: number): Effect {
  return slowUpload(delayUs === 0 ? Infinity : (1_000 * sliceBytes) / delayUs);
}

/** The server's first word comes in many small pieces. */
export const greetingInPieces: Effect = async (scene) => {
  let most = 0;
  await waitUntil(
    'GREETING comes in pieces',
    async () => {
      const { pieces } = await ask(scene, 'nonsense', PATIENCE_MS);
      most = Math.max(most, pieces.length);
      return most >= PIECES_MIN;
    },
    { deadlineMs: PATIENCE_MS, signal: scene.signal, describe: () => `${most} at the most` },
  );
  return `what the server says first came in ${most} pieces`;
};

/** A connection that the server ends has its end so late here; in milliseconds, as it was ordered. */
export function lateEnd(orderedMs: number): Effect {
  return async (scene) => {
    const leastMs = SHARE * Math.min(orderedMs, LATE_END_MS_MAX);
    requireTelling(leastMs, 'the end');
    const { firstByteMs, endedMs } = await ask(scene, 'nonsense', leastMs);
    // Silent from the beginning it would be another fault.
    if (firstByteMs === null) throw new Error('the server was not heard through the link');
    if (endedMs !== null) throw new Error(`a connection ended after ${Math.round(endedMs)} ms`);
    return `a connection that the server ended was open here for ${Math.round(leastMs)} ms more`;
  };
}

/** A connection that ends here is there so long at the server; in milliseconds, as it was ordered. */
export function lateEndAtServer(orderedMs: number): Effect {
  return async (scene) => {
    const leastMs = SHARE * Math.min(orderedMs, LATE_END_MS_MAX);
    requireTelling(leastMs, 'the end');
    const { firstByteMs } = await ask(scene, 'nothing', PATIENCE_MS);
    if (firstByteMs === null) throw new Error('the server was not heard through the link');
    const endedMs = performance.now();
    let most = 0;
    await waitUntil(
      'the server has a connection that ended here',
      async () => {
        most = await unproven(scene);
        if (most === 0) throw new Error('the server has no connection that ended here');
        return performance.now() - endedMs >= leastMs;
      },
      { deadlineMs: leastMs + PATIENCE_MS, signal: scene.signal },
    );
    return `the server had a connection for ${Math.round(leastMs)} ms more that had ended here`;
  };
}

/** What reaches the program comes in very small packets, by the counters of its interface. */
export function crumbs(target: Target): Effect {
  return async ({ ground, signal }) => {
    const service = ground.service(target);
    const cannot = ground.cannot('traffic');
    if (cannot !== null) throw new Error(`packets can't be counted here: ${cannot}`);
    const before = await service.traffic();
    let bytesEach = Infinity;
    await waitUntil(
      `packets to the ${target} are tiny`,
      async () => {
        bytesEach = packetBytes(before, await service.traffic());
        return bytesEach <= SLICED_PACKET_BYTES_MAX;
      },
      { signal, describe: () => bytesEach },
    );
    return `packets to the ${target} had ${bytesEach.toFixed(1)} bytes with all their headers`;
  };
}

/** Infinity while there are too few to tell. */
function packetBytes(before: Traffic, after: Traffic): number {
  const packets = after.rxPackets - before.rxPackets;
  return packets < SLICED_PACKETS ? Infinity : (after.rxBytes - before.rxBytes) / packets;
}

async function ask(scene: Scene, say: Saying, patienceMs: number): Promise<Probe> {
  return probeLink(await entranceUrl(scene), { say, patienceMs, signal: scene.signal });
}

/** Of a few tries; infinite when it never came to that. */
async function fastest(
  scene: Scene,
  say: Saying,
  patienceMs: number,
  timeOf: (probe: Probe) => number | null,
): Promise<number> {
  let least = Infinity;
  for (let tries = 0; tries < TRIES; tries += 1) {
    const probe = await ask(scene, say, patienceMs);
    if (probe.firstByteMs === null) throw new Error(`the link does not answer: ${probe.error}`);
    least = Math.min(least, timeOf(probe) ?? Infinity);
    if (least >= BEYOND_DOUBT_MS) break;
  }
  return least;
}

function requireTelling(leastMs: number, what: string): void {
  if (leastMs >= TELLING_MS) return;
  throw new Error(`${what} takes ${leastMs.toFixed(1)} ms, too little to tell`);
}

function requireAtLeast(tookMs: number, leastMs: number, what: string): void {
  if (tookMs >= leastMs) return;
  throw new Error(
    `${what} after ${Math.round(tookMs)} ms, where ${Math.round(leastMs)} ms were due`,
  );
}

/** How many connections at the server have not come to their HELLO. */
async function unproven({ ground, signal }: Scene): Promise<number> {
  const url = `${await ground.service('server').url(API_PORT)}/metrics`;
  const text = await (await fetch(url, { signal })).text();
  const line = text.match(/^holdfast_ingest_connections\{state="greeting"\} (\d+)$/m);
  if (line === null) throw new Error('the server does not count its connections');
  return Number(line[1]);
}
