/**
 * A backlog of a known length behind a link that is cut, and the pipeline that made it: to be put on and
 * drained in part, or left to others once its programs have ended.
 */
import { join } from 'node:path';
import { type Bench, type Pipeline, planOf, startPipeline } from './pipeline.ts';
import type { RunningSource } from './programs.ts';
import type { FramePlan } from './source/frames.ts';

const TELL_EVERY = 2_000_000;

export interface Backlog {
  /** Frames that wait in it. */
  readonly frames: number;
  /** The same, as a figure tells its size. */
  readonly at: { readonly value: number; readonly unit: string };
  readonly plan: FramePlan;
  readonly pipeline: Pipeline;
  /** Where the pipeline has its files, and its queue among them. */
  readonly directory: string;
  readonly path: string;
}

/** Starts a pipeline and fills its queue. */
export async function makeBacklog(
  bench: Bench,
  frames: number,
  payloadBytes: number,
): Promise<Backlog> {
  const name = `depth-${frames}`;
  const plan = planOf(bench, payloadBytes);
  // So that the queue is that backlog and nothing else, however much was drained.
  const pipeline = await startPipeline(bench, name, plan, {}, { keepSettledBytes: 0 });
  for (let made = 0; made < frames; made += TELL_EVERY) {
    bench.signal.throwIfAborted();
    bench.progress(`depth: ${made} of ${frames} frames made`);
    await pipeline.source.ask({ type: 'fill', frames: Math.min(TELL_EVERY, frames - made) });
  }
  const directory = join(bench.directory, name);
  const at = { value: frames, unit: 'frames queued' };
  return { frames, at, plan, pipeline, directory, path: join(directory, 'queue') };
}

/** Fills a queue that was drained in part up to so many frames. Its link is cut, and known to be. */
export async function refill(source: RunningSource, frames: number): Promise<void> {
  for (;;) {
    const { status } = await source.ask({ type: 'facts' });
    const missing = frames - status.queue.frames;
    if (missing <= 0) return;
    // The last acks may not have reached the queue yet: by what is sent now they have.
    await source.ask({ type: 'fill', frames: missing });
  }
}
