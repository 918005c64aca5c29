/**
 * Has each program whose memory and time are measured do its work once before. Node.js then has on
 * disk what it makes of their sources, as wherever they ran before; else the first round alone would
 * pay for that, 40 MB of it in each thread. Where that fails it is told, and nothing is lost but that.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LabError } from '#lab/errors.ts';
import { BenchError } from './errors.ts';
import { firstAck } from './footprint.ts';
import { type Bench, planOf, startPipeline } from './pipeline.ts';
import { TOKEN } from './programs.ts';

const NAME = 'warm-up';
const PAYLOAD_BYTES = 200;
const FRAMES = 1_000;

/** Rejects with the reason of the signal when it is aborted, and for a mistake of our own. */
export async function warmUp(bench: Bench): Promise<void> {
  try {
    await haveAllRun(bench);
  } catch (failure) {
    bench.signal.throwIfAborted();
    if (!(failure instanceof BenchError || failure instanceof LabError)) throw failure;
    bench.progress(`✗ warm-up: ${failure.message}; what is measured first may take more for it`);
  } finally {
    // Of one that failed, programs may be left.
    await bench.programs.end();
    await rm(join(bench.directory, NAME), { recursive: true, force: true });
  }
}

async function haveAllRun(bench: Bench): Promise<void> {
  const plan = planOf(bench, PAYLOAD_BYTES);
  const { source, server, restore, stop } = await startPipeline(bench, NAME, plan);
  const { port } = server;
  const queue = join(bench.directory, NAME, 'collector');
  const collector = await bench.programs.collector(queue, port);
  const about = { kind: 'renew', underRequest: 'heals', port, token: TOKEN } as const;
  const rival = await bench.programs.rival({ ...about, collector: NAME });
  await rival.ask({ type: 'load', plan, frames: 1 });
  await source.ask({ type: 'fill', frames: FRAMES });
  await restore();
  await source.ask({ type: 'acked-past', frames: FRAMES - 1 });
  await firstAck(collector);
  // What they compiled is kept as they end.
  await rival.stop();
  await collector.stop();
  await stop();
}
