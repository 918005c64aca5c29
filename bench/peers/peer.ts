/**
 * One pipeline of today, installed as its manual says: an edge that keeps what it is given on disk,
 * a link, and a central that stores. What of it a benchmark needs, the same for each.
 */
import type { UnpackedPackages } from '#lab/debian-packages.ts';
import type { Programs, Running } from '../programs.ts';

/** A record: {@link RECORD_BYTES} printable bytes, its number and its capture time in front. */
export const RECORD_BYTES = 200;

export interface PeerKind {
  /** The program, and what is special in its settings: `nats, synced`. */
  readonly name: string;
  /** Debian's packages that it needs. */
  readonly packages: readonly string[];
  /** Whether both ends have what they acknowledge synced to disk. */
  readonly synced: boolean;
  /** How it is set, a line each, as the report prints it. */
  readonly settings: readonly string[];
  /** Of a backlog; fewer where it would take minutes. */
  readonly backlog: number;
  start(about: PeerStart): Promise<Peer>;
}

export interface PeerStart {
  readonly programs: Programs;
  /** Where its packages were unpacked; nothing of them is installed on the machine. */
  readonly peers: Pick<UnpackedPackages, 'path' | 'directory' | 'environment'>;
  /** Empty, and its own. */
  readonly directory: string;
  /**
   * A Toxiproxy of its own before a port of this machine, open; `port` is where the edge dials.
   * The central's port has to be known before, listening or not.
   */
  link(
    centralPort: number,
  ): Promise<{ port: number; cut(): Promise<void>; restore(): Promise<void> }>;
}

export interface Peer {
  readonly edge: Running;
  readonly central: Running;
  /**
   * Gives the edge records `[first, first + count)` as fast as it takes them; resolves when it has
   * acknowledged all. Throws BenchError when it refuses one.
   */
  fill(first: number, count: number): Promise<void>;
  /** The same at a steady rate, each record made when it is due. */
  offer(first: number, count: number, perSecond: number): Promise<void>;
  /**
   * When the central's sink got the last of this many distinct records, by `machineMs`; waits until
   * it has. Throws LateError when that takes longer, BenchError when it can't come any more.
   */
  stored(count: number, withinMs: number): Promise<number>;
  /** Of every record that the sink has, by number: how often it came, and capture to arrival of the first, in ms. */
  arrivals(): Promise<
    readonly { readonly number: number; readonly times: number; readonly latencyMs: number }[]
  >;
  stop(): Promise<void>;
}
