/** The sampling loop under a clock of our own: capture times, deadlines, hangs, freezes. */
import { describe, expect, test } from 'vitest';
import type { Probe } from '#collector/sampler/probe.ts';
import { type Metric, metric, type Sample } from '#collector/sampler/sample.ts';
import { Sampler, type SamplerEvent } from '#collector/sampler/sampler.ts';
import { FakeClock, promisesRan } from './fake-clock.ts';

const RESOURCE = {
  'host.name': 'test',
  'os.type': 'linux',
  'os.version': '1',
  container: false,
} as const;

interface Captured {
  readonly sample: Sample;
  readonly capturedAt: number;
}

function start(probes: readonly Probe[], intervalMs = 1_000) {
  const clock = new FakeClock();
  const samples: Captured[] = [];
  const events: SamplerEvent[] = [];
  const sampler = new Sampler({
    intervalMs,
    resource: RESOURCE,
    probes,
    clock,
    onSample: (payload, capturedAt) =>
      samples.push({ sample: JSON.parse(Buffer.from(payload).toString('utf8')), capturedAt }),
    onEvent: (event) => events.push(event),
  });
  return { clock, samples, events, sampler };
}

const uptime: Metric = metric('system.uptime', 'host', 1);

function good(name: string, periodMs = 0): Probe & { reads: number } {
  const probe = {
    name,
    periodMs,
    reads: 0,
    read: async () => {
      probe.reads += 1;
      return [uptime];
    },
  };
  return probe;
}

describe('the sampler', () => {
  test('captures at start + n × interval, in wall time taken at the tick', async () => {
    const { clock, samples } = start([good('a')]);
    await clock.advanceTo(3_000);
    const base = clock.wallOffsetUs;
    expect(samples.map(({ capturedAt }) => capturedAt - base)).toEqual([0, 1e6, 2e6, 3e6]);
  });

  test('takes the capture time before the probes start, however long they take', async () => {
    const slow: Probe = {
      name: 'slow',
      periodMs: 0,
      read: () => new Promise((resolve) => clock.after(500, () => resolve([uptime]))),
    };
    const { clock, samples } = start([slow]);
    await clock.advanceTo(400);
    expect(samples).toHaveLength(0);
    clock.wallOffsetUs += 3_600e6;
    await clock.advanceTo(600);
    expect(samples[0]?.capturedAt).toBe(1e15);
    expect(samples[0]?.sample.metrics).toEqual([uptime]);
  });

  test('a probe that hangs costs its own values only, and is not started again', async () => {
    let starts = 0;
    const hanging: Probe = {
      name: 'hanging',
      periodMs: 0,
      read: () => {
        starts += 1;
        return new Promise(() => {});
      },
    };
    const { clock, samples, events } = start([hanging, good('a')]);
    await clock.advanceTo(4_900);
    expect(starts).toBe(1);
    expect(samples).toHaveLength(5);
    for (const { sample } of samples) expect(sample.metrics).toEqual([uptime]);
    expect(samples[0]?.sample.errors).toEqual([
      { probe: 'hanging', error: 'deadline of 800 ms passed' },
    ]);
    expect(samples[3]?.sample.errors).toEqual([
      { probe: 'hanging', error: 'started 3 s ago and still hangs; not started again' },
    ]);
    expect(events).toEqual([
      { type: 'probe_failed', probe: 'hanging', error: 'deadline of 800 ms passed' },
    ]);
  });

  test('a late value is dropped, and the probe is read again once it has ended', async () => {
    const ends: Array<(metrics: Metric[]) => void> = [];
    const late: Probe = {
      name: 'late',
      periodMs: 0,
      read: () => new Promise((resolve) => ends.push(resolve)),
    };
    const { clock, samples, events } = start([late]);
    await clock.advanceTo(900);
    ends[0]?.([uptime]);
    await promisesRan();
    await clock.advanceTo(1_000);
    ends[1]?.([uptime]);
    await clock.advanceTo(1_100);
    expect(samples.map(({ sample }) => sample.metrics)).toEqual([[], [uptime]]);
    expect(events.map(({ type }) => type)).toEqual(['probe_failed', 'probe_recovered']);
  });

  test('a probe that rejects is named with its reason', async () => {
    const broken: Probe = {
      name: 'broken',
      periodMs: 0,
      read: () => Promise.reject(new Error('no such device')),
    };
    const { clock, samples } = start([broken, good('a')]);
    await clock.advanceTo(1);
    expect(samples[0]?.sample).toMatchObject({
      metrics: [uptime],
      errors: [{ probe: 'broken', error: 'no such device' }],
    });
  });

  test('a value that is no number is left out and said, never sent as null', async () => {
    const odd: Probe = {
      name: 'odd',
      periodMs: 0,
      read: async () => [metric('process.uptime', 'host', Number.NaN), uptime],
    };
    const { clock, samples } = start([odd]);
    await clock.advanceTo(1);
    expect(samples[0]?.sample.metrics).toEqual([uptime]);
    expect(samples[0]?.sample.errors).toEqual([
      { probe: 'odd', error: 'no number for process.uptime' },
    ]);
  });

  test('a slow probe is read once in its period and its values are left out in between', async () => {
    const probe = good('slow', 5_000);
    const { clock, samples } = start([probe], 700);
    await clock.advanceTo(15_399);
    expect(probe.reads).toBe(3);
    const withValues = samples
      .filter(({ sample }) => sample.metrics.length > 0)
      .map(({ capturedAt }) => (capturedAt - clock.wallOffsetUs) / 1000);
    expect(withValues).toEqual([0, 5_600, 10_500]);
  });

  test('a freeze is counted and told, and sampling goes on at the old times', async () => {
    const { clock, samples, events, sampler } = start([good('a')]);
    await clock.advanceTo(1_000);
    clock.freezeUntil(9_400);
    await clock.advanceTo(10_000);
    expect(samples.map(({ capturedAt }) => (capturedAt - clock.wallOffsetUs) / 1000)).toEqual([
      0, 1_000, 9_400, 10_000,
    ]);
    expect(events).toEqual([{ type: 'ticks_skipped', ticks: 7 }]);
    expect(sampler.stats).toMatchObject({ ticks: 4, skipped: 7, lastTickMs: 10_000 });
  });

  test('stop gives away the sample in progress and takes no other', async () => {
    const { clock, samples, sampler } = start([
      {
        name: 'slow',
        periodMs: 0,
        read: () => new Promise((resolve) => clock.after(300, () => resolve([uptime]))),
      },
    ]);
    await clock.advanceTo(0);
    const stopped = sampler.stop();
    await clock.advanceTo(5_000);
    await stopped;
    expect(samples).toHaveLength(1);
  });
});
