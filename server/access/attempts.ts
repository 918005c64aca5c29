/**
 * Failed attempts to come in: each is counted, and few are logged, for whoever is outside decides
 * how many there are. In a minute no more than so many lines for one network and in all; what was
 * left out is told as a number.
 *
 * Nobody is made to wait and nothing is remembered of an address once its minute is over: a wrong
 * token costs one hash, and tokens are too long to be found by trying.
 */
import type { Logger } from 'pino';
import { Counter, type Registry } from 'prom-client';
import type { FailedAttempt } from '#server/ingest/session-state.ts';

/** Why somebody did not get in, on the port for collectors or at the API. */
export type AttemptReason =
  | FailedAttempt
  /** The TLS handshake failed, or did not end in time. */
  | 'tls'
  /** The client certificate is missing, expired, or none of ours. */
  | 'client_certificate'
  /** At the API: no token, or a wrong one. */
  | 'api_token'
  /** At the API: a name in Host that isn't ours. */
  | 'api_host';

const REASONS: Readonly<Record<AttemptReason, true>> = {
  wrong_token: true,
  unknown_collector: true,
  version: true,
  protocol: true,
  tls: true,
  client_certificate: true,
  api_token: true,
  api_host: true,
};

const PERIOD_MS = 60_000;
const LINES_PER_NETWORK = 3;
const LINES_MAX = 30;

export interface AttemptsOptions {
  readonly log: Pick<Logger, 'warn'>;
  readonly registry: Registry;
  /** Calls once, after that many milliseconds. Answers how to call it off. */
  readonly after: (ms: number, call: () => void) => () => void;
}

export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #counter: Counter<'reason'>;
  /** Lines of this period by network: no more entries than lines. */
  readonly #lines = new Map<string, number>();
  #lineCount = 0;
  #suppressed = 0;
  #endPeriod: (() => void) | undefined;

  constructor(options: AttemptsOptions) {
    this.#options = options;
    this.#counter = new Counter({
      name: 'holdfast_access_failed_attempts_total',
      help: 'Attempts to come in that failed, at the port for collectors and at the API, by reason.',
      labelNames: ['reason'],
      registers: [options.registry],
    });
    for (const reason of Object.keys(REASONS)) this.#counter.inc({ reason }, 0);
  }

  /** `address` is that of the other side, its port behind the last colon. */
  onFailed(reason: AttemptReason, address: string, text: string): void {
    this.#counter.inc({ reason });
    this.#endPeriod ??= this.#options.after(PERIOD_MS, () => this.#onPeriodEnd());
    const network = networkOf(address);
    const lines = this.#lines.get(network) ?? 0;
    if (lines >= LINES_PER_NETWORK || this.#lineCount >= LINES_MAX) {
      this.#suppressed += 1;
      return;
    }
    this.#lines.set(network, lines + 1);
    this.#lineCount += 1;
    const last = lines + 1 === LINES_PER_NETWORK || this.#lineCount === LINES_MAX;
    this.#options.log.warn(
      { event: 'attempt_failed', reason, address },
      last ? `${text}; further ones are counted, not logged, until the minute is over` : text,
    );
  }

  close(): void {
    this.#endPeriod?.();
    this.#endPeriod = undefined;
  }

  #onPeriodEnd(): void {
    this.#endPeriod = undefined;
    const suppressed = this.#suppressed;
    this.#lines.clear();
    this.#lineCount = 0;
    this.#suppressed = 0;
    if (suppressed === 0) return;
    this.#options.log.warn(
      { event: 'attempts_suppressed', suppressed },
      `${suppressed} more failed attempts to come in were not logged; holdfast_access_failed_attempts_total counts them by reason`,
    );
  }
}

/** An IPv4 address, or the /64 that one subscriber has of IPv6. */
function networkOf(address: string): string {
  const host = address.slice(0, address.lastIndexOf(':'));
  if (!host.includes(':') || host.includes('.')) return host;
  const [left = [], right] = host.split('::').map((half) => half.split(':').filter(Boolean));
  if (right === undefined) return left.slice(0, 4).join(':');
  const zeros = Array<string>(8 - left.length - right.length).fill('0');
  return [...left, ...zeros, ...right].slice(0, 4).join(':');
}
