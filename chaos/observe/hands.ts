/**
 * Looks for hands laid on the link while a run goes on: `make cut`, `make restore`, a call to
 * Toxiproxy. Whatever the link is that this run did not make it is one. Programs that somebody ends
 * are told by the ground.
 *
 * A change that is taken back within a tenth of a second can escape it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Moment } from '#lab/ground/ground.ts';
import type { Link } from '#lab/link.ts';
import { now } from './moment.ts';

const EVERY_MS = 100;

/** In the oracle's form. */
export interface HandSeen {
  readonly at: Moment;
  readonly what: string;
}

export class Hands {
  readonly #link: Pick<Link, 'strays'>;
  readonly #isForgetful: () => boolean;
  readonly #seen: HandSeen[] = [];
  readonly #ended = new AbortController();
  readonly #running: Promise<void>;

  /** `isForgetful`: Toxiproxy was ended by the run itself, and has not been told again. */
  constructor(link: Pick<Link, 'strays'>, isForgetful: () => boolean) {
    this.#link = link;
    this.#isForgetful = isForgetful;
    this.#running = this.#run();
  }

  /** Each change once, however long it lasts. */
  get seen(): readonly HandSeen[] {
    return this.#seen;
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ended;
    let before: string | null = null;
    while (!signal.aborted) {
      const strays = await this.#look();
      if (strays !== null && strays !== before) {
        this.#seen.push({ at: now(), what: `somebody else changed the link: ${strays}` });
      }
      before = strays;
      await delay(EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** A Toxiproxy that doesn't answer shows no hand. */
  async #look(): Promise<string | null> {
    if (this.#isForgetful()) return null;
    const strays = await this.#link.strays().catch(() => null);
    return this.#isForgetful() ? null : strays;
  }
}
