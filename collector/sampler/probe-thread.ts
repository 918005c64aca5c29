/**
 * The probes that may take long, in a thread of their own: systeminformation forks shells and waits
 * for some of them synchronously, Node asks each CPU for its clock, which takes 20 ms each on some
 * machines; and neither heartbeats nor acks may wait with them.
 *
 * This is the client in the main thread; the other side is `probe-worker.ts`. A thread that dies
 * fails what it was asked, and the next question starts another.
 */
import { Worker } from 'node:worker_threads';
import type { Probe } from './probe.ts';
import type { ProbeAnswer, ProbeQuestion, RemoteProbe } from './probe-worker.ts';
import type { Metric, Scope } from './sample.ts';

/** The least time between two readings in milliseconds; docs/metrics.md tells why. */
const PERIODS_MS: Readonly<Record<RemoteProbe, number>> = {
  // The counters move in steps of 10 ms.
  cpu: 1_000,
  memory: 0,
  network: 5_000,
  disk: 5_000,
  filesystem: 10_000,
};

interface Waiting {
  readonly resolve: (metrics: readonly Metric[]) => void;
  readonly reject: (error: Error) => void;
}

export class ProbeThread {
  readonly #scope: Scope;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #lastId = 0;

  /** Starts the thread: by the first sample the library is loaded. */
  constructor(scope: Scope) {
    this.#scope = scope;
    this.#worker = this.#start();
  }

  /** The probes to be read over this thread. */
  get probes(): readonly Probe[] {
    return (Object.keys(PERIODS_MS) as RemoteProbe[]).map((name) => ({
      name,
      periodMs: PERIODS_MS[name],
      read: () => this.#ask(name),
    }));
  }

  /** Ends the thread. It is not waited for: a child that hangs would hold it. */
  close(): void {
    void this.#worker?.terminate();
  }

  #ask(probe: RemoteProbe): Promise<readonly Metric[]> {
    this.#worker ??= this.#start();
    this.#lastId += 1;
    const question: ProbeQuestion = { id: this.#lastId, probe };
    const answer = new Promise<readonly Metric[]>((resolve, reject) => {
      this.#waiting.set(question.id, { resolve, reject });
    });
    this.#worker.postMessage(question);
    return answer;
  }

  #start(): Worker {
    const worker = new Worker(new URL('./probe-worker.ts', import.meta.url), {
      workerData: this.#scope,
    });
    worker.on('message', (answer: ProbeAnswer) => this.#onAnswer(answer));
    worker.on('error', (error) => this.#onEnd(worker, String(error)));
    worker.on('exit', (code) => this.#onEnd(worker, `it ended with code ${code}`));
    return worker;
  }

  #onAnswer(answer: ProbeAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ('error' in answer) waiting?.reject(new Error(answer.error));
    else waiting?.resolve(answer.metrics);
  }

  #onEnd(worker: Worker, reason: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new Error(`the probes' thread failed: ${reason}`));
  }
}
