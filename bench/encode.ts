/**
 * What encoding once and reusing a connection bring, told apart: a queue of samples sent to a real
 * server over a connection for each frame or one for all, singly or in batches, and encoded each
 * time or once. On loopback, and with latency by Toxiproxy.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Figure, medianOf, perSecond } from './figures.ts';
import { cpuSeconds } from './machine.ts';
import { type Bench, planOf, startLink } from './pipeline.ts';
import { type Running, type RunningServer, type RunningWire, TOKEN } from './programs.ts';
import type { Result } from './result.ts';
import type { FramePlan } from './source/frames.ts';
import { verify } from './verification.ts';
import type { Transport, WireCommand } from './wire/commands.ts';

const PAYLOAD_BYTES = 300;
const QUEUE_FRAMES = 20_000;
const ROUNDS = 3;
const WARM_UP_FRAMES = 20;
const LATENCY_MS = 20;

interface Case {
  readonly encoded: 'each time' | 'once';
  readonly by: Transport;
}

const CASES: readonly Case[] = [
  { encoded: 'each time', by: 'a connection each' },
  { encoded: 'once', by: 'a connection each' },
  { encoded: 'once', by: 'one by one' },
  { encoded: 'once', by: 'singly' },
  { encoded: 'each time', by: 'in batches' },
  { encoded: 'once', by: 'in batches' },
];

/** How many of the queue are sent: where each waits for an answer, fewer tell its rate as well. */
type Counts = Readonly<Record<Transport, number>>;

const COUNTS: Readonly<Record<'loopback' | 'latency', Record<Bench['size'], Counts>>> = {
  loopback: {
    short: {
      'a connection each': 300,
      'one by one': 1_000,
      singly: QUEUE_FRAMES,
      'in batches': QUEUE_FRAMES,
    },
    full: {
      'a connection each': QUEUE_FRAMES,
      'one by one': QUEUE_FRAMES,
      singly: QUEUE_FRAMES,
      'in batches': QUEUE_FRAMES,
    },
  },
  latency: {
    short: {
      'a connection each': 25,
      'one by one': 60,
      singly: QUEUE_FRAMES,
      'in batches': QUEUE_FRAMES,
    },
    full: {
      'a connection each': 200,
      'one by one': 500,
      singly: QUEUE_FRAMES,
      'in batches': QUEUE_FRAMES,
    },
  },
};

/** A case over the rounds. */
interface Measured extends Case {
  readonly frames: number;
  readonly perS: number[];
  /** Of the sending process and the server, for each frame. */
  readonly cpuUs: number[];
  /** Of encoding one sample, where that was done before. */
  readonly encodeUs: number[];
}

export function measureEncodeOnLoopback(bench: Bench): Promise<Result> {
  return measure(bench, 'loopback');
}

export function measureEncodeWithLatency(bench: Bench): Promise<Result> {
  return measure(bench, 'latency');
}

async function measure(bench: Bench, where: 'loopback' | 'latency'): Promise<Result> {
  const directory = join(bench.directory, where);
  await mkdir(directory);
  const plan: FramePlan = { ...planOf(bench, PAYLOAD_BYTES), content: 'json' };
  const server = await bench.programs.server(join(directory, 'store'));
  const path = where === 'loopback' ? undefined : await slowPath(bench, directory, server);
  const queue = new Queue(await bench.programs.wire(), server, path?.port ?? server.port, plan);
  const counts = COUNTS[where][bench.size];
  const measured = CASES.map((one): Measured => {
    return { ...one, frames: counts[one.by], perS: [], cpuUs: [], encodeUs: [] };
  });
  for (const one of CASES) await queue.send(one, Math.min(WARM_UP_FRAMES, counts[one.by]));
  for (let i = 1; i <= ROUNDS; i += 1) {
    bench.progress(`encode, ${where}: round ${i} of ${ROUNDS}`);
    // Each round begins with another case, for the server's store grows meanwhile.
    for (const one of [
      ...measured.slice(i % CASES.length),
      ...measured.slice(0, i % CASES.length),
    ]) {
      const { elapsedMs, encodedMs, cpuS } = await queue.send(one, one.frames);
      one.perS.push(perSecond(one.frames, elapsedMs));
      one.cpuUs.push((cpuS * 1e6) / one.frames);
      if (one.encoded === 'once') one.encodeUs.push((encodedMs * 1_000) / one.frames);
    }
  }
  const verification = await verify(server.api, plan, queue.sent);
  await queue.wire.stop();
  await path?.toxiproxy.stop();
  await server.stop();
  const proof = { of: `encode, ${where}`, ...verification, resent: 0, resentMax: 0 };
  return { figures: figuresOf(measured, where), proofs: [proof] };
}

async function slowPath(
  bench: Bench,
  directory: string,
  server: RunningServer,
): Promise<{ port: number; toxiproxy: Running }> {
  const { link, port, toxiproxy } = await startLink(bench, directory, server.port);
  const attributes = { latency: LATENCY_MS, jitter: 0 };
  const streams = ['upstream', 'downstream'] as const;
  await link.add(streams.map((stream) => ({ type: 'latency', stream, attributes })));
  return { port, toxiproxy };
}

/** The frames of the plan, one stretch after the other, each sent by a collector of its own. */
class Queue {
  readonly wire: RunningWire;
  readonly #server: RunningServer;
  readonly #about: Pick<Extract<WireCommand, { type: 'queue' }>, 'port' | 'token' | 'plan'>;
  #sent = 0;
  #stretches = 0;

  constructor(wire: RunningWire, server: RunningServer, port: number, plan: FramePlan) {
    this.wire = wire;
    this.#server = server;
    this.#about = { port, token: TOKEN, plan };
  }

  get sent(): number {
    return this.#sent;
  }

  async send({ encoded, by }: Case, frames: number) {
    this.#stretches += 1;
    const collector = `queue-${this.#stretches}`;
    const how = { collector, firstFrame: this.#sent, frames, encoded, by };
    const before = this.#cpuS();
    const { elapsedMs, encodedMs } = await this.wire.ask({ type: 'queue', ...this.#about, ...how });
    this.#sent += frames;
    return { elapsedMs, encodedMs, cpuS: this.#cpuS() - before };
  }

  #cpuS(): number {
    return cpuSeconds(this.wire.pid) + cpuSeconds(this.#server.pid);
  }
}

const WORDS: Readonly<Record<Transport, string>> = {
  'a connection each': 'a connection for each frame: dialled, proven, one frame, its ack, closed',
  'one by one': 'one connection, each frame after the ack of the one before',
  singly: 'one connection, as much under way as the window lets, each frame a message of its own',
  'in batches': 'the same, 800 frames a message',
};

function figuresOf(measured: readonly Measured[], where: 'loopback' | 'latency'): Figure[] {
  const place =
    where === 'loopback'
      ? 'on loopback'
      : `through Toxiproxy with ${LATENCY_MS} ms of latency in each direction`;
  const of = (encoded: Case['encoded'], by: Transport) =>
    measured.find((one) => one.encoded === encoded && one.by === by)?.perS ?? [];
  const ratio = (name: string, over: readonly number[], under: readonly number[]): Figure => ({
    name,
    unit: 'ratio',
    better: 'neither',
    samples: over.map((perS, i) => perS / (under[i] ?? Number.NaN)),
    method: 'of the frames a second of each round',
  });
  return [
    ...measured.map(
      ({ encoded, by, frames, perS }): Figure => ({
        name: `${by}, encoded ${encoded}`,
        unit: 'frames/s',
        // Latency is what bounds it there, and no processor.
        bound: where === 'loopback' ? 'processor' : 'none',
        samples: perS,
        method: `${WORDS[by]}; ${frames} of a queue of ${QUEUE_FRAMES} samples of ${PAYLOAD_BYTES} bytes of JSON, to a server that commits them, ${place}; ${encoded === 'once' ? 'the samples were encoded before' : 'each is encoded as it is sent'}`,
      }),
    ),
    ratio(
      'encoding once, a connection each',
      of('once', 'a connection each'),
      of('each time', 'a connection each'),
    ),
    ratio('encoding once, in batches', of('once', 'in batches'), of('each time', 'in batches')),
    ratio(
      'one connection, one by one / a connection each',
      of('once', 'one by one'),
      of('once', 'a connection each'),
    ),
    ratio(
      'one connection, singly / a connection each',
      of('once', 'singly'),
      of('once', 'a connection each'),
    ),
    ratio(
      'one connection, in batches / a connection each',
      of('once', 'in batches'),
      of('once', 'a connection each'),
    ),
    ...measured.map(
      ({ encoded, by, cpuUs }): Figure => ({
        name: `CPU, ${by}, encoded ${encoded}`,
        unit: 'µs',
        samples: cpuUs,
        method:
          'of the sending process and the server for each frame, encoding included either way, counted in steps of 10 ms over all',
      }),
    ),
    {
      name: 'encoding one sample',
      unit: 'µs',
      samples: medianByRound(measured),
      method: `into ${PAYLOAD_BYTES} bytes of JSON, its CRC included: of the queues that were encoded before, the median of each round`,
    },
  ];
}

/** Of the cases that encode before, round by round. */
function medianByRound(measured: readonly Measured[]): number[] {
  const own = measured.filter(({ encodeUs }) => encodeUs.length > 0);
  const rounds = own[0]?.encodeUs.length ?? 0;
  return Array.from({ length: rounds }, (_, i) =>
    medianOf(own.map(({ encodeUs }) => encodeUs[i] ?? Number.NaN)),
  );
}
