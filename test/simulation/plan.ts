/**
 * What a history is: the machines, the load and the faults, all drawn from one seed before it
 * begins. So a plan can be read, and a fault can be left out to see whether it mattered.
 */
import type { CollectorSettings } from './model/collector-host.ts';
import type { Break } from './model/network.ts';
import { Random } from './model/random.ts';
import type { ServerSettings, StoreTrouble } from './model/server-host.ts';

/** A fault begins at a time; some last. Times are virtual milliseconds. */
export type Fault = {
  readonly at: number;
  /** The collector's number, where it is about one. */
  readonly collector: number;
} & (
  | { readonly kind: 'cut'; readonly lastsMs: number; readonly how: Break }
  | { readonly kind: 'hold'; readonly lastsMs: number; readonly direction: 'up' | 'down' | 'both' }
  | {
      readonly kind: 'slow';
      readonly lastsMs: number;
      readonly delayMs: number;
      readonly jitterMs: number;
      readonly bytesPerMs: number;
    }
  | { readonly kind: 'die-young'; readonly lastsMs: number; readonly bytes: number }
  | { readonly kind: 'break'; readonly how: Break }
  | {
      readonly kind: 'stream';
      readonly direction: 'up' | 'down';
      readonly fault: 'break' | 'hole' | 'drop-message' | 'flip';
      readonly after: number;
      readonly bytes: number;
      readonly how: Break;
    }
  | { readonly kind: 'collector-kill'; readonly lastsMs: number; readonly power: boolean }
  | { readonly kind: 'collector-stop'; readonly deadlineMs: number }
  | { readonly kind: 'collector-freeze'; readonly lastsMs: number }
  | { readonly kind: 'collector-crash'; readonly calls: number }
  | { readonly kind: 'collector-disk-error'; readonly calls: number; readonly sync: boolean }
  | { readonly kind: 'collector-disk-full'; readonly lastsMs: number; readonly roomBytes: number }
  | { readonly kind: 'server-kill'; readonly lastsMs: number; readonly power: boolean }
  | { readonly kind: 'server-stop' }
  | { readonly kind: 'server-freeze'; readonly lastsMs: number }
  | { readonly kind: 'store-trouble'; readonly lastsMs: number; readonly trouble: StoreTrouble }
  | { readonly kind: 'store-slow'; readonly lastsMs: number; readonly times: number }
  | { readonly kind: 'store-new'; readonly lastsMs: number }
  | { readonly kind: 'store-older'; readonly lastsMs: number; readonly share: number }
  | { readonly kind: 'damage'; readonly lastsMs: number; readonly checkpoint: boolean }
  | { readonly kind: 'clock'; readonly byMs: number }
  | { readonly kind: 'clone' }
  | { readonly kind: 'restore'; readonly backMs: number }
);

interface Burst {
  readonly at: number;
  readonly collector: number;
  readonly frames: number;
}

export interface Plan {
  readonly seed: number;
  readonly server: ServerSettings;
  readonly collectors: readonly CollectorSettings[];
  readonly bursts: readonly Burst[];
  readonly faults: readonly Fault[];
  /** How long the faults last in all. */
  readonly safetyMs: number;
}

const TOKEN = Buffer.from('the token of the simulation');

/** How often each kind is drawn. */
export const WEIGHTS: Readonly<Record<Fault['kind'], number>> = {
  cut: 12,
  hold: 8,
  slow: 8,
  'die-young': 5,
  break: 10,
  stream: 16,
  'collector-kill': 10,
  'collector-stop': 3,
  'collector-freeze': 5,
  'collector-crash': 8,
  'collector-disk-error': 2,
  'collector-disk-full': 4,
  'server-kill': 10,
  'server-stop': 4,
  'server-freeze': 6,
  'store-trouble': 5,
  'store-slow': 5,
  'store-new': 1.5,
  'store-older': 1.5,
  damage: 3,
  clock: 2,
  clone: 1,
  restore: 1,
};

export function planOf(seed: number): Plan {
  const random = new Random(seed);
  const safetyMs = random.spread(2_000, 40_000);
  const count = random.weighted({ one: 6, two: 3, three: 1 });
  const collectors = Array.from({ length: { one: 1, two: 2, three: 3 }[count] }, () =>
    collectorOf(random),
  );
  const bursts = collectors.flatMap((_, collector) => burstsOf(random, collector, safetyMs));
  // Stored and refused in turn: more ranges than one WELCOME names.
  const refuses = random.chance(0.1);
  const burstAt = random.next() * safetyMs;
  if (refuses) bursts.push({ at: burstAt, collector: 0, frames: 250 });
  const faults = Array.from({ length: random.int(1, 8) }, () =>
    faultOf(random, safetyMs, random.int(0, collectors.length - 1)),
  );
  if (random.chance(0.05)) flood(random, bursts, faults, collectors, safetyMs);
  if (refuses) {
    const at = burstAt + random.spread(5, 2_000);
    const power = random.chance(0.5);
    const lastsMs = random.spread(20, 500);
    faults.push({ at, collector: 0, kind: 'server-kill', lastsMs, power });
    // The store forgets refusals whose dead letters are still being written.
    if (random.chance(0.3)) faults.push(olderStore(random, burstAt + random.spread(50, 3_000)));
  }
  if (random.chance(0.04)) forget(random, bursts, faults, safetyMs);
  return {
    seed,
    server: {
      token: TOKEN,
      windowBytes: random.chance(0.3) ? Math.round(random.spread(4_096, 65_536)) : 4_194_304,
      payloadBytesMax: refuses ? 100 : 1_048_576,
      commitMsMax: random.spread(0.2, 60),
    },
    collectors,
    bursts: bursts.sort((a, b) => a.at - b.at),
    faults: faults.sort((a, b) => a.at - b.at),
    safetyMs,
  };
}

/** A small queue that is written over more than once in an outage, and opened anew in it. */
function flood(
  random: Random,
  bursts: Burst[],
  faults: Fault[],
  collectors: CollectorSettings[],
  safetyMs: number,
): void {
  const [first] = collectors;
  if (first === undefined) return;
  collectors[0] = { ...first, limitBytes: 65_536, payloadBytesMin: 300, payloadBytesMax: 900 };
  const from = random.next() * safetyMs * 0.3;
  faults.push({ at: from, collector: 0, kind: 'cut', lastsMs: safetyMs, how: 'reset' });
  for (let i = 1; i <= 6; i += 1) {
    bursts.push({ at: from + (i * safetyMs) / 10, collector: 0, frames: random.int(20, 70) });
  }
  // A copy from before has frames that are given up here, and brings them later.
  if (random.chance(0.7)) faults.push({ at: from + safetyMs * 0.15, collector: 0, kind: 'clone' });
  const at = from + random.next() * safetyMs * 0.7;
  const power = random.chance(0.5);
  faults.push({ at, collector: 0, kind: 'collector-kill', lastsMs: 50, power });
}

/** The store is put back while a collector that was started anew begins its next epoch. */
function forget(random: Random, bursts: Burst[], faults: Fault[], safetyMs: number): void {
  const from = random.next() * safetyMs;
  bursts.push({ at: from, collector: 0, frames: random.int(2, 10) });
  const killAt = from + random.spread(200, 2_000);
  faults.push({ at: killAt, collector: 0, kind: 'collector-kill', lastsMs: 50, power: false });
  const loseAt = killAt + random.spread(500, 2_000);
  faults.push(olderStore(random, loseAt));
  bursts.push({ at: loseAt + random.next() * 300, collector: 0, frames: random.int(1, 5) });
}

function olderStore(random: Random, at: number): Fault {
  const lastsMs = random.spread(300, 3_000);
  return { at, collector: 0, kind: 'store-older', lastsMs, share: random.next() };
}

function collectorOf(random: Random): CollectorSettings {
  return {
    token: TOKEN,
    limitBytes: random.chance(0.2) ? 65_536 : 67_108_864,
    segmentBytes: Math.round(random.spread(600, 60_000)),
    roundMsMax: random.spread(0.1, 30),
    payloadBytesMin: random.chance(0.2) ? 0 : 20,
    payloadBytesMax: Math.round(random.spread(40, random.chance(0.1) ? 6_000 : 800)),
    samePayloads: random.chance(0.2),
    delayMs: random.spread(0.1, random.chance(0.1) ? 8_000 : 150),
    bytesPerMs: random.spread(20, 20_000),
    proxied: random.chance(0.5),
    delivery: {
      drainOrder: random.chance(0.3) ? 'live' : 'oldest',
      backlogSharePercent: random.pick([0, 10, 50, 100]),
      flushIntervalMs: random.chance(0.2) ? Math.round(random.spread(1, 500)) : 0,
      compression: random.chance(0.5) ? 'auto' : 'off',
      keepSettledBytes: random.chance(0.5) ? 67_108_864 : Math.round(random.spread(1, 100_000)) - 1,
      keepSettledMs: random.chance(0.5) ? 3_600_000 : Math.round(random.spread(1, 20_000)) - 1,
    },
  };
}

function burstsOf(random: Random, collector: number, safetyMs: number): Burst[] {
  const count = random.int(2, 14);
  const size = random.spread(1, random.chance(0.15) ? 120 : 16);
  return Array.from({ length: count }, () => ({
    at: random.next() * safetyMs,
    collector,
    frames: random.int(1, Math.ceil(size)),
  }));
}

const BREAKS: readonly Break[] = ['reset', 'close', 'silent', 'sender-told', 'receiver-told'];

function faultOf(random: Random, safetyMs: number, collector: number): Fault {
  const base = { at: random.next() * safetyMs, collector };
  const lastsMs = random.spread(20, 20_000);
  const how = random.pick(BREAKS);
  const kind = random.weighted(WEIGHTS);
  switch (kind) {
    case 'cut':
      return { ...base, kind, lastsMs, how };
    case 'hold':
      return { ...base, kind, lastsMs, direction: random.pick(['up', 'down', 'both']) };
    case 'slow':
      return {
        ...base,
        kind,
        lastsMs,
        delayMs: random.spread(1, 15_000),
        jitterMs: random.chance(0.5) ? random.spread(1, 500) : 0,
        bytesPerMs: random.spread(0.5, 1_000),
      };
    case 'die-young':
      return { ...base, kind, lastsMs, bytes: Math.round(random.spread(20, 6_000)) };
    case 'break':
      return { ...base, kind, how };
    case 'stream':
      return {
        ...base,
        kind,
        direction: random.pick(['up', 'down']),
        fault: random.pick(['break', 'hole', 'hole', 'drop-message', 'flip']),
        after: Math.round(random.spread(1, 5_000)),
        bytes: Math.round(random.spread(1, 3_000)),
        how,
      };
    case 'collector-kill':
      return { ...base, kind, lastsMs, power: random.chance(0.5) };
    case 'collector-stop':
      return { ...base, kind, deadlineMs: random.spread(10, 3_000) };
    case 'collector-crash':
      return { ...base, kind, calls: random.int(0, 40) };
    case 'collector-disk-error':
      return { ...base, kind, calls: random.int(0, 10), sync: random.chance(0.5) };
    case 'collector-disk-full':
      return { ...base, kind, lastsMs, roomBytes: Math.round(random.spread(1, 20_000)) - 1 };
    case 'server-kill':
      return { ...base, kind, lastsMs, power: random.chance(0.5) };
    case 'store-trouble':
      return { ...base, kind, lastsMs, trouble: random.pick(['full', 'full', 'io']) };
    case 'store-slow':
      return { ...base, kind, lastsMs, times: random.spread(5, 300) };
    case 'collector-freeze':
    case 'server-freeze':
    case 'store-new':
      return { ...base, kind, lastsMs };
    case 'store-older':
      return { ...base, kind, lastsMs, share: random.next() };
    case 'damage':
      return { ...base, kind, lastsMs, checkpoint: random.chance(0.2) };
    case 'clock':
      return { ...base, kind, byMs: random.pick([-1, 1]) * random.spread(10, 86_400_000) };
    case 'clone':
    case 'server-stop':
      return { ...base, kind };
    case 'restore':
      return { ...base, kind, backMs: random.spread(50, safetyMs) };
  }
}
