/**
 * CPU utilization: shares of the time between two readings of the counters that Node itself gives.
 *
 * Not by systeminformation, whose shares come from the same counters: it starts a shell for each
 * reading to add steal and guest time, as clock ticks amid milliseconds.
 */
import { type CpuInfo, cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { type Metric, metric } from '../sample.ts';

/** Milliseconds since the machine's start, by what a CPU did with them. */
export type CpuTimes = CpuInfo['times'];

const MODES = {
  user: 'user',
  system: 'sys',
  nice: 'nice',
  interrupt: 'irq',
  idle: 'idle',
} as const;

const NONE: CpuTimes = { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 };

/** The counters' step is at most 10 ms (proc(5): USER_HZ is 100): shares need a few of them. */
const SPAN_MS_MIN = 50;

/** Gives the shares of the time since it was last asked, or made. */
export class CpuReader {
  #times = timesNow();
  #readAtMs = performance.now();

  /** A reading that comes too soon after the one before waits, at most 50 ms. */
  async read(): Promise<Metric[]> {
    const soonMs = this.#readAtMs + SPAN_MS_MIN - performance.now();
    if (soonMs > 0) await delay(soonMs);
    const before = this.#times;
    this.#times = timesNow();
    this.#readAtMs = performance.now();
    return cpuMetrics(before, this.#times);
  }
}

function timesNow(): CpuTimes[] {
  return cpus().map(({ times }) => times);
}

/**
 * Exported for its arithmetic: the readings of all CPUs and of each. One that was not there before
 * counts from the next reading on.
 */
export function cpuMetrics(before: readonly CpuTimes[], after: readonly CpuTimes[]): Metric[] {
  const spent = after.map((times, i) => add(times, before[i] ?? times, -1));
  const all = spent.reduce((sum, one) => add(sum, one), NONE);
  const totalMs = total(all);
  if (totalMs <= 0) throw new Error('the CPU counters did not move since the previous reading');
  return [
    metric('system.cpu.utilization', 'host', clamp(1 - all.idle / totalMs)),
    ...Object.entries(MODES).map(([mode, key]) =>
      metric('system.cpu.utilization', 'host', clamp(all[key] / totalMs), { 'cpu.mode': mode }),
    ),
    ...spent.flatMap((one, number) =>
      total(one) <= 0
        ? []
        : metric('system.cpu.utilization', 'host', clamp(1 - one.idle / total(one)), {
            'cpu.logical_number': number,
          }),
    ),
  ];
}

function add(a: CpuTimes, b: CpuTimes, sign = 1): CpuTimes {
  return {
    user: a.user + sign * b.user,
    nice: a.nice + sign * b.nice,
    sys: a.sys + sign * b.sys,
    idle: a.idle + sign * b.idle,
    irq: a.irq + sign * b.irq,
  };
}

function total({ user, nice, sys, idle, irq }: CpuTimes): number {
  return user + nice + sys + idle + irq;
}

/** Idle counters can step back a little on a live kernel; a share outside 0 to 1 is noise. */
function clamp(share: number): number {
  return Math.round(Math.min(1, Math.max(0, share)) * 1e4) / 1e4;
}
