/** The probes that a collector runs, and who it says it is: the sampler's parts put together. */
import type { Probe } from './probe.ts';
import { ProbeThread } from './probe-thread.ts';
import { whereWeRun } from './probes/cgroup.ts';
import { readLoad, readProcess, readResource, readUptime } from './probes/system.ts';
import type { Resource } from './sample.ts';

/** What priming may take; it is a comfort of the first sample, not worth a late start. */
const PRIME_DEADLINE_MS = 2_000;

export interface HostProbes {
  readonly resource: Resource;
  readonly probes: readonly Probe[];
  /** Ends the thread behind the probes. */
  close(): void;
}

/** Resolves when the probes are warm, or after two seconds. */
export async function openHostProbes(): Promise<HostProbes> {
  const scope = whereWeRun();
  const thread = new ProbeThread(scope);
  await Promise.race([
    // What stands in the way shows in the samples' errors.
    thread.prime().catch(() => undefined),
    new Promise((resolve) => setTimeout(resolve, PRIME_DEADLINE_MS).unref()),
  ]);
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
