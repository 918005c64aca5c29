/**
 * The server's part in the lab: it looks at the link once a second, whoever changes it, tells what has
 * changed, keeps the faults, and has the link cut, slowed and restored for the page. How Toxiproxy is
 * spoken to is `lab/link.ts`, and nothing of this runs outside a lab.
 *
 * Invariants: one look at a time, and none while an order is under way (it takes effect piece by
 * piece); nobody who asks how the link stands waits for Toxiproxy; whatever Toxiproxy or the disk does,
 * the rest of the server does not notice.
 */
import type { Logger } from 'pino';
import { LabError } from '#lab/errors.ts';
import { describeLink, Link } from '#lab/link.ts';
import type { Events } from '#server/events.ts';
import type { Surroundings } from '#server/surroundings.ts';
import { HistoryFile } from './history-file.ts';
import { type LinkFault, LinkHistory, type LinkReport, type Sight } from './link-history.ts';

const LOOK_EVERY_MS = 1_000;
/** After so long without an answer it is said that there is none, though one may come yet. */
const SILENT_MS = 2_000;

export type LinkOrder =
  | { readonly action: 'cut' }
  | { readonly action: 'slow'; readonly latency_ms: number; readonly rate_kbps: number }
  | { readonly action: 'restore' };

export interface LabOptions {
  readonly link: Pick<Link, 'read' | 'cut' | 'slow' | 'restore'>;
  /** The collector's own page, for browsers. */
  readonly collectorPage: string | undefined;
  /** Where the faults are kept. */
  readonly directory: string;
  readonly events: Pick<Events, 'publish'>;
  readonly log: Logger;
  readonly surroundings: Pick<Surroundings, 'wallTime' | 'after'>;
}

/** An order that was not carried out, or whose effect can't be seen; the message says why. */
export class OrderFailed extends Error {
  override readonly name = 'OrderFailed';
}

export class Lab {
  readonly collectorPage: string | undefined;
  readonly #options: LabOptions;
  readonly #file: HistoryFile;
  readonly #history: LinkHistory;
  /** Orders that were given and are not yet through. */
  #orders = 0;
  /** The look before. */
  #looking: Promise<void> = Promise.resolve();
  #callOff: () => void = () => undefined;
  #closed = false;

  /**
   * @param toxiproxy URL of Toxiproxy's API.
   * @param exit host:port that a whole link leads to, as Toxiproxy dials it.
   */
  static of(toxiproxy: string, exit: string | undefined, more: Omit<LabOptions, 'link'>): Lab {
    return new Lab({ ...more, link: new Link(toxiproxy, exit) });
  }

  /** Begins to look at once. */
  constructor(options: LabOptions) {
    const { directory, log, surroundings } = options;
    this.#options = options;
    this.collectorPage = options.collectorPage;
    this.#file = new HistoryFile(directory, log);
    this.#history = new LinkHistory(surroundings.wallTime(), this.#file.read());
    void this.#round();
  }

  /** As of the last look. */
  get link(): LinkReport {
    return this.#history.report;
  }

  get faults(): readonly LinkFault[] {
    return this.#history.faults;
  }

  /**
   * Resolves with how the link stands when the order has taken effect.
   * @throws OrderFailed where it has not, or where nobody can tell.
   */
  async order(order: LinkOrder): Promise<LinkReport> {
    const { log } = this.#options;
    log.info({ event: 'link_order', ...order }, 'an order for the link, by the API');
    this.#orders += 1;
    const failure = await this.#carryOut(order).then(
      () => null,
      (error: unknown) => ({ error }),
    );
    this.#orders -= 1;
    const looked = this.#look();
    if (failure !== null) {
      // What came of it will be seen; who gave the order has waited long enough.
      log.warn({ event: 'link_order_failed', err: failure.error }, 'it was not carried out');
      throw new OrderFailed(reasonOf(failure.error));
    }
    await looked;
    const { link } = this;
    if (link.error !== null) throw new OrderFailed(link.error);
    return link;
  }

  /** Ends with what is under way; the file then has all faults. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#callOff();
    await this.#file.close();
  }

  async #carryOut(order: LinkOrder): Promise<void> {
    const { link } = this.#options;
    switch (order.action) {
      case 'cut':
        return link.cut();
      case 'slow':
        await link.slow({ latencyMs: order.latency_ms, rateKbps: order.rate_kbps });
        return;
      case 'restore':
        return link.restore();
      default:
        return order satisfies never;
    }
  }

  async #round(): Promise<void> {
    await this.#look();
    if (this.#closed) return;
    this.#callOff = this.#options.surroundings.after(LOOK_EVERY_MS, () => void this.#round());
  }

  #look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#lookNow());
    return this.#looking;
  }

  async #lookNow(): Promise<void> {
    if (this.#closed || this.#orders > 0) return;
    const { state } = this.link;
    let seen = await this.#ask();
    // A connection may have gone while nobody used it, or while this process stood still.
    if (seen.sight.state === 'unknown' && state !== 'unknown') {
      const again = await this.#ask();
      if (again.sight.state !== 'unknown') seen = again;
    }
    if (this.#closed || this.#orders > 0) return;
    this.#onSight(seen.at, seen.sight);
  }

  /** How it stands, and since when that is known; never rejects. */
  async #ask(): Promise<{ readonly at: number; readonly sight: Sight }> {
    const { link, surroundings } = this.#options;
    const began = surroundings.wallTime();
    const callOff = surroundings.after(SILENT_MS, () => {
      if (this.#closed || this.#orders > 0 || this.link.state === 'unknown') return;
      this.#onSight(began, unknown(`Toxiproxy has not answered for ${SILENT_MS / 1_000} s`));
    });
    try {
      const { kind, toxics } = await link.read();
      const at = surroundings.wallTime(); // it may have taken long to answer
      return { at, sight: { state: kind, details: toxics, error: null } };
    } catch (error) {
      return { at: began, sight: unknown(reasonOf(error)) };
    } finally {
      callOff();
    }
  }

  #onSight(at: number, sight: Sight): void {
    const { events, log, surroundings } = this.#options;
    const changed = this.#history.onSight(at, sight);
    const { link, faults } = this;
    const now = surroundings.wallTime();
    if (changed.faults) this.#file.write(faults, now);
    else if (this.#history.current !== undefined) this.#file.touch(now);
    if (!changed.report) return;
    events.publish({ type: 'link', link });
    const { state: kind, details: toxics, error } = link;
    if (kind === 'unknown') {
      log.warn({ event: 'link_unknown' }, `how the link stands is not known: ${error}`);
    } else {
      log.info(
        { event: 'link_changed', state: kind },
        `the link is ${describeLink({ kind, toxics: [...toxics] })}`,
      );
    }
  }
}

function unknown(error: string): Sight {
  return { state: 'unknown', details: [], error };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return [error.message, ...(error instanceof LabError ? error.details : [])].join('; ');
}
