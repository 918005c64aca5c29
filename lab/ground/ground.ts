/**
 * What a lab runs on, seen from outside: its services, what can be done to each, and what can be
 * seen of it. One contract for Compose, for processes on loopback and for the containers of the
 * integration tests; faults are written against it and run on all of them. What a service says of
 * itself over its API is not here, nor is the link between them (`lab/link.ts`).
 *
 * Every call resolves only when its order has taken effect, or rejects with what was wrong.
 */

export type GroundKind = 'compose' | 'process' | 'containers';

/**
 * What a ground may be unable to do; the rest all of them can. `plain`: who stands in the middle of
 * the link can read its messages, which with TLS nobody can.
 */
export type Ability = 'trace' | 'limit_files' | 'unplug' | 'traffic' | 'plain';

/** Why `plain` is missing. */
export const SECURED =
  'the link is TLS, and nobody in its middle can tell its messages apart; make up without TLS=1';

/** One moment on both clocks of this machine, in the oracle's form. */
export interface Moment {
  readonly wall_us: number;
  readonly monotonic_ms: number;
}

/** A program that ended, whoever caused it. `injected`: it was done to it through this contract. */
export interface Exit {
  readonly at: Moment;
  readonly process: string;
  readonly code: number | null;
  readonly signal: string | null;
  readonly injected: boolean;
}

export interface ServiceState {
  readonly running: boolean;
  readonly frozen: boolean;
  /** Another one after each start. */
  readonly generation: string;
}

/** Of all processes of a service together. */
export interface Usage {
  readonly resident_bytes: number;
  readonly open_files: number;
  /** What its data folder takes; 0 without one. */
  readonly disk_bytes: number;
}

/** What has come in over a service's own network interfaces. */
export interface Traffic {
  readonly rxBytes: number;
  readonly rxPackets: number;
}

/** Calls on one file that go wrong from now on, in a program that runs. */
export interface CallFault {
  /** As the service sees it. */
  readonly path: string;
  readonly calls: readonly ('pwrite64' | 'write' | 'fdatasync' | 'fsync')[];
  readonly how: { readonly error: 'ENOSPC' | 'EIO' } | { readonly delayMs: number };
}

/** A fault that is in force until it is lifted. */
export interface InForce {
  /** How many calls have gone wrong so far. */
  count(): number;
  lift(): Promise<void>;
}

/** Ports by which the services are known: on any ground they are asked for by Compose's numbers. */
export const PORT_IN_COMPOSE = {
  ingest: 9000,
  api: 8080,
  status: 9464,
  link: 9004,
  toxiproxyApi: 8474,
} as const;

export interface Ran {
  readonly exitCode: number;
  readonly output: string;
}

export interface Service {
  readonly name: string;
  /** Its data folder, as it sees it; null without one. */
  readonly dataPath: string | null;
  /** All ends since the ground was opened. */
  readonly exits: readonly Exit[];

  state(): Promise<ServiceState>;
  /**
   * Where a port of it is reached from this machine, as `http://host:port`. `port` is the number
   * that it has in Compose (`PORT_IN_COMPOSE`). Rejects while it does not run.
   */
  url(port: number): Promise<string>;

  /** SIGKILL to all its processes; the restart policy brings it back. */
  kill(): Promise<void>;
  /** To all its processes; TERM ends it and the restart policy brings it back. */
  signal(name: 'TERM' | 'HUP' | 'USR2'): Promise<void>;
  /** All its processes stand still; the kernel goes on to take its connections. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** SIGTERM, then SIGKILL; it stays down until `start`. */
  stop(): Promise<void>;
  start(): Promise<void>;

  /**
   * Runs a command of its image where its files are, as its user, whether or not it runs itself.
   * The first word `node` is the Node.js that it runs on; paths of our programs count from the
   * project (`server/main.ts`). Its environment is the service's.
   */
  run(command: readonly string[]): Promise<Ran>;
  /** Lines that it has logged since that time. */
  log(since: Date): Promise<string[]>;
  usage(): Promise<Usage>;

  /** Ability `traffic`. */
  traffic(): Promise<Traffic>;
  /** Ability `trace`. */
  failCalls(fault: CallFault): Promise<InForce>;
  /** Ability `limit_files`: of the program that runs, not of the next one. Lifting puts back what was. */
  limitFiles(limit: number): Promise<InForce>;
  /** Ability `unplug`: off the collectors' network; its name is gone there, and what flowed stands still. */
  unplug(): Promise<void>;
  plug(): Promise<void>;
}

/** A program beside the lab's own services, gone when the ground is closed. */
export interface Launch {
  readonly name: string;
  /** As for `Service.run`. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Ports that are to be reached from this machine. */
  readonly ports: readonly number[];
  /** Beside the collector, or beside the server; a mangler stands in both. */
  readonly networks: readonly ('edge' | 'central')[];
  /** A data folder of its own under this name in the image (`/queue`, `/store`), empty at first. */
  readonly data?: '/queue' | '/store';
  /** Begins with a copy of that service's data folder. */
  readonly copyOf?: string;
  /** A folder of this machine that it may write to, and the variable that tells it a path in there. */
  readonly folder?: { readonly host: string; readonly variable: string; readonly file: string };
  /** It is given the lab's secret in HOLDFAST_TOKEN_FILE, and the lab's TLS settings of a collector. */
  readonly joins?: boolean;
  /** Brought back when it ends; true unless told. */
  readonly restarts?: boolean;
}

export interface Ground {
  readonly kind: GroundKind;
  /** Why it can't, in words for a person; null when it can. */
  cannot(ability: Ability): string | null;

  /** One of `server`, `toxiproxy`, `collector`, or one that was launched. Throws for any other. */
  service(name: string): Service;
  /** All of them. */
  readonly services: readonly Service[];

  /** Resolves when the program has been started; whether it is ready is for its `/readyz` to say. */
  launch(launch: Launch): Promise<Service>;
  remove(service: Service): Promise<void>;

  /** Toxiproxy's API, from this machine. */
  readonly toxiproxyUrl: string;
  /** host:port of the link's entrance, as a collector dials it. */
  readonly linkEntrance: string;
  /** The same, as Toxiproxy listens on it. */
  readonly linkListen: string;
  /** host:port of the server's ingest, as Toxiproxy dials it. */
  readonly linkExit: string;
  /** host:port of a port of a launched service, as the others on its networks dial it. */
  address(service: Service, port: number): string;

  /**
   * Another secret for the server, which is started anew with it, as it is when this is lifted. The
   * collectors keep theirs. The right one outlives a runner that dies: `heal` puts it back.
   */
  changeSecret(): Promise<InForce>;

  /**
   * Whatever a fault may have left: thaws, starts, plugs in again, lifts limits, removes what was
   * launched and not removed. In words what it mended; nothing on a ground that was whole.
   */
  heal(): Promise<string[]>;
  /** Stops looking on. The lab goes on as it is, harmed or not. */
  leave(): Promise<void>;
  /** Heals, and leaves. */
  close(): Promise<void>;
}
