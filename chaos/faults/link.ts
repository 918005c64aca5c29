/**
 * Faults of the link as a whole: cut, flapping, slow, half-open. Toxiproxy's toxics one by one are
 * `toxics.ts`; what Toxiproxy can't do, such as changing bytes, is `mangled.ts`.
 */
import { z } from 'zod';
import type { ToxicOrder } from '#lab/toxics.ts';
import { waitUntil } from '../observe/wait.ts';
import { between, direction, kindOf, oneOf, someDirection, streamsOf, whole } from './arguments.ts';
import { allOf, anyOf, backlog, reconnects, standstill } from './effects.ts';
import type { Effect, FaultKind } from './fault.ts';
import { Flapping } from './flapping.ts';
import { Longer } from './link-effects.ts';
import { poison } from './toxics.ts';

const HOUR_MS = 3_600_000;
/** A phase of less is lost in the time that the orders take. */
const PHASE_MS_MIN = 100;
const FLIPS_SEEN = 4;
/**
 * The share of flips that may be late. Those are left out whole, as on a machine that is busy, and
 * what remains flaps all the same; once most are, it has another rhythm than was asked for.
 */
const LATE_SHARE_MAX = 0.5;

const works = async (): Promise<void> => undefined;

const cut = kindOf<Record<string, never>>({
  kind: 'cut',
  summary: 'The link is down: its connections end, and new ones are refused.',
  arguments: z.strictObject({}),
  needs: [],
  draw: () => ({}),
  make: (_, name) => {
    const holder = {};
    return {
      name,
      target: 'link',
      outage: true,
      effect: standstill,
      inject: ({ link }) => link.cut(holder),
      lift: ({ link }) => link.open(holder),
      running: works,
    };
  },
});

const flappingArguments = z
  .strictObject({
    period_ms: whole(200, 60_000, 2_000, 'milliseconds from one cut to the next'),
    duty: z
      .number()
      .min(0.05)
      .max(0.95)
      .default(0.5)
      .describe('the share of each period in which the link is cut'),
  })
  .refine(
    ({ period_ms, duty }) => period_ms * Math.min(duty, 1 - duty) >= PHASE_MS_MIN,
    `the link is cut or open for less than ${PHASE_MS_MIN} ms at a time`,
  );

const flapping = kindOf<z.output<typeof flappingArguments>>({
  kind: 'flapping',
  summary: 'The link goes down and comes back, over and over, in a rhythm.',
  arguments: flappingArguments,
  needs: [],
  draw: (random) => ({
    period_ms: oneOf(random, [200, 500, 1_000, 2_000, 5_000]),
    duty: 0.5,
  }),
  make: ({ period_ms, duty }, name) => {
    let running: Flapping | undefined;
    const flips = () => running?.flips ?? { inTime: 0, late: 0, failed: 0, latestMs: 0 };
    return {
      name,
      target: 'link',
      outage: false,
      effect: allOf(keepsTime(flips, period_ms), anyOf(reconnects(1), standstill)),
      inject: async ({ link }) => {
        running = new Flapping(link, { periodMs: period_ms, duty: duty });
      },
      lift: async () => {
        await running?.end();
        const { inTime, late } = flips();
        if (late <= LATE_SHARE_MAX * (inTime + late)) return;
        throw new Error(`${late} of ${inTime + late} flips of the link came too late to be any`);
      },
      running: works,
    };
  },
});

function keepsTime(flips: () => Flapping['flips'], periodMs: number): Effect {
  return async ({ signal }) => {
    await waitUntil(`${FLIPS_SEEN} flips came in time`, () => flips().inTime >= FLIPS_SEEN, {
      deadlineMs: 60_000 + FLIPS_SEEN * periodMs,
      signal,
      describe: flips,
    });
    const { inTime, latestMs } = flips();
    return `${inTime} flips came in time, the latest after ${Math.round(latestMs)} ms`;
  };
}

const slowArguments = z.strictObject({
  latency_ms: whole(1, 60_000, 250, 'milliseconds that everything takes longer, each way'),
  rate_kbps: whole(1, 100_000, 64, 'kilobytes a second, each way'),
});

const slow = kindOf<z.output<typeof slowArguments>>({
  kind: 'slow',
  summary: 'A distant and thin link, as `make slow` makes it: latency and a rate, both ways.',
  arguments: slowArguments,
  needs: [],
  draw: (random) => ({
    latency_ms: between(random, 50, 1_000),
    rate_kbps: between(random, 32, 512),
  }),
  make: ({ latency_ms, rate_kbps }, name) => {
    const longer = Longer.back(latency_ms);
    return poison(
      name,
      streamsOf('both').flatMap((stream): ToxicOrder[] => [
        { type: 'latency', stream, attributes: { latency: latency_ms } },
        { type: 'bandwidth', stream, attributes: { rate: rate_kbps } },
      ]),
      { outage: false, effect: anyOf(longer.effect, backlog), before: [longer] },
    );
  },
});

const oneWay = z.strictObject({ direction });

const halfOpen = kindOf<z.output<typeof oneWay>>({
  kind: 'half_open',
  summary:
    'Connections stay open and nothing comes through, not even their end: a black hole, one way or both.',
  arguments: oneWay,
  needs: [],
  draw: (random) => ({ direction: someDirection(random) }),
  make: (args, name) =>
    poison(
      name,
      streamsOf(args.direction).flatMap((stream): ToxicOrder[] => [
        { type: 'timeout', stream, attributes: { timeout: 0 } },
        // The one thing that `timeout` lets through.
        { type: 'slow_close', stream, attributes: { delay: HOUR_MS } },
      ]),
      { outage: true, effect: standstill },
    ),
});

export const LINK_FAULTS: readonly FaultKind[] = [cut, flapping, slow, halfOpen];
