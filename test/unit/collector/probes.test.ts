/** What the probes make of systeminformation's answers, traps included; and one real sample. */
import { networkInterfaces } from 'node:os';
import type { Systeminformation } from 'systeminformation';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CATALOGUE, type MetricDefinition } from '#collector/sampler/catalogue.ts';
import { type HostProbes, openHostProbes } from '#collector/sampler/host-probes.ts';
import { CpuReader, type CpuTimes, cpuMetrics } from '#collector/sampler/probes/cpu.ts';
import { filesystemMetrics } from '#collector/sampler/probes/filesystem.ts';
import { networkMetrics } from '#collector/sampler/probes/network.ts';
import type { Metric } from '#collector/sampler/sample.ts';

const definitions: Readonly<Record<string, MetricDefinition>> = CATALOGUE;

describe('cpu', () => {
  const times = (user: number, sys: number, idle: number): CpuTimes => {
    return { user, sys, idle, nice: 0, irq: 0 };
  };
  const before = [times(1_000, 1_000, 1_000), times(2_000, 2_000, 2_000)];

  test('gives the busy share, each mode and each CPU whose counters moved', () => {
    const after = [times(1_250, 1_250, 2_500), times(2_000, 2_000, 2_000)];
    const values = cpuMetrics(before, after).map(({ value, attributes }) => [attributes, value]);
    expect(values).toEqual([
      [undefined, 0.25],
      [{ 'cpu.mode': 'user' }, 0.125],
      [{ 'cpu.mode': 'system' }, 0.125],
      [{ 'cpu.mode': 'nice' }, 0],
      [{ 'cpu.mode': 'interrupt' }, 0],
      [{ 'cpu.mode': 'idle' }, 0.75],
      [{ 'cpu.logical_number': 0 }, 0.25],
    ]);
  });

  test('a step back of the idle counter gives a share between 0 and 1', () => {
    for (const { value } of cpuMetrics(before, [times(1_250, 1_250, 990)])) {
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThanOrEqual(1);
    }
  });

  test('a CPU that comes later counts from its next reading on', () => {
    const after = [times(1_500, 1_000, 1_500), times(9_000, 9_000, 9_000)];
    const numbers = cpuMetrics(before.slice(0, 1), after).flatMap(
      ({ attributes }) => attributes?.['cpu.logical_number'] ?? [],
    );
    expect(numbers).toEqual([0]);
    expect(cpuMetrics(before.slice(0, 1), after)[0]?.value).toBe(0.5);
  });

  test('counters that stand still are a failure, not an idle machine', () => {
    expect(() => cpuMetrics(before, before)).toThrow('did not move');
  });

  test('a reading right after the one before waits until the counters have moved', async () => {
    const reader = new CpuReader();
    for (const metrics of [await reader.read(), await reader.read()]) {
      expect(metrics[0]?.name).toBe('system.cpu.utilization');
    }
  });
});

describe('file systems', () => {
  const row = (fs: string, type: string, mount: string): Systeminformation.FsSizeData => ({
    fs,
    type,
    mount,
    size: 1_000,
    used: 300,
    available: 600,
    use: 33.33,
    rw: true,
  });

  test('one row for each device, and no overlay but the root', () => {
    const metrics = filesystemMetrics([
      row('overlay', 'overlay', '/'),
      row('overlay', 'overlay', '/var/lib/docker/overlay2/x/merged'),
      row('/dev/vda1', 'ext4', '/data'),
      row('/dev/vda1', 'ext4', '/etc/hosts'),
    ]);
    const mounts = metrics.map(({ attributes }) => attributes?.['system.filesystem.mountpoint']);
    expect([...new Set(mounts)]).toEqual(['/', '/data']);
  });

  test('the states add up to the limit', () => {
    const metrics = filesystemMetrics([row('/dev/vda1', 'ext4', '/')]);
    const sum = (name: string): number =>
      metrics.filter((m) => m.name === name).reduce((total, { value }) => total + value, 0);
    expect(sum('system.filesystem.usage')).toBe(sum('system.filesystem.limit'));
    expect(sum('system.filesystem.utilization')).toBe(0.3333);
  });

  test('no file system at all is a failure', () => {
    expect(() => filesystemMetrics([])).toThrow('no file system');
  });
});

describe('network', () => {
  const row = (
    iface: string,
    operstate: string,
    bytes: number,
  ): Systeminformation.NetworkStatsData =>
    ({
      iface,
      operstate,
      rx_bytes: bytes,
      tx_bytes: bytes,
      rx_dropped: 1,
      tx_dropped: 2,
      rx_errors: 3,
      tx_errors: 4,
    }) as Systeminformation.NetworkStatsData;

  test('leaves out rows without a name and rows that were not read', () => {
    const rows = [row('', 'unknown', 0), row('gone0', 'unknown', 0), row('eth0', 'up', 5)];
    const metrics = networkMetrics(rows, 'host');
    expect(
      new Set(metrics.map(({ attributes }) => attributes?.['network.interface.name'])),
    ).toEqual(new Set(['eth0']));
  });

  test('an unused interface that is up counts zero', () => {
    expect(networkMetrics([row('eth0', 'up', 0)], 'host')).toHaveLength(6);
  });

  test("a container's interfaces have the container's names and scope", () => {
    for (const { name, scope } of networkMetrics([row('eth0', 'up', 5)], 'container')) {
      expect(name).toMatch(/^container\.network\./);
      expect(scope).toBe('container');
    }
  });
});

describe('on this machine', () => {
  let host: HostProbes;
  const metrics = new Map<string, readonly Metric[]>();

  beforeAll(async () => {
    host = openHostProbes();
    for (const { name, read } of host.probes) {
      // A machine may have no disk to be seen; the probes that it must have are asked below.
      metrics.set(name, await read().catch(() => []));
    }
  });
  afterAll(() => host.close());

  test('every metric has the unit and no attribute but those of the catalogue', () => {
    for (const { name, unit, value, attributes } of [...metrics.values()].flat()) {
      expect(definitions[name]?.unit).toBe(unit);
      expect(Number.isFinite(value)).toBe(true);
      for (const key of Object.keys(attributes ?? {})) {
        expect(definitions[name]?.attributes).toContain(key);
      }
    }
  });

  test('no two values share name and attributes', () => {
    const keys = [...metrics.values()].flat().map((m) => JSON.stringify([m.name, m.attributes]));
    expect(new Set(keys).size).toBe(keys.length);
  });

  test.each(['cpu', 'memory', 'filesystem', 'load', 'uptime', 'process'])(
    'the %s probe has values',
    (name) => expect(metrics.get(name)?.length).toBeGreaterThan(0),
  );

  test('the network probe has values for the interfaces that Node sees', () => {
    const outside = Object.values(networkInterfaces()).some((addresses) =>
      addresses?.some(({ internal }) => !internal),
    );
    expect((metrics.get('network') ?? []).length > 0).toBe(outside);
  });

  test('memory by state adds up to the limit', () => {
    const memory = metrics.get('memory') ?? [];
    const sum = (name: string): number =>
      memory.filter((m) => m.name === name).reduce((total, { value }) => total + value, 0);
    expect(sum('system.memory.usage')).toBe(sum('system.memory.limit'));
  });
});
