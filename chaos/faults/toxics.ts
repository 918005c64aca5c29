/**
 * Toxiproxy's toxics, each a fault by its own name. They stay in force side by side, and each is
 * taken off again without touching the others.
 */
import { z } from 'zod';
import type { ToxicOrder } from '#lab/toxics.ts';
import {
  between,
  direction,
  goes,
  kindOf,
  oneOf,
  someDirection,
  streamsOf,
  whole,
} from './arguments.ts';
import { allOf, anyOf, backlog, failing, reconnects, standstill } from './effects.ts';
import type { Fault, FaultKind } from './fault.ts';
import { crumbs, greetingInPieces, Longer, lateEnd, lateEndAtServer } from './link-effects.ts';

const HOUR_MS = 3_600_000;

/**
 * Toxics on the living link.
 * @param options `before`: times that are taken before they are there.
 */
export function poison(
  name: string,
  toxics: readonly ToxicOrder[],
  options: Pick<Fault, 'outage' | 'effect'> & { before?: readonly Longer[] },
): Fault {
  const { outage, effect, before = [] } = options;
  let names: readonly string[] = [];
  return {
    name,
    target: 'link',
    outage,
    effect,
    inject: async (scene) => {
      for (const time of before) await time.before(scene);
      names = await scene.link.add(toxics);
    },
    lift: ({ link }) => link.remove(names),
    running: async () => undefined,
  };
}

const latencyArguments = z
  .strictObject({
    direction,
    latency_ms: whole(1, 60_000, 1_000, 'milliseconds that everything takes longer'),
    jitter_ms: whole(0, 60_000, 0, 'milliseconds more or less, at random (by Toxiproxy, unseeded)'),
  })
  .refine(
    ({ latency_ms, jitter_ms }) => jitter_ms <= latency_ms,
    'the jitter is above the latency',
  );

const latency = kindOf<z.output<typeof latencyArguments>>({
  kind: 'latency',
  summary: 'Everything takes longer: a distant site, a satellite.',
  arguments: latencyArguments,
  needs: [],
  draw: (random) => {
    const latency_ms = between(random, 50, 2_000);
    return {
      direction: someDirection(random),
      latency_ms,
      jitter_ms: between(random, 0, Math.floor(latency_ms / 4)),
    };
  },
  make: ({ direction: way, latency_ms, jitter_ms }, name) => {
    const leastMs = latency_ms - jitter_ms;
    const longer = [
      ...(goes(way, 'up') ? [Longer.there(leastMs)] : []),
      ...(goes(way, 'down') ? [Longer.back(leastMs)] : []),
    ];
    return poison(
      name,
      streamsOf(way).map((stream) => ({
        type: 'latency',
        stream,
        attributes: { latency: latency_ms, jitter: jitter_ms },
      })),
      {
        outage: false,
        effect: allOf(...longer.map(({ effect }) => effect)),
        before: longer,
      },
    );
  },
});

const bandwidthArguments = z.strictObject({
  direction,
  rate_kbps: whole(0, 100_000, 8, 'kilobytes a second; 0 holds everything back and drops nothing'),
});

const bandwidth = kindOf<z.output<typeof bandwidthArguments>>({
  kind: 'bandwidth',
  summary: 'A thin link; at 0 a jammed one, which drops nothing.',
  arguments: bandwidthArguments,
  needs: [],
  // Towards the collector there is too little for a rate to show.
  draw: (random) => ({
    direction: oneOf(random, ['up', 'both'] as const),
    rate_kbps: oneOf(random, [0, 2, 4, 8, 16, 32]),
  }),
  make: ({ direction: way, rate_kbps: rate }, name) => {
    const toxics = streamsOf(way).map(
      (stream): ToxicOrder => ({ type: 'bandwidth', stream, attributes: { rate } }),
    );
    if (rate === 0) return poison(name, toxics, { outage: true, effect: standstill });
    const longer = Longer.upload(rate);
    const effect = anyOf(backlog, longer.effect);
    return poison(name, toxics, { outage: false, effect, before: [longer] });
  },
});

const slowCloseArguments = z.strictObject({
  direction,
  delay_ms: whole(100, HOUR_MS, 5_000, 'milliseconds by which the end of a connection comes later'),
});

const slowClose = kindOf<z.output<typeof slowCloseArguments>>({
  kind: 'slow_close',
  summary: 'The end of a connection comes late: one side goes on talking to nobody.',
  arguments: slowCloseArguments,
  needs: [],
  draw: (random) => ({
    direction: someDirection(random),
    delay_ms: between(random, 1_000, 30_000),
  }),
  make: ({ direction: way, delay_ms: delay }, name) => {
    const signs = [
      ...(goes(way, 'up') ? [lateEndAtServer(delay)] : []),
      ...(goes(way, 'down') ? [lateEnd(delay)] : []),
    ];
    return poison(
      name,
      streamsOf(way).map((stream) => ({ type: 'slow_close', stream, attributes: { delay } })),
      { outage: false, effect: allOf(...signs) },
    );
  },
});

const timeoutArguments = z.strictObject({
  direction,
  timeout_ms: whole(
    0,
    HOUR_MS,
    0,
    'milliseconds without data until the connection is closed; 0: never',
  ),
});

const timeout = kindOf<z.output<typeof timeoutArguments>>({
  kind: 'timeout',
  summary: 'All data are dropped, and after a silence the connection is closed.',
  arguments: timeoutArguments,
  needs: [],
  draw: (random) => ({
    direction: someDirection(random),
    timeout_ms: oneOf(random, [0, 500, 3_000]),
  }),
  make: ({ direction: way, timeout_ms }, name) =>
    poison(
      name,
      streamsOf(way).map((stream) => ({
        type: 'timeout',
        stream,
        attributes: { timeout: timeout_ms },
      })),
      { outage: true, effect: standstill },
    ),
});

const resetArguments = z.strictObject({
  direction,
  timeout_ms: whole(0, 5_000, 0, 'milliseconds from the first bytes of a connection to its reset'),
});

const resetPeer = kindOf<z.output<typeof resetArguments>>({
  kind: 'reset_peer',
  summary: 'Connections are reset as soon as anything goes over them.',
  arguments: resetArguments,
  needs: [],
  draw: (random) => ({
    direction: someDirection(random),
    timeout_ms: oneOf(random, [0, 200, 1_000]),
  }),
  make: ({ direction: way, timeout_ms }, name) =>
    poison(
      name,
      streamsOf(way).map((stream) => ({
        type: 'reset_peer',
        stream,
        attributes: { timeout: timeout_ms },
      })),
      // In the middle of a TLS handshake a reset reads as an end.
      { outage: true, effect: failing(['reset', 'closed']) },
    ),
});

const slicerArguments = z
  .strictObject({
    direction,
    average_size_bytes: whole(1, 4_096, 1, 'bytes of a slice'),
    size_variation_bytes: whole(
      0,
      4_095,
      0,
      'bytes more or less, at random (by Toxiproxy, unseeded)',
    ),
    delay_us: whole(
      0,
      100_000,
      0,
      'microseconds between slices; without any, packets alone can show slices towards the server',
    ),
  })
  .refine(
    (one) => one.size_variation_bytes < one.average_size_bytes,
    'the slice varies by its whole size',
  );

const slicer = kindOf<z.output<typeof slicerArguments>>({
  kind: 'slicer',
  summary: 'The stream comes in small slices, down to single bytes.',
  arguments: slicerArguments,
  needs: [],
  draw: (random) => {
    const average_size_bytes = oneOf(random, [1, 3, 7, 16]);
    return {
      direction: someDirection(random),
      average_size_bytes,
      size_variation_bytes: between(random, 0, Math.floor(average_size_bytes / 2)),
      delay_us: between(random, 100, 300),
    };
  },
  make: (args, name) => {
    const { average_size_bytes, size_variation_bytes, delay_us } = args;
    const longer = Longer.slices(average_size_bytes, delay_us);
    const up = anyOf(crumbs('server'), longer.effect);
    const down = anyOf(crumbs('source'), greetingInPieces);
    const effects = [
      ...(goes(args.direction, 'up') ? [up] : []),
      ...(goes(args.direction, 'down') ? [down] : []),
    ];
    return poison(
      name,
      streamsOf(args.direction).map((stream) => ({
        type: 'slicer',
        stream,
        attributes: {
          average_size: average_size_bytes,
          size_variation: size_variation_bytes,
          delay: delay_us,
        },
      })),
      { outage: false, effect: allOf(...effects), before: [longer] },
    );
  },
});

const limitArguments = z.strictObject({
  direction,
  bytes: whole(0, 1_000_000_000, 2_000, 'bytes after which a connection ends, each way for itself'),
});

const limitData = kindOf<z.output<typeof limitArguments>>({
  kind: 'limit_data',
  summary: 'A connection ends after so many bytes, in the middle of whatever it is.',
  arguments: limitArguments,
  needs: [],
  draw: (random) => ({
    direction: oneOf(random, ['up', 'both'] as const),
    bytes: oneOf(random, [0, 13, 300, 2_000, 20_000, 100_000]),
  }),
  make: ({ direction: way, bytes }, name) =>
    poison(
      name,
      streamsOf(way).map((stream) => ({ type: 'limit_data', stream, attributes: { bytes } })),
      { outage: false, effect: anyOf(reconnects(2), standstill) },
    ),
});

export const TOXIC_FAULTS: readonly FaultKind[] = [
  latency,
  bandwidth,
  slowClose,
  timeout,
  resetPeer,
  slicer,
  limitData,
];
