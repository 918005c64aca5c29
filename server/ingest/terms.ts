/**
 * The terms that a server gives its collectors: how often to speak, how to come back, how much at a
 * time. Pure; who asks for them is `ingest.ts`.
 */
import type { Terms } from '#protocol/messages.ts';
import type { Caps } from './caps.ts';

export const HEARTBEAT_MS = 1_000;
/** Dials that a server just restarted should have to meet, per second. */
const DIALS_PER_SECOND = 500;
/** A fleet of this size or less may dial at once. */
const SMALL_FLEET = 50;
const RETRY_CAP_MS_MIN = 1_000;

/**
 * The larger the fleet, the wider its dials are spread: at once after a loss by `spread`, and
 * while the server is away by `cap`, for a wait is random up to it.
 */
export function termsFor(
  collectorsKnown: number,
  limits: Pick<Caps, 'payloadBytesMax' | 'windowBytes'>,
): Terms {
  const spreadMs = (collectorsKnown / DIALS_PER_SECOND) * 1_000;
  return {
    heartbeatIntervalMs: HEARTBEAT_MS,
    retrySpreadMs: collectorsKnown <= SMALL_FLEET ? 0 : Math.ceil(spreadMs),
    retryCapMs: Math.max(RETRY_CAP_MS_MIN, Math.ceil(2 * spreadMs)),
    payloadBytesMax: limits.payloadBytesMax,
    windowBytesMax: limits.windowBytes,
    zstd: true,
  };
}
