/**
 * What the length of a backlog costs in speed: how fast a queue takes frames in while a backlog waits in it,
 * and how fast it drains while as many wait behind. The lengths come by turns, so that what else goes on meets
 * all of them; a first round is not measured, for it has programs that have done little yet beside others
 * that have made millions of frames.
 *
 * Nothing ever drains whole. What came into the store is verified: the queue's oldest frames without a hole.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Backlog, refill } from './backlog.ts';
import { type Figure, perSecond } from './figures.ts';
import type { Bench } from './pipeline.ts';
import type { Proof, Result } from './result.ts';
import { rowCounts } from './server-counts.ts';
import { verify } from './verification.ts';

/** What is taken in on top of a backlog, and then drained. */
const FRAMES = 50_000;
const SLOWER_MAX = 1.2;

/** One backlog in one round. */
interface Speed {
  readonly appendPerS: number;
  readonly drainPerS: number;
}

/** One backlog, in all rounds. */
interface Measured {
  readonly at: Backlog['at'];
  readonly speeds: readonly Speed[];
}

/**
 * `backlogs` by their length, each cut off. Ends their programs and removes their stores; the queues are as
 * long afterwards as they were.
 */
export async function measureSpeed(
  bench: Bench,
  backlogs: readonly Backlog[],
  rounds: number,
  payloadBytes: number,
): Promise<Result> {
  const measured = backlogs.map((backlog) => ({ backlog, at: backlog.at, speeds: [] as Speed[] }));
  for (let i = 0; i <= rounds; i += 1) {
    bench.progress(i === 0 ? 'depth: warming up' : `depth: speed, round ${i} of ${rounds}`);
    for (const { backlog, speeds } of i % 2 === 0 ? measured : measured.toReversed()) {
      bench.signal.throwIfAborted();
      const speed = await round(backlog);
      if (i > 0) speeds.push(speed);
    }
  }
  const proofs: Proof[] = [];
  for (const { frames, pipeline, directory, plan } of backlogs) {
    bench.progress(`depth: verifying what came of ${frames}`);
    const { source, toxiproxy, server } = pipeline;
    const { status } = await source.ask({ type: 'facts' });
    await source.stop();
    await toxiproxy.stop();
    const { acked, resent } = status.counters;
    // What was under way at a cut may be stored although no ack said so.
    const { stored } = await rowCounts(server.api);
    const verification = await verify(server.api, plan, Math.max(acked, stored));
    await server.stop();
    await rm(join(directory, 'store'), { recursive: true });
    // What is under way at a cut is sent again, rightly.
    proofs.push({ of: `depth ${frames}`, ...verification, resent, resentMax: undefined });
  }
  return { figures: speedFiguresOf(measured, payloadBytes), proofs };
}

/** Takes frames in, drains as many, and leaves the queue cut off and as long as it was. */
async function round({ frames, pipeline: { source, link, restore } }: Backlog): Promise<Speed> {
  const made = await source.ask({ type: 'make', frames: FRAMES });
  const filled = await source.ask({ type: 'fill', frames: FRAMES });
  const before = filled.status.counters.acked;
  await restore();
  const first = await source.ask({ type: 'acked-past', frames: before });
  const last = await source.ask({ type: 'acked-past', frames: before + FRAMES - 1 });
  await link.cut();
  await source.ask({ type: 'not-ready' });
  await refill(source, frames);
  const drained = last.status.counters.acked - first.status.counters.acked;
  return {
    appendPerS: perSecond(FRAMES, filled.at - made.at),
    drainPerS: perSecond(drained, last.at - first.at),
  };
}

/** By the length of the backlog, and the longest over the shortest, round by round. */
export function speedFiguresOf(measured: readonly Measured[], payloadBytes: number): Figure[] {
  const what = `${FRAMES} frames of ${payloadBytes} incompressible bytes`;
  const turns = 'the lengths by turns, after a round that is not measured';
  const append = `${what} into a queue with so many in it, with the link cut, 4,096 sent while 4,096 before them are synced, until all are; the payloads are made before; ${turns}`;
  const drain = `${what}, the oldest there are, through Toxiproxy, while so many wait behind them: from the first ack of a committed row until all are acknowledged, without those of the first; nothing of them is kept; ${turns}`;
  return [
    ...figuresOf('append', measured, ({ appendPerS }) => appendPerS, append),
    ...figuresOf('drain', measured, ({ drainPerS }) => drainPerS, drain),
  ];
}

function figuresOf(
  name: string,
  measured: readonly Measured[],
  pick: (speed: Speed) => number,
  method: string,
): Figure[] {
  const samples = measured.map(({ speeds }) => speeds.map(pick));
  const [few = [], most = []] = [samples[0], samples.at(-1)];
  return [
    ...measured.map(({ at }, i): Figure => {
      return { name, unit: 'frames/s', at, samples: samples[i] ?? [], method };
    }),
    {
      name: `${name}, the longest backlog / the shortest`,
      unit: 'ratio',
      samples: most.map((perS, i) => perS / (few[i] ?? Number.NaN)),
      aims: [{ of: 'median', at: 'least', value: 1 / SLOWER_MAX }],
      method: 'of the same round',
    },
  ];
}
