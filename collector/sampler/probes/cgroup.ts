/**
 * What the kernel charges to the collector's container, from its control group: version 2's files
 * first, then version 1's. systeminformation shows the host's totals in a container as well.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Scope } from '../sample.ts';

const VERSION_2 = {
  usage: '/sys/fs/cgroup/memory.current',
  limit: '/sys/fs/cgroup/memory.max',
} as const;
const VERSION_1 = {
  usage: '/sys/fs/cgroup/memory/memory.usage_in_bytes',
  limit: '/sys/fs/cgroup/memory/memory.limit_in_bytes',
} as const;

/** Version 1 says "no limit" with a number near 2^63, version 2 with the word `max`. */
const NO_LIMIT_BYTES = 2 ** 60;

/** Docker leaves the first file in each container, Podman the second. */
const CONTAINER_MARKS = ['/.dockerenv', '/run/.containerenv'];

export interface ContainerMemory {
  readonly usageBytes: number;
  /** Undefined: as much as the host has. */
  readonly limitBytes: number | undefined;
}

export function whereWeRun(): Scope {
  return CONTAINER_MARKS.some((path) => existsSync(path)) ? 'container' : 'host';
}

/** Rejects when neither version's files can be read. */
export async function readContainerMemory(): Promise<ContainerMemory> {
  const files = existsSync(VERSION_2.usage) ? VERSION_2 : VERSION_1;
  const [usage, limit] = await Promise.all([
    readFile(files.usage, 'utf8'),
    readFile(files.limit, 'utf8'),
  ]);
  return { usageBytes: Number(usage), limitBytes: parseLimit(limit.trim()) };
}

function parseLimit(text: string): number | undefined {
  const bytes = Number(text);
  return text === 'max' || bytes >= NO_LIMIT_BYTES ? undefined : bytes;
}
