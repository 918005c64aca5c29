/**
 * The ends of containers, as the engine tells them while they happen. Whose doing an end was is for
 * those to say who know what was done.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Docker } from '#lab/docker.ts';
import type { Followed } from '#lab/process.ts';
import type { Moment } from '../ground.ts';

const AGAIN_MS = 250;
const NS_PER_MS = 1_000_000n;

const dieEvent = z.object({
  Actor: z.object({ ID: z.string(), Attributes: z.object({ exitCode: z.string() }) }),
  timeNano: z.number(),
});

export interface End {
  readonly at: Moment;
  readonly code: number;
}

export class Ends {
  readonly #docker: Docker;
  readonly #project: string;
  readonly #listeners = new Map<string, (end: End) => void>();
  /** Of the newest event: where the next listening goes on. */
  #since: bigint;
  readonly #seen = new Set<string>();
  #followed: Followed | undefined;
  #closed = false;
  readonly #running: Promise<void>;

  /** Listens from now on, to all containers of a lab. */
  constructor(docker: Docker, project: string) {
    this.#docker = docker;
    this.#project = project;
    this.#since = Temporal.Now.instant().epochNanoseconds;
    this.#running = this.#follow();
  }

  /** Calls `onEnd` at each end of that container. */
  of(container: string, onEnd: (end: End) => void): void {
    this.#listeners.set(container, onEnd);
  }

  forget(container: string): void {
    this.#listeners.delete(container);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#followed?.end();
    await this.#running;
  }

  /** The stream ends with the engine; what happens until the next begins is told by that one. */
  async #follow(): Promise<void> {
    while (!this.#closed) {
      const args = [
        ...['events', '--since', seconds(this.#since), '--format', '{{json .}}'],
        ...['--filter', 'type=container', '--filter', 'event=die'],
        ...['--filter', `label=dev.holdfast.project=${this.#project}`],
      ];
      this.#followed = this.#docker.follow(args, (line) => this.#onLine(line));
      await this.#followed.ended;
      if (!this.#closed) await delay(AGAIN_MS);
    }
  }

  #onLine(line: string): void {
    const event = parseEvent(line);
    if (event === null) return;
    const { ID: id, Attributes } = event.Actor;
    const key = `${id} ${event.timeNano}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    // A number of JSON has room for a quarter of a microsecond here.
    const happened = BigInt(event.timeNano);
    if (happened > this.#since) this.#since = happened;
    this.#listeners.get(id)?.({ at: momentOf(happened), code: Number(Attributes.exitCode) });
  }
}

/** Null for what the client itself says: that the engine has gone. */
function parseEvent(line: string): z.output<typeof dieEvent> | null {
  try {
    return dieEvent.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}

/** The engine's clock is this machine's; the other clock is read now and put back by the age. */
function momentOf(happened: bigint): Moment {
  const now = Temporal.Now.instant().epochNanoseconds;
  const ageMs = Math.max(0, Number(now - happened) / Number(NS_PER_MS));
  return { wall_us: Number(happened / 1_000n), monotonic_ms: performance.now() - ageMs };
}

function seconds(nanoseconds: bigint): string {
  const text = String(nanoseconds).padStart(10, '0');
  return `${text.slice(0, -9)}.${text.slice(-9)}`;
}
