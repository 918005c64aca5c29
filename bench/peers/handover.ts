/**
 * Giving an edge its records: as many unacknowledged at a time as its protocol has room for, as fast
 * as it takes them or at a steady rate. Knows no protocol and no connection.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BenchError } from '../errors.ts';
import { machineMs } from '../source/commands.ts';
import { recordNow } from './records.ts';

/** Records made in one go while the edge takes them. */
const BATCH_MAX = 64;
/** An edge that acknowledges nothing for so long has stopped. */
const ACK_WITHIN_MS = 20_000;

/** How many records the edge still has to acknowledge. */
export class Window {
  readonly #most: number;
  #unacknowledged = 0;
  #acknowledged = 0;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(most: number) {
    this.#most = most;
  }

  /** Room for so many; waits until there is some. Throws what it failed with. */
  async room(): Promise<number> {
    await this.#until(() => this.#unacknowledged < this.#most);
    return this.#most - this.#unacknowledged;
  }

  /** Resolves when all that were sent are acknowledged. Throws what it failed with. */
  empty(): Promise<void> {
    return this.#until(() => this.#unacknowledged === 0);
  }

  sent(count: number): void {
    this.#unacknowledged += count;
  }

  acknowledged(count = 1): void {
    this.#unacknowledged -= count;
    this.#acknowledged += count;
    this.#wake?.();
  }

  /** A record was refused, or the connection has ended. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  async #until(reached: () => boolean): Promise<void> {
    while (this.#failure === undefined && !reached()) {
      const before = this.#acknowledged;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, ACK_WITHIN_MS);
      await promise;
      clearTimeout(timer);
      if (this.#acknowledged === before) {
        this.#failure ??= new BenchError(
          `the edge acknowledged nothing for ${ACK_WITHIN_MS} ms; ${this.#unacknowledged} records wait`,
        );
      }
    }
    this.#wake = undefined;
    if (this.#failure !== undefined) throw this.#failure;
  }
}

export interface Edge {
  readonly window: Window;
  /** Writes records, the first of which has this number. */
  send(records: readonly Buffer[], first: number): void;
}

/** Resolves when all of `[first, first + count)` are acknowledged. */
export async function fill(edge: Edge, first: number, count: number): Promise<void> {
  const end = first + count;
  for (let number = first; number < end; ) {
    number += give(edge, number, Math.min(await edge.window.room(), BATCH_MAX, end - number));
  }
  await edge.window.empty();
}

/** The same, each made when it is due; the first is at once. */
export async function offer(edge: Edge, first: number, count: number, perSecond: number) {
  const startedAt = machineMs();
  for (let given = 0; given < count; ) {
    const due = Math.floor(((machineMs() - startedAt) * perSecond) / 1_000) + 1;
    const ready = Math.min(due, count) - given;
    if (ready > 0) {
      given += give(edge, first + given, Math.min(ready, await edge.window.room()));
    } else {
      await delay(1);
    }
  }
  await edge.window.empty();
}

function give({ window, send }: Edge, first: number, count: number): number {
  window.sent(count);
  send(
    Array.from({ length: count }, (_, i) => recordNow(first + i)),
    first,
  );
  return count;
}
