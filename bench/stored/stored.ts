/**
 * Whether a store's file holds what was sent, read from the file itself once the server has ended: for
 * stores whose export would take minutes. A thread for each core, each with streams of its own.
 */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { BenchError } from '../errors.ts';
import type { FramePlan } from '../source/frames.ts';
import type { Verification } from '../verification.ts';

/** What collector `wire-i` sent: so many frames of the plan from `first` on. */
export interface SentRange {
  readonly first: number;
  readonly sent: number;
}

export interface StreamsToRead {
  /** The store's directory. */
  readonly store: string;
  readonly plan: FramePlan;
  readonly streams: readonly (SentRange & { readonly id: number })[];
}

/** @param sent By the number in the collector's name; nobody else was to send anything. */
export async function verifyFile(
  store: string,
  plan: FramePlan,
  sent: readonly SentRange[],
  signal: AbortSignal,
): Promise<Verification> {
  const ids = streamsOf(store, sent.length);
  const shares = Array.from(
    { length: availableParallelism() },
    (): StreamsToRead['streams'][number][] => [],
  );
  for (const [i, range] of sent.entries()) {
    shares[i % shares.length]?.push({ ...range, id: ids[i] ?? 0 });
  }
  const found = await Promise.all(shares.map((streams) => read({ store, plan, streams }, signal)));
  return sumOf(found.flat());
}

function sumOf(found: readonly Verification[]): Verification {
  const sum = (of: (one: Verification) => number) => found.reduce((all, one) => all + of(one), 0);
  return {
    sent: sum((one) => one.sent),
    stored: sum((one) => one.stored),
    lost: sum((one) => one.lost),
    duplicated: sum((one) => one.duplicated),
    altered: sum((one) => one.altered),
    unexpected: sum((one) => one.unexpected),
  };
}

/** The ids of the streams of `wire-0`, `wire-1` …, which are all that there are. */
function streamsOf(store: string, expected: number): number[] {
  const database = new DatabaseSync(join(store, 'holdfast.db'), { readOnly: true });
  const rows = database.prepare('SELECT id, collector FROM streams').all();
  database.close();
  const ids = Array.from({ length: expected }, (_, i) =>
    rows.filter(({ collector }) => collector === `wire-${i}`).map(({ id }) => Number(id)),
  );
  if (rows.length !== expected || ids.some((own) => own.length !== 1)) {
    const names = rows.map(({ collector }) => String(collector)).join(', ');
    throw new BenchError(`the store has streams of ${names}, not one each of ${expected}`);
  }
  return ids.flat();
}

async function read(data: StreamsToRead, signal: AbortSignal): Promise<Verification[]> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: data });
  try {
    const [found] = await once(worker, 'message', { signal });
    return found as Verification[];
  } catch (cause) {
    throw new BenchError(`the store's file could not be read: ${cause}`, { cause });
  } finally {
    await worker.terminate();
  }
}
