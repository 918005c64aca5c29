/**
 * Samples what each program of a ground takes, from outside, into a file of lines while something
 * else goes on. A program that can't be asked just then has no sample: faults do that.
 */
import { appendFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Ground, Service } from '#lab/ground/ground.ts';
import { now } from '../observe/moment.ts';
import type { UsageSample } from '../run/records.ts';

/**
 * On Compose each sample is a container that lives for a second beside each service: every 5 s that
 * took a sixth of two cores. Growth is told from floors of minutes, and four samples make one.
 */
const EVERY_MS = 15_000;

export interface UsageOptions {
  readonly ground: Pick<Ground, 'services'>;
  /** `usage.ndjson`; added to. */
  readonly path: string;
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly everyMs?: number;
}

/** Resolves when the signal is given. Rejects when the file can't be written. */
export async function sampleUsage(options: UsageOptions): Promise<void> {
  const { ground, path, signal, everyMs = EVERY_MS } = options;
  while (!signal.aborted) {
    const startedMs = performance.now();
    const samples = await Promise.all(ground.services.map(sampleOf));
    const lines = samples
      .filter((sample) => sample !== undefined)
      .map((one) => JSON.stringify(one));
    if (lines.length > 0) await appendFile(path, `${lines.join('\n')}\n`);
    const waitMs = Math.max(0, startedMs + everyMs - performance.now());
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
  }
}

async function sampleOf(service: Service): Promise<UsageSample | undefined> {
  try {
    const { generation, running } = await service.state();
    if (!running) return undefined;
    const usage = await service.usage();
    // One that was started anew in between would be counted to the process before it.
    if ((await service.state()).generation !== generation) return undefined;
    return { at: now(), service: service.name, generation, ...usage };
  } catch {
    return undefined;
  }
}
