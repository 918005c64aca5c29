/**
 * Calls from the main thread to a worker: one message there, one back, in order.
 *
 * Lives here: both ends of that, and what becomes of calls when the worker dies. StoreErrors come
 * back as such; anything else that a worker throws is a bug of ours and comes back as `internal`.
 */
import type { Transferable } from 'node:worker_threads';
import { type MessagePort, Worker } from 'node:worker_threads';
import { StoreError, type StoreErrorCode } from './store.ts';

interface Call {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}

type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { code: StoreErrorCode; message: string } };

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: StoreError) => void;
}

/** An answer whose buffers are handed over to the caller. */
export class Handover {
  readonly value: unknown;
  readonly transfer: Transferable[];

  constructor(value: unknown, transfer: Transferable[]) {
    this.value = value;
    this.transfer = transfer;
  }
}

/** In the worker: answers calls by these functions until the port closes. */
export function answerCalls(
  port: MessagePort,
  methods: Readonly<Record<string, (argument: never) => unknown>>,
): void {
  port.on('message', ({ id, method, argument }: Call) => {
    try {
      const answer = methods[method]?.(argument as never);
      const handover = answer instanceof Handover ? answer : new Handover(answer, []);
      port.postMessage({ id, value: handover.value } satisfies Answer, handover.transfer);
    } catch (error) {
      port.postMessage({ id, error: describe(error) } satisfies Answer);
    }
  });
}

function describe(error: unknown): { code: StoreErrorCode; message: string } {
  if (error instanceof StoreError) return { code: error.code, message: error.message };
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'internal', message };
}

/** Short-lived garbage that a worker may gather before it is swept, in MiB; it comes on top. */
const maxYoungGenerationSizeMb = 16;

/** On the main thread: a worker that answers calls. */
export class WorkerCalls {
  /** Resolves when the worker is gone without having been told to. */
  readonly died: Promise<StoreError>;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #gone: StoreError | undefined;

  constructor(module: URL, name: string) {
    this.#worker = new Worker(module, { name, resourceLimits: { maxYoungGenerationSizeMb } });
    this.#worker.on('message', (answer: Answer) => this.#onAnswer(answer));
    this.died = new Promise((resolve) => {
      const gone = (reason: string): void => {
        if (this.#gone) return;
        this.#gone = new StoreError('internal', `the thread ${name} ended: ${reason}`);
        this.#rejectAll(this.#gone);
        resolve(this.#gone);
      };
      this.#worker.on('error', (error: unknown) => {
        gone(error instanceof Error ? (error.stack ?? error.message) : String(error));
      });
      this.#worker.on('exit', (code) => gone(`exit code ${code}`));
    });
  }

  /** Rejects with StoreError. `transfer` names buffers that are handed over. */
  call<T>(method: string, argument?: unknown, transfer: Transferable[] = []): Promise<T> {
    if (this.#gone) return Promise.reject(this.#gone);
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: (value) => resolve(value as T), reject });
      this.#worker.postMessage({ id, method, argument } satisfies Call, transfer);
    });
  }

  /** Ends the worker; calls that still wait are rejected as `closed`. */
  async terminate(): Promise<void> {
    this.#gone ??= new StoreError('closed', 'the store was closed');
    this.#rejectAll(this.#gone);
    await this.#worker.terminate();
  }

  #onAnswer(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) return;
    this.#waiting.delete(answer.id);
    if ('error' in answer) {
      waiting.reject(new StoreError(answer.error.code, answer.error.message));
    } else {
      waiting.resolve(answer.value);
    }
  }

  #rejectAll(error: StoreError): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
