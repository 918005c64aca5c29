/** The probes that a collector runs, and who it says it is: the sampler's parts put together. */
import type { Probe } from './probe.ts';
import { ProbeThread } from './probe-thread.ts';
import { whereWeRun } from './probes/cgroup.ts';
import { readLoad, readProcess, readResource, readUptime } from './probes/system.ts';
import type { Resource } from './sample.ts';

export interface HostProbes {
  readonly resource: Resource;
  readonly probes: readonly Probe[];
  /** Ends the thread behind the probes. */
  close(): void;
}

export function openHostProbes(): HostProbes {
  const scope = whereWeRun();
  const thread = new ProbeThread(scope);
  return {
    resource: readResource(scope),
    probes: [
      ...thread.probes,
      { name: 'load', periodMs: 0, read: async () => readLoad() },
      { name: 'uptime', periodMs: 0, read: async () => readUptime() },
      { name: 'process', periodMs: 0, read: async () => readProcess(scope) },
    ],
    close: () => thread.close(),
  };
}
