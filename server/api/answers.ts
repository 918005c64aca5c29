/**
 * What the store says of collectors, in the API's words. Pure. Frames are `frame-text.ts`.
 */
import type { z } from 'zod';
import { formatTime } from '#protocol/identity.ts';
import { count } from '#server/store/audit.ts';
import type { CollectorAudit, EpochAudit, KnownCollector } from '#server/store/store.ts';
import type { auditResponse, collectorsResponse } from './schemas.ts';

type CollectorAnswer = z.infer<typeof collectorsResponse>['collectors'][number];
type AuditAnswer = z.infer<typeof auditResponse>['collectors'][number];

/** A session that is welcomed, as far as the API shows it. */
export interface ConnectedSession {
  readonly instance: string;
  readonly connectedAt: number;
  readonly heardAt: number;
}

export function collectorAnswer(
  known: KnownCollector,
  session: ConnectedSession | undefined,
): CollectorAnswer {
  const { collector, newest } = known;
  return {
    collector,
    connected: session !== undefined,
    instance: session?.instance ?? known.instance,
    connected_at: session ? formatTime(session.connectedAt) : null,
    ...heardOf(known, session),
    newest: newest
      ? {
          epoch: newest.epoch,
          seq: newest.seq,
          captured_at: formatTime(newest.capturedAt),
          received_at: formatTime(newest.receivedAt),
        }
      : null,
  };
}

export function auditAnswer(
  audit: CollectorAudit,
  session: ConnectedSession | undefined,
): AuditAnswer {
  const { collector, epochs } = audit;
  const total = (of: (epoch: EpochAudit) => number): number =>
    epochs.reduce((sum, epoch) => sum + of(epoch), 0);
  return {
    collector,
    connected: session !== undefined,
    ...heardOf(audit, session),
    totals: {
      stored: total((epoch) => epoch.stored),
      declared: total((epoch) => count(epoch.declared)),
      rejected: total((epoch) => count(epoch.rejected)),
      pruned: total((epoch) => count(epoch.pruned)),
      pending: total((epoch) => count(epoch.pending)),
      missing: total((epoch) => count(epoch.missing)),
      duplicates_refused: total((epoch) => epoch.duplicatesRefused),
      conflicts_refused: total((epoch) => epoch.conflictsRefused),
    },
    epochs: epochs.map((epoch) => ({
      epoch: epoch.epoch,
      first: epoch.first,
      last: epoch.last,
      stored: epoch.stored,
      declared: [...epoch.declared],
      rejected: [...epoch.rejected],
      pruned: [...epoch.pruned],
      pending: [...epoch.pending],
      missing: [...epoch.missing],
      duplicates_refused: epoch.duplicatesRefused,
      conflicts_refused: epoch.conflictsRefused,
    })),
  };
}

/** The store keeps signs of life with a second's delay; a live session knows better. */
function heardOf({ lastHeardAt }: { lastHeardAt: number }, session: ConnectedSession | undefined) {
  return {
    last_heard_at: formatTime(Math.max(lastHeardAt, session?.heardAt ?? 0)),
    silent_since: session ? null : formatTime(lastHeardAt),
  };
}
