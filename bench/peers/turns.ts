/**
 * Ours and its peers one after the other, so that each has the machine to itself, every other round in
 * reverse: who takes part, each started with a link of its own, and whoever fails told and left out. What is measured is passed in.
 */
import { strict as assert } from 'node:assert';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LabError } from '#lab/errors.ts';
import { type Bench, startLink } from '../pipeline.ts';
import type { Proof } from '../result.ts';
import { MOSQUITTO_KINDS } from './mosquitto.ts';
import { NATS_KINDS } from './nats.ts';
import { startOurs } from './ours.ts';
import type { Peer, PeerKind, PeerStart } from './peer.ts';
import { RSYSLOG_KINDS } from './rsyslog.ts';

const PEERS: readonly PeerKind[] = [...MOSQUITTO_KINDS, ...NATS_KINDS, ...RSYSLOG_KINDS];

const STOP_WITHIN_MS = 10_000;

/** A pipeline that is to be measured; a peer, or ours. */
export interface Contender {
  readonly name: string;
  /** Whether both ends have what they acknowledge synced to disk. */
  readonly synced: boolean;
  /** Its version and how it is set. */
  readonly about: string;
  /** Of a backlog. */
  readonly backlog: number;
  readonly start: (about: Omit<PeerStart, 'peers'>) => Promise<Proven>;
}

/** Ours alone has a proof. */
type Proven = Peer & { proof?(of: string): Promise<Proof> };

/** A contender with its link whole. */
export interface Started {
  readonly peer: Proven;
  cut(): Promise<void>;
  restore(): Promise<void>;
}

/** What one contender came to, in the order of the rounds; fewer where it failed. */
export interface Turns<T> {
  readonly contender: Contender;
  readonly results: readonly T[];
}

export interface Measured<T> {
  readonly ours: Turns<T>;
  /** Those that could be had, with or without a result. */
  readonly peers: readonly Turns<T>[];
  /** How many peers there are. */
  readonly known: number;
  /** What happened to those that failed, in words. */
  readonly failures: readonly string[];
}

type MeasureOne<T> = (contender: Contender, started: Started) => Promise<T>;

/** How often each is measured; `name` begins the names of directories. */
interface About {
  readonly name: string;
  readonly rounds: number;
}

/** Measures each contender, with all of its programs started for it alone. */
export function measureInTurns<T>(
  bench: Bench,
  about: About,
  measureOne: MeasureOne<T>,
): Promise<Measured<T>> {
  const field = { ours: oursOf(bench), kinds: PEERS };
  return inTurns(bench, about, field, (contender) =>
    measured(bench, `${about.name}-${contender.name}`, contender, measureOne),
  );
}

/** A peer that fails is told and not tried again; where ours does, all of it fails. */
export async function inTurns<T>(
  bench: Pick<Bench, 'debianPackages' | 'signal' | 'progress'>,
  { name, rounds }: About,
  field: { readonly ours: Contender; readonly kinds: readonly PeerKind[] },
  once: (contender: Contender) => Promise<T>,
): Promise<Measured<T>> {
  const failures: string[] = [];
  /** Undefined, and told, where it fails. */
  const attempt = async <R>(who: string, work: () => Promise<R>): Promise<R | undefined> => {
    try {
      return await work();
    } catch (error) {
      bench.signal.throwIfAborted();
      const failure = `${who}: ${wordsOf(error)}`;
      failures.push(failure);
      bench.progress(`✗ ${failure}`);
      return undefined;
    }
  };
  const ours = { contender: field.ours, results: [] as T[] };
  const peers: (typeof ours)[] = [];
  for (const kind of field.kinds) {
    const contender = await attempt(kind.name, () => peerOf(bench, kind));
    if (contender !== undefined) peers.push({ contender, results: [] });
  }
  const all = [ours, ...peers];
  for (let i = 1; i <= rounds; i += 1) {
    // What the one before leaves, such as writes that the disk still has to do, is not always the same one's.
    for (const turns of i % 2 === 1 ? all : all.toReversed()) {
      const { contender, results } = turns;
      if (results.length < i - 1) continue;
      const turn = () => {
        bench.progress(`${name} ${i} of ${rounds}: ${contender.name}`);
        return once(contender);
      };
      const result = turns === ours ? await turn() : await attempt(contender.name, turn);
      if (result !== undefined) results.push(result);
    }
  }
  return { ours, peers, known: field.kinds.length, failures };
}

/** Starts one, has it measured, and leaves nothing of it. */
async function measured<T>(
  bench: Bench,
  name: string,
  contender: Contender,
  measureOne: MeasureOne<T>,
): Promise<T> {
  const directory = join(bench.directory, name.replaceAll(/\W+/g, '-'));
  await mkdir(directory);
  let opened: Omit<Started, 'peer'> | undefined;
  const link: PeerStart['link'] = async (centralPort) => {
    const { link: way, port } = await startLink(bench, directory, centralPort);
    opened = {
      cut: async () => void (await way.cut()),
      restore: async () => void (await way.restore()),
    };
    return { port, ...opened };
  };
  try {
    const peer = await contender.start({ programs: bench.programs, directory, link });
    assert(opened !== undefined, `${contender.name} did not ask for its link`);
    const result = await measureOne(contender, { peer, ...opened });
    // What doesn't end when it is asked to is killed below.
    const { signal } = bench;
    await Promise.race([peer.stop(), delay(STOP_WITHIN_MS, undefined, { ref: false, signal })]);
    return result;
  } finally {
    // Toxiproxy, and of one that failed whatever is left.
    await bench.programs.end();
    await rm(directory, { recursive: true });
  }
}

function oursOf(bench: Bench): Contender {
  return {
    name: 'ours',
    synced: true,
    about:
      'the producer library in a process that makes the records, and the server, at their defaults: both ends sync before anything counts as accepted or acknowledged',
    backlog: Number.POSITIVE_INFINITY,
    start: (about) => startOurs(bench, about),
  };
}

async function peerOf(bench: Pick<Bench, 'debianPackages'>, kind: PeerKind): Promise<Contender> {
  const peers = await bench.debianPackages(kind.packages);
  const versions = kind.packages.map((name) => `${name} ${peers.version(name)}`);
  return {
    name: kind.name,
    synced: kind.synced,
    about: [...versions, ...kind.settings].join('; '),
    backlog: kind.backlog,
    start: (about) => kind.start({ ...about, peers }),
  };
}

function wordsOf(error: unknown): string {
  if (error instanceof LabError) return [error.message, ...error.next].join('. ');
  return error instanceof Error ? error.message : String(error);
}
