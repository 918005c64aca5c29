/**
 * Has each program whose memory and time are measured do its work once before. Node.js then has on
 * disk what it makes of their sources, as wherever they ran before; else the first round alone would
 * pay for that, 40 MB of it in each thread.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { firstAck } from './footprint.ts';
import { type Bench, planOf, startPipeline } from './pipeline.ts';
import { TOKEN } from './programs.ts';

const PAYLOAD_BYTES = 200;
const FRAMES = 1_000;

export async function warmUp(bench: Bench): Promise<void> {
  const name = 'warm-up';
  const plan = planOf(bench, PAYLOAD_BYTES);
  const { source, server, restore, stop } = await startPipeline(bench, name, plan);
  const { port } = server;
  const queue = join(bench.directory, name, 'collector');
  const collector = await bench.programs.collector(queue, port);
  const about = { kind: 'renew', underRequest: 'heals', port, token: TOKEN } as const;
  const rival = await bench.programs.rival({ ...about, collector: name });
  await rival.ask({ type: 'load', plan, frames: 1 });
  await source.ask({ type: 'fill', frames: FRAMES });
  await restore();
  await source.ask({ type: 'acked-past', frames: FRAMES - 1 });
  await firstAck(collector);
  // What they compiled is kept as they end.
  await rival.stop();
  await collector.stop();
  await stop();
  await rm(join(bench.directory, name), { recursive: true });
}
