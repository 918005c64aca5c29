/**
 * What a fault of the link does to a connection of our own through it, or to packets: signs that
 * show even where the pipeline has little to say. Each is put beside signs of the pipeline itself,
 * for a connection from this machine sees less of what goes towards the server.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { PORT_IN_COMPOSE, type Traffic } from '#lab/ground/ground.ts';
import { LONG_BYTES, type Probe, probeLink, type Saying } from '#lab/link-probe.ts';
import { waitUntil } from '../observe/wait.ts';
import type { Target } from './arguments.ts';
import type { Effect, Scene } from './fault.ts';
import { entranceUrl } from './services.ts';

/** Tries of which the fastest counts, for a busy machine is slow, too; fewer where they take long. */
const TRIES_MAX = 20;
const TRYING_MS = 1_000;
/** Before the fault for so long, while what is due would be hidden by how busy the machine is. */
const TRYING_BEFORE_MS_MAX = 5_000;
const PATIENCE_MS = 10_000;
const POLL_MS = 50;
/** What is asked for of a time that was ordered: timers and rates are not exact. */
const SHARE = 0.6;
/** Less than this could be the machine. */
const TELLING_MS = 15;
/** GREETING comes in one piece, or in two at the utmost. */
const PIECES_MIN = 4;
/** Enough that a few whole packets of other conversations don't matter. */
const SLICED_PACKETS = 1_000;
/** A packet has 66 bytes of Ethernet, IP and TCP before its first own byte. */
const SLICED_PACKET_BYTES_MAX = 90;
/** The longest that a late end is waited for. */
const LATE_END_MS_MAX = 5_000;

/**
 * A time that the link takes longer than before the fault, whatever the machine is busy with:
 * `before` takes it once, before the fault is there.
 */
export class Longer {
  readonly #what: string;
  readonly #say: Saying;
  readonly #timeOf: (probe: Probe) => number | null;
  readonly #orderedMs: number;
  #beforeMs = Infinity;

  /** What is said through the link comes to the server so late; in milliseconds, as it was ordered. */
  static there(orderedMs: number): Longer {
    const what = 'nonsense through the link was judged';
    return new Longer(what, 'nonsense', ({ endedMs }) => endedMs, orderedMs);
  }

  /** The server's first word comes so late; in milliseconds, as it was ordered. */
  static back(orderedMs: number): Longer {
    const what = 'the server was heard through the link';
    return new Longer(what, 'nonsense', ({ firstByteMs }) => firstByteMs, orderedMs);
  }

  /** What is sent comes to the server at so many kilobytes a second. */
  static upload(rateKbps: number): Longer {
    const what = `${LONG_BYTES} bytes through the link were judged`;
    return new Longer(what, 'long', ({ endedMs }) => endedMs, LONG_BYTES / rateKbps);
  }

  /** The same for slices of so many bytes with so many microseconds in between. */
  static slices(sliceBytes: number, delayUs: number): Longer {
    return Longer.upload(delayUs === 0 ? Infinity : (1_000 * sliceBytes) / delayUs);
  }

  private constructor(
    what: string,
    say: Saying,
    timeOf: (probe: Probe) => number | null,
    orderedMs: number,
  ) {
    this.#what = what;
    this.#say = say;
    this.#timeOf = timeOf;
    this.#orderedMs = orderedMs;
  }

  /** Without an answer there is nothing to compare with, and no sign later. */
  readonly before = async (scene: Scene): Promise<void> => {
    const beganMs = performance.now();
    let leastMs = Infinity;
    do {
      const tookMs = await this.#fastest(scene, PATIENCE_MS).catch(() => Infinity);
      leastMs = Math.min(leastMs, tookMs);
      scene.signal.throwIfAborted();
      if (tookMs === Infinity) break;
    } while (
      leastMs > Math.max(TELLING_MS, SHARE * this.#orderedMs) &&
      performance.now() - beganMs < TRYING_BEFORE_MS_MAX
    );
    this.#beforeMs = leastMs;
  };

  readonly effect: Effect = async (scene) => {
    const dueMs = SHARE * this.#orderedMs;
    if (dueMs < TELLING_MS) {
      throw new Error(`${dueMs.toFixed(1)} ms more are too little to tell`);
    }
    const patienceMs = PATIENCE_MS + 2 * this.#orderedMs;
    const tookMs = await this.#fastest(scene, patienceMs, this.#beforeMs + dueMs);
    const told = `${this.#what} after ${Math.round(tookMs)} ms, where it took ${Math.round(this.#beforeMs)} ms before`;
    if (tookMs < this.#beforeMs + dueMs)
      throw new Error(`${told}: ${Math.round(dueMs)} more are due`);
    return told;
  };

  /** Of a few tries, or the first that is faster than `enoughMs`. */
  async #fastest(scene: Scene, patienceMs: number, enoughMs = 0): Promise<number> {
    const beganMs = performance.now();
    let leastMs = Infinity;
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const probe = await ask(scene, this.#say, patienceMs);
      const tookMs = this.#timeOf(probe);
      if (tookMs === null || !probe.connected) {
        throw new Error(`the link does not answer: ${probe.error ?? 'not in time'}`);
      }
      leastMs = Math.min(leastMs, tookMs);
      if (leastMs < enoughMs || performance.now() - beganMs >= TRYING_MS) break;
    }
    return leastMs;
  }
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
    const before = await unproven(scene);
    const { firstByteMs } = await ask(scene, 'nothing', PATIENCE_MS);
    if (firstByteMs === null) throw new Error('the server was not heard through the link');
    const endedMs = performance.now();
    while (performance.now() - endedMs < leastMs) {
      if ((await unproven(scene)) <= before) {
        throw new Error('the server has no connection that ended here');
      }
      await delay(POLL_MS, undefined, { signal: scene.signal });
    }
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
  const { ground, signal } = scene;
  const secured = ground.cannot('plain') !== null;
  return probeLink(await entranceUrl(scene), { say, secured, patienceMs, signal });
}

/** How many connections at the server have not come to their HELLO. */
async function unproven({ ground, signal }: Scene): Promise<number> {
  const url = `${await ground.service('server').url(PORT_IN_COMPOSE.api)}/metrics`;
  const text = await (await fetch(url, { signal })).text();
  const line = text.match(/^holdfast_ingest_connections\{state="greeting"\} (\d+)$/m);
  if (line === null) throw new Error('the server does not count its connections');
  return Number(line[1]);
}
