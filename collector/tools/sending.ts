/**
 * What can be said of why a frame still waits: from the word that the running producer leaves in the
 * queue's directory (`sending-file.ts`). It may be old, and no process stands behind an old one; so
 * everything here is said as of its time.
 */

import { loadSending, type Sending } from '#collector/producer/queue/sending-file.ts';
import { type Epoch, formatTime } from '#protocol/identity.ts';
import type { QueueView } from './view.ts';

/** A producer with anything to send says so more often than this. */
const OLD_AFTER_US = 90_000_000;

/** Why frames wait, and how often each was sent. */
export interface Waiting {
  readonly sending: Sending | undefined;
  /** Nobody has said anything for so long that what was said may not hold any more. */
  readonly isOld: boolean;
}

/** @param now Microseconds since 1970 UTC. */
export function loadWaiting(view: QueueView, now: number): Waiting {
  const sending = loadSending(view.files);
  const isOld = sending !== undefined && now - sending.at > OLD_AFTER_US;
  return { sending, isOld };
}

/** How often a frame was sent; undefined: unknown. */
export function triesOf(
  { sending, isOld }: Waiting,
  epoch: Epoch,
  seq: number,
): number | undefined {
  if (sending === undefined || isOld || sending.state === 'Stopped') return undefined;
  const run = sending.tried.find(
    (tried) => tried.epoch === epoch && tried.from <= seq && tried.to >= seq,
  );
  return run?.tries ?? 0;
}

/** Why a frame waits that was sent so often, in a few words. */
export function reasonFor({ sending, isOld }: Waiting, tries: number | undefined): string {
  if (sending === undefined) return 'unknown: no collector has left word here';
  if (sending.state === 'Stopped') return 'no collector runs on this queue';
  if (isOld) return `unknown: no word since ${formatTime(sending.at)}`;
  if (sending.state !== 'Ready') return `the link is away (${sending.state})`;
  return (tries ?? 0) > 0 ? 'sent, not yet confirmed' : 'its turn has not come';
}
