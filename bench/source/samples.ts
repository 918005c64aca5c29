/**
 * Samples as a collector on a host of two cores makes them, one a second, by its own encoder: the
 * same metrics in the same order, each at its own pace, with values that vary as those of a busy
 * host do. All of it follows from the seed and n, which stands before the rest.
 *
 * The values are made up so that these samples compress a little less well than real ones
 * (docs/performance.md).
 */
import { encodeSample, type Metric, metric, SAMPLE_SCHEMA } from '#collector/sampler/sample.ts';
import { randomOf } from '../random.ts';
import type { FramePlan } from './frames.ts';

const RESOURCE = {
  'host.name': 'edge-17',
  'os.type': 'linux',
  'os.version': '6.1.0-31-amd64',
  container: true,
} as const;

/** How often the probes that cost more than others are read, in samples. */
const EVERY = { network: 5, disk: 5, filesystem: 10 } as const;

const PAGE_BYTES = 4_096;
const MEMORY_BYTES = 16_777_216_000;
const DISK_BYTES = 270_553_174_016;

/** A buffer of its own. */
export function sampleOf({ seed }: Pick<FramePlan, 'seed'>, n: number): Buffer {
  const random = randomOf(seed ^ Math.imul(n + 1, 0x9e37_79b1));
  const metrics = [
    ...cpu(random),
    ...memory(n, random),
    ...(n % EVERY.network === 0 ? network(n, random) : []),
    ...(n % EVERY.disk === 0 ? disk(n, random) : []),
    ...(n % EVERY.filesystem === 0 ? filesystem(n, random) : []),
    ...loadAndUptime(n, random),
    ...collector(n, random),
  ];
  const sample = encodeSample({ schema: SAMPLE_SCHEMA, resource: RESOURCE, metrics, errors: [] });
  return Buffer.concat([Buffer.from(`{"n":${n},`), sample.subarray(1)]);
}

type Random = () => number;

function cpu(random: Random): Metric[] {
  const share = (value: number) => Math.round(value * 1e4) / 1e4;
  const [first, second] = [random(), random()];
  const busy = (first + second) / 2;
  const system = busy * (0.2 + 0.3 * random());
  const modes = { user: busy - system, system, nice: 0, interrupt: 0, idle: 1 - busy };
  return [
    metric('system.cpu.utilization', 'host', share(busy)),
    ...Object.entries(modes).map(([mode, value]) =>
      metric('system.cpu.utilization', 'host', share(value), { 'cpu.mode': mode }),
    ),
    ...[first, second].map((value, i) =>
      metric('system.cpu.utilization', 'host', share(value), { 'cpu.logical_number': i }),
    ),
  ];
}

function memory(n: number, random: Random): Metric[] {
  const pages = (base: number, span: number) =>
    Math.round((base + span * (Math.sin(n / 300) + random())) / PAGE_BYTES) * PAGE_BYTES;
  const [used, buffers, cached] = [pages(2.8e9, 2e8), pages(4.8e8, 1e6), pages(6e9, 1e8)];
  const states = { used, free: MEMORY_BYTES - used - buffers - cached, buffers, cached };
  return [
    metric('system.memory.limit', 'host', MEMORY_BYTES),
    metric('system.memory.linux.available', 'host', pages(1.3e10, 2e8)),
    ...Object.entries(states).flatMap(([state, bytes]) => {
      const attributes = { 'system.memory.state': state };
      const part = Math.round((bytes / MEMORY_BYTES) * 1e4) / 1e4;
      return [
        metric('system.memory.usage', 'host', bytes, attributes),
        metric('system.memory.utilization', 'host', part, attributes),
      ];
    }),
    metric('container.memory.usage', 'container', pages(7.5e9, 1e8)),
  ];
}

/** What has come to `n` at about `pace` for each sample: never less than the one before. */
function total(base: number, pace: number, n: number, random: Random): number {
  return base + Math.round(pace * (n + random()));
}

function network(n: number, random: Random): Metric[] {
  const of = (direction: string) => {
    return { 'network.interface.name': 'eth0', 'network.io.direction': direction };
  };
  const [receive, transmit] = [of('receive'), of('transmit')];
  return [
    metric('container.network.io', 'container', total(14.6e9, 51_234, n, random), receive),
    metric('container.network.io', 'container', total(6.1e7, 9_876, n, random), transmit),
    metric('container.network.errors', 'container', 0, receive),
    metric('container.network.errors', 'container', 0, transmit),
    metric('container.network.packet.dropped', 'container', 0, receive),
    metric('container.network.packet.dropped', 'container', 0, transmit),
  ];
}

function disk(n: number, random: Random): Metric[] {
  const [read, write] = [{ 'disk.io.direction': 'read' }, { 'disk.io.direction': 'write' }];
  return [
    metric('system.disk.io', 'host', PAGE_BYTES * total(5.4e6, 40, n, random), read),
    metric('system.disk.io', 'host', PAGE_BYTES * total(1.2e8, 2_345, n, random), write),
    metric('system.disk.operations', 'host', total(2.2e6, 12, n, random), read),
    metric('system.disk.operations', 'host', total(5.6e7, 456, n, random), write),
    metric('system.disk.operation_time', 'host', total(1.4e6, 7, n, random) / 1_000, read),
    metric('system.disk.operation_time', 'host', total(1.5e7, 123, n, random) / 1_000, write),
  ];
}

function filesystem(n: number, random: Random): Metric[] {
  const attributes = {
    'system.device': '/dev/vda',
    'system.filesystem.mountpoint': '/',
    'system.filesystem.type': 'ext4',
    'system.filesystem.mode': 'rw',
  };
  const used = PAGE_BYTES * total(7.5e6, 3, n, random);
  const reserved = DISK_BYTES / 16;
  const states = { used, free: DISK_BYTES - used - reserved, reserved };
  const part = Math.round((used / (DISK_BYTES - reserved)) * 1e4) / 1e4;
  return [
    metric('system.filesystem.limit', 'host', DISK_BYTES, attributes),
    ...Object.entries(states).map(([state, bytes]) =>
      metric('system.filesystem.usage', 'host', bytes, {
        ...attributes,
        'system.filesystem.state': state,
      }),
    ),
    metric('system.filesystem.utilization', 'host', part, attributes),
  ];
}

function loadAndUptime(n: number, random: Random): Metric[] {
  const load = (base: number, span: number) => Math.round((base + span * random()) * 100) / 100;
  return [
    metric('system.cpu.load_average.1m', 'host', load(1, 1)),
    metric('system.cpu.load_average.5m', 'host', load(1.4, 0.1)),
    metric('system.cpu.load_average.15m', 'host', load(1.3, 0.02)),
    metric('system.uptime', 'host', Math.round((49_888 + n + random()) * 100) / 100),
  ];
}

function collector(n: number, random: Random): Metric[] {
  const of = (mode: string) => ({ 'cpu.mode': mode });
  return [
    metric('process.cpu.time', 'container', total(8e5, 9_876, n, random) / 1e6, of('user')),
    metric('process.cpu.time', 'container', total(3e5, 4_567, n, random) / 1e6, of('system')),
    metric('process.memory.usage', 'container', PAGE_BYTES * total(32_000, 0.01, n, random)),
    metric('process.uptime', 'container', total(32e9, 1e9, n, random) / 1e9),
    // The link is cut: all that is captured waits.
    metric('holdfast.queue.frames', 'container', n),
    metric('holdfast.queue.size', 'container', total(0, 3_950, n, random)),
    ...['Ready', 'Backoff', 'Recovering'].map((state) =>
      metric(
        'holdfast.producer.state',
        'container',
        state === 'Ready' ? 0 : random() < 0.5 ? 0 : 1,
        {
          state,
        },
      ),
    ),
  ];
}
