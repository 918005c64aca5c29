/**
 * The queue's thread: owns the lock, the port and the timer of its upkeep. It waits for messages,
 * takes all that have arrived, and answers everything in one message; what a round of that does is
 * in `turns.ts`.
 *
 * This file is a thread's entry: it runs when it is loaded. Nothing imports it.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { randomUuidV7 } from '../older-node.ts';
import { QueueCore } from './core.ts';
import { judgeDirectory } from './directory.ts';
import { Disk, DiskReader } from './disk.ts';
import {
  type QueueError,
  QueueFailedError,
  QueueForeignError,
  QueueInUseError,
  QueueOpenError,
  toFacts,
} from './errors.ts';
import { loadCollectorId } from './identity-file.ts';
import { lockQueue, type QueueLock } from './lock.ts';
import type { Opening, Request, WorkerStart } from './thread.ts';
import { type Report, Turns } from './turns.ts';

/** What was settled is written down at most this often. */
const MAINTENANCE_INTERVAL_MS = 1_000;
/** How soon dead letters that are to be sent again are noticed. */
const REPLAY_INTERVAL_MS = 1_000;

class QueueWorker {
  readonly #port: MessagePort;
  readonly #lock: QueueLock;
  readonly #turns: Turns;
  readonly #opening: Opening;
  readonly #openedAt = performance.now();
  #maintenance: NodeJS.Timeout | undefined;
  #replays: NodeJS.Timeout | undefined;

  constructor(options: WorkerStart['options'], port: MessagePort) {
    this.#port = port;
    const { path } = options;
    const verdict = judgeDirectory(new DiskReader(path).list(''));
    if (verdict.kind === 'foreign') throw new QueueForeignError(path, verdict.holds);
    const files = new Disk(path);
    this.#lock = lockQueue(path);
    try {
      const core = new QueueCore(files, { ...options, mintEpoch: randomUuidV7 });
      this.#opening = { recovery: core.recovery, stats: core.stats };
      this.#turns = new Turns(core, () => {
        const randomHex = randomBytes(4).toString('hex');
        return loadCollectorId(files, { path, hostName: hostname(), randomHex });
      });
    } catch (error) {
      this.#lock.release();
      throw error;
    }
  }

  start(): void {
    this.#port.postMessage(this.#opening);
    this.#port.on('message', (request: Request) => this.#turn(request));
    this.#scheduleMaintenance();
    this.#replays = setInterval(() => {
      if (this.#turns.replayAsked) this.#send(this.#turns.replay());
      this.#scheduleMaintenance();
    }, REPLAY_INTERVAL_MS);
  }

  #turn(first: Request): void {
    const requests = [first];
    for (;;) {
      const next = receiveMessageOnPort(this.#port);
      if (next === undefined) break;
      requests.push(next.message);
    }
    const report = this.#turns.take(requests);
    // Before the answer: whoever hears that the queue is closed may open it.
    if (this.#turns.isClosed) this.#lock.release();
    this.#send(report);
    if (!this.#turns.isClosed) return this.#scheduleMaintenance();
    clearTimeout(this.#maintenance);
    clearInterval(this.#replays);
    this.#port.close();
  }

  #send({ turn, memory }: Report): void {
    this.#port.postMessage(turn, memory);
  }

  #scheduleMaintenance(): void {
    if (this.#maintenance !== undefined || !this.#turns.maintenanceDue) return;
    this.#maintenance = setTimeout(() => {
      this.#maintenance = undefined;
      const sinceOpened = performance.now() - this.#openedAt;
      if (this.#turns.maintenanceDue) this.#send(this.#turns.maintain(sinceOpened));
      this.#scheduleMaintenance();
    }, MAINTENANCE_INTERVAL_MS);
  }
}

function openingError(path: string, error: unknown): QueueError {
  if (error instanceof QueueInUseError || error instanceof QueueForeignError) return error;
  return new QueueOpenError(path, error instanceof QueueFailedError ? error.cause : error);
}

const { options, port } = workerData as WorkerStart;
try {
  new QueueWorker(options, port as unknown as MessagePort).start();
} catch (error) {
  const facts = toFacts(openingError(options.path, error));
  port.postMessage({ error: facts });
  port.close();
}
