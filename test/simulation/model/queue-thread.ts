/**
 * The queue's thread in the simulation: the real core and its real rounds over modelled files, with
 * the disk's time. What `worker.ts` does with a thread, its messages and its timer is done here with
 * events. A crash may come at any call to the file port: what the round had to say is never heard.
 */
import { QueueCore } from '#collector/producer/queue/core.ts';
import {
  QueueFailedError,
  QueueInUseError,
  QueueOpenError,
  toFacts,
} from '#collector/producer/queue/errors.ts';
import { loadCollectorId } from '#collector/producer/queue/identity-file.ts';
import type { Opening, QueueThread, Request, Turn } from '#collector/producer/queue/thread.ts';
import { Turns } from '#collector/producer/queue/turns.ts';
import type { QueueOptions } from '#collector/producer/queue/types.ts';
import type { HostDisk } from './host-disk.ts';
import type { Process } from './world.ts';

const MAINTENANCE_INTERVAL_MS = 1_000;

/** What a queue's thread runs on, and who listens. */
export interface ThreadPorts {
  readonly process: Process;
  readonly disk: HostDisk;
  /** How long the disk takes for a round, in milliseconds. */
  readonly roundMs: () => number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly mintEpoch: () => string;
  readonly randomHex: () => string;
  readonly segmentBytes: number;
  /** Sees each request on its way. */
  readonly onRequest: (request: Request) => void;
  /** The process died in the middle of a round. */
  readonly onCrash: () => void;
}

export function startModelThread(options: Required<QueueOptions>, ports: ThreadPorts): QueueThread {
  return new ModelThread(options, ports);
}

class ModelThread implements QueueThread {
  readonly opening: Promise<Opening>;
  readonly ended: Promise<void>;
  readonly #ports: ThreadPorts;
  readonly #openedAt: number;
  readonly #inbox: Request[] = [];
  #turns: Turns | undefined;
  #busy = false;
  #onTurn: (turn: Turn) => void = () => {};
  #onError: (cause: unknown) => void = () => {};
  #end: () => void = () => {};
  #maintenanceAt: (() => void) | undefined;

  constructor(options: Required<QueueOptions>, ports: ThreadPorts) {
    this.#ports = ports;
    this.#openedAt = ports.now();
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.opening = new Promise((resolve) => {
      ports.process.after(ports.roundMs(), () => {
        const opening = this.#open(options);
        if (opening !== undefined) resolve(opening);
      });
    });
  }

  post(request: Request): void {
    this.#ports.onRequest(request);
    this.#inbox.push(request);
    this.#work();
  }

  listen(onTurn: (turn: Turn) => void, onError: (cause: unknown) => void): void {
    this.#onTurn = onTurn;
    this.#onError = onError;
    this.#scheduleMaintenance();
  }

  close(): void {}

  #open(options: Required<QueueOptions>): Opening | undefined {
    const { process, disk, mintEpoch, randomHex, onCrash } = this.#ports;
    const { path } = options;
    const segmentBytes = Math.min(this.#ports.segmentBytes, options.segmentBytes);
    if (!disk.lock(process)) return { error: factsOf(new QueueInUseError(path)) };
    try {
      const { files } = disk;
      const core = new QueueCore(files, { ...options, segmentBytes, mintEpoch });
      this.#turns = new Turns(core, () =>
        loadCollectorId(files, { path, hostName: 'sim', randomHex: randomHex() }),
      );
      if (!disk.crashed) return { recovery: core.recovery, stats: core.stats };
    } catch (error) {
      if (!disk.crashed) {
        disk.unlock(process);
        const cause = error instanceof QueueFailedError ? error.cause : error;
        return { error: factsOf(new QueueOpenError(path, cause)) };
      }
    }
    onCrash();
    return undefined;
  }

  #work(): void {
    if (this.#busy || this.#inbox.length === 0) return;
    this.#busy = true;
    const { process, roundMs } = this.#ports;
    process.after(roundMs(), () => {
      const requests = this.#inbox.splice(0);
      this.#round((turns) => turns.take(requests).turn);
      this.#busy = false;
      this.#work();
    });
  }

  #round(work: (turns: Turns) => Turn): void {
    const { disk, process, onCrash } = this.#ports;
    const turns = this.#turns;
    if (turns === undefined) return;
    let turn: Turn;
    try {
      turn = work(turns);
    } catch (error) {
      if (disk.crashed) return onCrash();
      if (!isDiskError(error)) throw error;
      return this.#die(error);
    }
    if (disk.crashed) return onCrash();
    if (turns.isClosed) {
      disk.unlock(process);
      this.#maintenanceAt?.();
    }
    this.#onTurn(structuredTurn(turn));
    if (turns.isClosed) this.#end();
    else this.#scheduleMaintenance();
  }

  /** An error that a round does not expect ends the thread, and its client is told. */
  #die(cause: unknown): void {
    this.#turns = undefined;
    this.#ports.disk.unlock(this.#ports.process);
    this.#onError(cause);
    this.#end();
  }

  #scheduleMaintenance(): void {
    if (this.#maintenanceAt !== undefined || this.#turns?.maintenanceDue !== true) return;
    const { now, process } = this.#ports;
    this.#maintenanceAt = process.after(MAINTENANCE_INTERVAL_MS, () => {
      this.#maintenanceAt = undefined;
      const sinceOpened = now() - this.#openedAt;
      if (this.#turns?.maintenanceDue === true) {
        this.#round((turns) => turns.maintain(sinceOpened).turn);
      }
      this.#scheduleMaintenance();
    });
  }
}

function isDiskError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EIO';
}

/** A turn crosses to another thread: nothing of the core's is shared with the other side. */
function structuredTurn(turn: Turn): Turn {
  return { ...turn, gaps: turn.gaps.map((gap) => ({ ...gap })), stats: { ...turn.stats } };
}

function factsOf(error: Error): NonNullable<ReturnType<typeof toFacts>> {
  const facts = toFacts(error);
  if (facts === undefined) throw error;
  return facts;
}
