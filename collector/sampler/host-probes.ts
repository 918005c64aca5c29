/** The probes that a collector runs, and who it says it is: the sampler's parts put together. */
import type { Probe } from './probe.ts';
import { ProbeThread } from './probe-thread.ts';
import { whereWeRun } from './probes/cgroup.ts';
import { CpuReader } from './probes/cpu.ts';
import { readLoad, readProcess, readResource, readUptime } from './probes/system.ts';
import type { Resource } from './sample.ts';

/** The least time between two readings of the CPUs, whose counters move in steps of 10 ms. */
const CPU_PERIOD_MS = 1_000;

export interface HostProbes {
  readonly resource: Resource;
  readonly probes: readonly Probe[];
  /** Ends the thread behind the probes. */
  close(): void;
}

export function openHostProbes(): HostProbes {
  const scope = whereWeRun();
  const thread = new ProbeThread(scope);
  const cpu = new CpuReader();
  return {
    resource: readResource(scope),
    probes: [
      { name: 'cpu', periodMs: CPU_PERIOD_MS, read: async () => cpu.read() },
      ...thread.probes,
      { name: 'load', periodMs: 0, read: async () => readLoad() },
      { name: 'uptime', periodMs: 0, read: async () => readUptime() },
      { name: 'process', periodMs: 0, read: async () => readProcess(scope) },
    ],
    close: () => thread.close(),
  };
}
