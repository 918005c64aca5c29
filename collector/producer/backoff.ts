/**
 * How long to wait before the next dial. A pure function of the attempt, the failure's class, what
 * the server asked for and a random number; the sender does the waiting.
 */
import type { LinkError } from './link-error.ts';

/** The wait that grows with each attempt, in milliseconds. */
const BASE_MS = 50;
/**
 * By how much, where few collectors share a server: with full jitter a wait is then a quarter of the
 * outage so far, half of it at most, and 50 ms. Doubling waits as long as the outage was, and sleeps
 * through a link that is up for half a second only.
 */
const GROWTH = 1.25;
const GROWTH_OF_FLEET = 2;
/** A permanent failure heals when the other side is mended: look now and then. */
const PERMANENT_MS = 30_000;
/** A server may ask for longer caps and waits than this; it doesn't get them. */
const CAP_MS_MAX = 60_000;
const RETRY_AFTER_MS_MAX = 300_000;
/** Before the handshake nobody knows who asks. */
const RETRY_AFTER_MS_MAX_BEFORE_PROOF = 30_000;

export interface Pace {
  /** The first dial after a loss waits a random time up to this, in milliseconds. */
  readonly spreadMs: number;
  /** The longest wait between dials, in milliseconds. */
  readonly capMs: number;
}

/** In force until a WELCOME brings the server's. */
export const DEFAULT_PACE: Pace = { spreadMs: 0, capMs: 1_000 };

/** The server's wishes, within our own bounds. */
export function clampPace(pace: Pace): Pace {
  const capMs = Math.min(Math.max(pace.capMs, BASE_MS), CAP_MS_MAX);
  return { capMs, spreadMs: Math.min(pace.spreadMs, capMs) };
}

/**
 * Milliseconds until the next dial.
 *
 * `attempt` counts the failures since the link last did its work: 1 is the first. That one waits
 * only the spread; from the second on the wait grows by a quarter up to the cap, with full jitter (a
 * random part of the whole), which desynchronises best for the fewest dials (Brooker, "Exponential
 * Backoff And Jitter", AWS 2015). A fleet that was told to spread does so with each dial: its next
 * ones wait twice as long, and half of that at least, so that they don't fall into the first ones.
 */
export function backoffMs(
  attempt: number,
  error: LinkError,
  proven: boolean,
  pace: Pace,
  random: () => number,
): number {
  const asked = Math.min(
    error.retryAfterMs,
    proven ? RETRY_AFTER_MS_MAX : RETRY_AFTER_MS_MAX_BEFORE_PROOF,
  );
  if (asked > 0) return asked + random() * Math.min(asked, pace.capMs);
  if (error.retry === 'permanent') return PERMANENT_MS * (0.5 + random() / 2);
  if (attempt <= 1) return random() * pace.spreadMs;
  if (pace.spreadMs === 0) return random() * Math.min(pace.capMs, grownMs(GROWTH, attempt));
  const grown = Math.max(grownMs(GROWTH_OF_FLEET, attempt), 2 * pace.spreadMs);
  const fleetMs = Math.min(pace.capMs, grown);
  return fleetMs * (0.5 + random() / 2);
}

function grownMs(growth: number, attempt: number): number {
  return BASE_MS * growth ** (attempt - 2);
}
