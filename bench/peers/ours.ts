/**
 * Ours, measured as its peers are: the edge is the source on the producer library, the centre the
 * server. Three things make it harder for ours: the edge is the application, too, which makes the
 * records; both ends sync; and a record counts as stored when the source has the ack of its committed
 * row, so that the way back is in each time.
 */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { inTime } from '../in-time.ts';
import { type Bench, planOf } from '../pipeline.ts';
import { TOKEN } from '../programs.ts';
import type { Proof } from '../result.ts';
import { indexOf } from '../source/frames.ts';
import { exportedRows, verify } from '../verification.ts';
import { type Peer, type PeerStart, RECORD_BYTES } from './peer.ts';

const COLLECTOR = 'bench';

interface Ours extends Peer {
  /** What the export holds, of all records so far. */
  proof(of: string): Promise<Proof>;
}

export async function startOurs(
  bench: Bench,
  { directory, link }: Pick<PeerStart, 'directory' | 'link'>,
): Promise<Ours> {
  const plan = planOf(bench, RECORD_BYTES);
  const server = await bench.programs.server(join(directory, 'store'));
  const { port } = await link(server.port);
  const source = await bench.programs.source({
    server: { host: '127.0.0.1', port },
    token: TOKEN,
    collector: COLLECTOR,
    queuePath: join(directory, 'queue'),
    plan,
  });
  let sent = 0;
  /** Of what was offered at a rate: by number, until it was known to be stored. */
  const latenciesMs: number[] = [];
  return {
    edge: source,
    central: server,
    fill: async (first, count) => {
      assert(first === sent, 'records are given in order');
      await source.ask({ type: 'fill', frames: count });
      sent += count;
    },
    offer: async (first, count, perSecond) => {
      assert(first === sent, 'records are given in order');
      const load = { type: 'timed-load', frames: count, perSecond } as const;
      const { stored = [] } = (await source.ask(load)).timesMs;
      stored.forEach((ms, i) => {
        latenciesMs[first + i] = ms;
      });
      sent += count;
    },
    stored: async (count, withinMs) => {
      const acked = source.ask({ type: 'acked-past', frames: count - 1 });
      return (await inTime(acked, withinMs, `not all of ${count} were stored`)).at;
    },
    arrivals: async () => {
      const times = new Map<number, number>();
      for await (const { payload } of exportedRows(server.api)) {
        const number = indexOf(payload) ?? Number.NaN;
        times.set(number, (times.get(number) ?? 0) + 1);
      }
      return [...times].map(([number, often]) => {
        return { number, times: often, latencyMs: latenciesMs[number] ?? Number.NaN };
      });
    },
    proof: async (of) => {
      const { sent: all, status } = await source.ask({ type: 'facts' });
      const { resent } = status.counters;
      return { of, ...(await verify(server.api, plan, all)), resent, resentMax: 0 };
    },
    stop: async () => {
      await source.stop();
      await server.stop();
    },
  };
}
