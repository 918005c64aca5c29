/** Memory of the host, and of the container where the collector runs in one. */
import { mem, type Systeminformation } from 'systeminformation';
import { type Metric, metric, type Scope } from '../sample.ts';
import { readContainerMemory } from './cgroup.ts';

/** `scope` says where the collector runs; the host's values are read in both cases. */
export async function readMemory(scope: Scope): Promise<Metric[]> {
  const host = hostMemoryMetrics(await mem());
  if (scope === 'host') return host;
  const container = await readContainerMemory();
  const metrics = [...host, metric('container.memory.usage', 'container', container.usageBytes)];
  if (container.limitBytes !== undefined) {
    metrics.push(metric('container.memory.limit', 'container', container.limitBytes));
  }
  return metrics;
}

function hostMemoryMetrics(memory: Systeminformation.MemData): Metric[] {
  const { total, free, buffers, cached } = memory;
  const states = { used: Math.max(0, total - free - buffers - cached), free, buffers, cached };
  const metrics = [
    metric('system.memory.limit', 'host', total),
    metric('system.memory.linux.available', 'host', memory.available),
  ];
  for (const [state, bytes] of Object.entries(states)) {
    const attributes = { 'system.memory.state': state };
    metrics.push(
      metric('system.memory.usage', 'host', bytes, attributes),
      metric('system.memory.utilization', 'host', round(bytes / total), attributes),
    );
  }
  if (memory.swaptotal > 0) {
    metrics.push(
      metric('system.paging.usage', 'host', memory.swapused, { 'system.paging.state': 'used' }),
      metric('system.paging.usage', 'host', memory.swapfree, { 'system.paging.state': 'free' }),
    );
  }
  return metrics;
}

function round(share: number): number {
  return Math.round(share * 1e4) / 1e4;
}
