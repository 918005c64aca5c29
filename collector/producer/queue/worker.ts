/**
 * The queue's thread: owns the lock, the files and the core. Waits for messages, takes all that
 * have arrived, makes their frames durable with one sync, and answers everything in one message.
 * While it waits for the disk the next ones gather; that is the whole group commit.
 *
 * This file is a thread's entry: it runs when it is loaded. Nothing imports it.
 */
import { randomBytes, randomUUIDv7 } from 'node:crypto';
import { hostname } from 'node:os';
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { assertNever } from '#protocol/errors.ts';
import { QueueCore } from './core.ts';
import { Disk } from './disk.ts';
import {
  type QueueError,
  QueueFailedError,
  QueueInUseError,
  QueueOpenError,
  toFacts,
} from './errors.ts';
import { loadCollectorId } from './identity-file.ts';
import { lockQueue, type QueueLock } from './lock.ts';
import {
  type Answer,
  type AppendOutcome,
  memoryOf,
  type Opening,
  packFrames,
  type Question,
  type Request,
  type Turn,
  unpackNewFrames,
  type WorkerStart,
} from './thread.ts';

/** What was settled is written down at most this often. */
const MAINTENANCE_INTERVAL_MS = 1_000;

class QueueWorker {
  readonly #path: string;
  readonly #port: MessagePort;
  readonly #files: Disk;
  readonly #lock: QueueLock;
  readonly #core: QueueCore;
  #maintenance: NodeJS.Timeout | undefined;
  #isClosed = false;
  #appended: AppendOutcome[] = [];
  #answers: Answer[] = [];
  #memory: ArrayBuffer[] = [];

  constructor(options: WorkerStart['options'], port: MessagePort) {
    this.#path = options.path;
    this.#port = port;
    this.#files = new Disk(options.path);
    this.#lock = lockQueue(options.path);
    try {
      this.#core = new QueueCore(this.#files, { ...options, mintEpoch: randomUUIDv7 });
    } catch (error) {
      this.#lock.release();
      throw error;
    }
  }

  start(): void {
    const { recovery, stats } = this.#core;
    this.#port.postMessage({ recovery, stats } satisfies Opening);
    this.#port.on('message', (request: Request) => this.#turn(request));
    this.#scheduleMaintenance();
  }

  #turn(first: Request): void {
    const others = this.#append(first);
    try {
      if (this.#core.failure === undefined) this.#core.commit();
    } catch (error) {
      this.#mustBeFailure(error);
      this.#appended = [];
    }
    for (const request of others) this.#perform(request);
    this.#report();
    if (this.#isClosed) this.#port.close();
    else this.#scheduleMaintenance();
  }

  /** Stages all frames that have arrived. Answers the requests of other kinds, in order. */
  #append(first: Request): Request[] {
    const others: Request[] = [];
    let request: Request | undefined = first;
    while (request !== undefined) {
      if (request.type === 'append') this.#stage(request.batch, request.count);
      else others.push(request);
      request = receiveMessageOnPort(this.#port)?.message;
    }
    return others;
  }

  #stage(batch: ArrayBuffer, count: number): void {
    if (this.#core.failure !== undefined) return;
    const outcome = { accepted: 0, epoch: '', firstSeq: 0 };
    try {
      for (const { payload, capturedAt } of unpackNewFrames(batch, count)) {
        const position = this.#core.append(payload, capturedAt);
        if (position === undefined) break;
        if (outcome.accepted === 0) {
          outcome.epoch = position.epoch;
          outcome.firstSeq = position.seq;
        }
        outcome.accepted += 1;
      }
      this.#appended.push(outcome);
    } catch (error) {
      this.#mustBeFailure(error);
      this.#appended = [];
    }
  }

  #perform(request: Request): void {
    if (request.type === 'append') return;
    try {
      if (request.type === 'settle') {
        this.#core.settle(request.storeId, request.epoch, request.ranges);
      } else {
        this.#answers.push({ id: request.id, value: this.#answer(request.question) });
      }
    } catch (error) {
      const facts = toFacts(error);
      if (facts === undefined) throw error;
      if (request.type === 'ask') this.#answers.push({ id: request.id, error: facts });
    }
  }

  #answer(question: Question): unknown {
    switch (question.type) {
      case 'read': {
        const packed = packFrames(this.#core.readPending(question.after, question.limits));
        this.#memory.push(...memoryOf(packed));
        return packed;
      }
      case 'gaps':
        return this.#core.pendingGaps();
      case 'held':
        return this.#core.held();
      case 'settled':
        return this.#core.settled(question.epoch);
      case 'collectorId':
        return loadCollectorId(this.#files, {
          path: this.#path,
          hostName: hostname(),
          randomHex: randomBytes(4).toString('hex'),
        });
      case 'flush':
        return this.#core.maintain();
      case 'close':
        return this.#close();
      default:
        return assertNever(question);
    }
  }

  #close(): void {
    clearTimeout(this.#maintenance);
    try {
      this.#core.close();
    } finally {
      this.#lock.release();
      this.#isClosed = true;
    }
  }

  #report(): void {
    const { failure, stats } = this.#core;
    const turn: Turn = {
      appended: this.#appended,
      answers: this.#answers,
      gaps: this.#core.takeNewGaps(),
      failure: failure && toFacts(failure),
      stats,
    };
    this.#port.postMessage(turn, this.#memory);
    this.#appended = [];
    this.#answers = [];
    this.#memory = [];
  }

  #scheduleMaintenance(): void {
    if (this.#maintenance !== undefined || !this.#core.maintenanceDue) return;
    this.#maintenance = setTimeout(() => {
      this.#maintenance = undefined;
      try {
        if (this.#core.maintenanceDue) this.#core.maintain();
      } catch (error) {
        this.#mustBeFailure(error);
      }
      this.#report();
      this.#scheduleMaintenance();
    }, MAINTENANCE_INTERVAL_MS);
  }

  /** The core has noted its failure, and the report carries it; anything else is our mistake. */
  #mustBeFailure(error: unknown): void {
    if (error !== this.#core.failure) throw error;
  }
}

function openingError(path: string, error: unknown): QueueError {
  if (error instanceof QueueInUseError) return error;
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
