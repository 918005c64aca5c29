/**
 * What an export costs the others: the same backlog drains twice, alone and while a million stored
 * frames are exported, and again; how fast the export is by itself; and how far the write-ahead log
 * grows under each.
 */
import { statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BenchError } from './errors.ts';
import { type Figure, perSecond } from './figures.ts';
import { peakResidentBytes, residentBytes } from './machine.ts';
import { type Bench, type Pipeline, planOf, startPipeline } from './pipeline.ts';
import type { Result } from './result.ts';
import { machineMs } from './source/commands.ts';
import { verify } from './verification.ts';

const STORED = { short: 300_000, full: 1_000_000 } as const;
const BACKLOG = { short: 100_000, full: 300_000 } as const;
const PAYLOAD_BYTES = 300;
const ROUNDS = { short: 1, full: 2 } as const;
const WATCH_MS = 20;

interface Exported {
  readonly frames: number;
  readonly elapsedMs: number;
}

interface Round {
  readonly alonePerS: number;
  readonly besidePerS: number;
  readonly exportPerS: number;
  readonly aloneWalMb: number;
  readonly besideWalMb: number;
}

export async function measureExport(bench: Bench): Promise<Result> {
  const name = 'export';
  const plan = planOf(bench, PAYLOAD_BYTES);
  const pipeline = await startPipeline(bench, name, plan);
  const { source, server } = pipeline;
  const store = join(bench.directory, name, 'store');
  const stored = STORED[bench.size];
  bench.progress(`storing ${stored} frames`);
  await drain(pipeline, store, stored);
  const newest = await newestOf(server.api);
  const url = `${server.api}/api/v1/export?to=${encodeURIComponent(newest)}`;

  bench.progress('the export alone');
  const residentBefore = residentBytes(server.pid);
  const first = await exported(url, bench.signal);
  const exportMb = (peakResidentBytes(server.pid) - residentBefore) / 1e6;
  const rounds: Round[] = [];
  for (let i = 1; i <= ROUNDS[bench.size]; i += 1) {
    bench.progress(`drains ${i} of ${ROUNDS[bench.size]}`);
    rounds.push(await round(bench, pipeline, store, url));
  }
  const { sent, status } = await source.ask({ type: 'facts' });
  const verification = await verify(server.api, plan, sent);
  await pipeline.stop();
  await rm(join(bench.directory, name), { recursive: true });
  const { resent } = status.counters;
  const proof = { of: name, ...verification, resent, resentMax: 0 };
  return { figures: figuresOf(bench, first, exportMb, rounds), proofs: [proof] };
}

async function round(bench: Bench, pipeline: Pipeline, store: string, url: string): Promise<Round> {
  const backlog = BACKLOG[bench.size];
  const alone = await drain(pipeline, store, backlog);
  const ended = new AbortController();
  const signal = AbortSignal.any([bench.signal, ended.signal]);
  const beside: Exported[] = [];
  const exporting = (async () => {
    // One after the other for as long as the drain takes.
    while (!signal.aborted) beside.push(await exported(url, signal));
  })();
  const drained = await drain(pipeline, store, backlog);
  ended.abort();
  await exporting;
  const frames = beside.reduce((sum, one) => sum + one.frames, 0);
  const elapsedMs = beside.reduce((sum, one) => sum + one.elapsedMs, 0);
  return {
    alonePerS: perSecond(backlog, alone.elapsedMs),
    besidePerS: perSecond(backlog, drained.elapsedMs),
    exportPerS: perSecond(frames, elapsedMs),
    aloneWalMb: alone.walMb,
    besideWalMb: drained.walMb,
  };
}

/** Fills the queue with the link cut, and times the drain from its first ack on. */
async function drain(
  { source, link, restore }: Pipeline,
  store: string,
  frames: number,
): Promise<{ elapsedMs: number; walMb: number }> {
  await link.cut();
  const { status } = await source.ask({ type: 'fill', frames });
  const before = status.counters.acked;
  let walBytes = 0;
  const watch = setInterval(() => {
    walBytes = Math.max(walBytes, statSync(join(store, 'holdfast.db-wal')).size);
  }, WATCH_MS);
  await restore();
  const first = await source.ask({ type: 'acked-past', frames: before });
  const left = before + frames - first.status.counters.acked;
  const last = await source.ask({ type: 'acked-past', frames: before + frames - 1 });
  clearInterval(watch);
  return { elapsedMs: ((last.at - first.at) * frames) / left, walMb: walBytes / 1e6 };
}

/** Reads an export to its end, or until it is called off; counts lines alone. */
async function exported(url: string, signal: AbortSignal): Promise<Exported> {
  const startedAt = machineMs();
  let frames = 0;
  try {
    const response = await fetch(url, { signal });
    if (response.status !== 200) throw new BenchError(`an export was answered ${response.status}`);
    for await (const piece of response.body ?? []) {
      for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, at + 1)) frames += 1;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return { frames, elapsedMs: machineMs() - startedAt };
}

/** The capture time of the newest stored frame: all before it stay the same from now on. */
async function newestOf(api: string): Promise<string> {
  const response = await fetch(`${api}/api/v1/frames?limit=1`);
  const { frames } = (await response.json()) as { frames: { captured_at: string }[] };
  const [newest] = frames;
  if (newest === undefined) throw new BenchError('nothing was stored');
  return newest.captured_at;
}

function figuresOf(
  { size }: Bench,
  first: Exported,
  exportMb: number,
  rounds: readonly Round[],
): Figure[] {
  const of = (pick: (round: Round) => number) => rounds.map(pick);
  const stored = STORED[size];
  const backlog = `${BACKLOG[size]} frames of ${PAYLOAD_BYTES} bytes, from the first ack on`;
  return [
    {
      name: 'export, alone',
      unit: 'frames/s',
      samples: [perSecond(first.frames, first.elapsedMs)],
      method: `${stored} stored frames as NDJSON to a reader that counts lines, nothing else going on`,
    },
    {
      name: 'export, memory on top',
      unit: 'MB',
      samples: [exportMb],
      method:
        'peak of the server at the end of that export, over what was resident at its beginning',
    },
    {
      name: 'drain, alone',
      unit: 'frames/s',
      samples: of(({ alonePerS }) => alonePerS),
      method: backlog,
    },
    {
      name: 'drain, beside an export',
      unit: 'frames/s',
      samples: of(({ besidePerS }) => besidePerS),
      method: `the same, with one export of ${stored} after the other under way all the time`,
    },
    {
      name: 'drain beside an export / alone',
      unit: 'ratio',
      samples: of(({ besidePerS, alonePerS }) => besidePerS / alonePerS),
      aims: [{ of: 'median', at: 'least', value: 0.8 }],
      method: 'each over the one just before it',
    },
    {
      name: 'export, beside a drain',
      unit: 'frames/s',
      samples: of(({ exportPerS }) => exportPerS),
      method: 'what the exports got done meanwhile; they leave the disk and the cores to ingest',
    },
    {
      name: 'write-ahead log, alone',
      unit: 'MB',
      samples: of(({ aloneWalMb }) => aloneWalMb),
      method: `size of its file, looked at every ${WATCH_MS} ms of the drain, at its largest`,
    },
    {
      name: 'write-ahead log, beside an export',
      unit: 'MB',
      samples: of(({ besideWalMb }) => besideWalMb),
      method: 'the same',
    },
  ];
}
