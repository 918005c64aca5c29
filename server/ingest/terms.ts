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
/** A server that is restarted serves again after about as long: dials before that are in vain. */
const RESTART_MS = 1_000;

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

/**
 * How long the collector at `place` (0, 1, 2 …) of a fleet is asked to stay away from a server that
 * ends in order, in milliseconds.
 *
 * Collectors have the terms of the fleet that was known as they joined, and those who came first to a
 * new server know of nobody beside them: so here each is given a time of its own. It adds a random
 * part of up to as much again, which makes the densest moment of evenly spread times ln 2 of them.
 */
export function shutdownRetryMs(place: number, fleet: number): number {
  if (fleet <= SMALL_FLEET) return 0;
  return RESTART_MS + Math.round((place * Math.LN2 * 1_000) / DIALS_PER_SECOND);
}
