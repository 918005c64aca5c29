/**
 * CPU utilization. systeminformation keeps the previous counters itself, so nobody else in the
 * process may call `currentLoad`: two callers would halve each other's intervals.
 *
 * Shares are worked out here from the raw milliseconds, without its steal and guest columns: those
 * are clock ticks amid milliseconds, and guest time is in user time already.
 */
import { currentLoad, type Systeminformation } from 'systeminformation';
import { type Metric, metric } from '../sample.ts';

/** Takes the first counters; later readings are shares of the time since the one before. */
export async function primeCpu(): Promise<void> {
  await currentLoad();
}

export async function readCpu(): Promise<Metric[]> {
  return cpuMetrics(await currentLoad());
}

/** Exported for its arithmetic: the readings of all CPUs and of each. */
export function cpuMetrics(load: Systeminformation.CurrentLoadData): Metric[] {
  const modes = {
    user: load.rawCurrentLoadUser,
    system: load.rawCurrentLoadSystem,
    nice: load.rawCurrentLoadNice,
    interrupt: load.rawCurrentLoadIrq,
    idle: load.rawCurrentLoadIdle,
  };
  const totalMs = Object.values(modes).reduce((sum, ms) => sum + ms, 0);
  if (totalMs <= 0) throw new Error('the CPU counters did not move since the previous reading');
  const metrics = [metric('system.cpu.utilization', 'host', clamp(1 - modes.idle / totalMs))];
  for (const [mode, ms] of Object.entries(modes)) {
    metrics.push(
      metric('system.cpu.utilization', 'host', clamp(ms / totalMs), { 'cpu.mode': mode }),
    );
  }
  for (const [index, cpu] of load.cpus.entries()) {
    const busyMs = cpu.rawLoadUser + cpu.rawLoadSystem + cpu.rawLoadNice + cpu.rawLoadIrq;
    const cpuMs = busyMs + cpu.rawLoadIdle;
    if (cpuMs <= 0) continue;
    metrics.push(
      metric('system.cpu.utilization', 'host', clamp(busyMs / cpuMs), {
        'cpu.logical_number': index,
      }),
    );
  }
  return metrics;
}

/** Idle counters can step back a little on a live kernel; a share outside 0 to 1 is noise. */
function clamp(share: number): number {
  return Math.round(Math.min(1, Math.max(0, share)) * 1e4) / 1e4;
}
