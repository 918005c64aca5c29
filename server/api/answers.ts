/**
 * What the store says of collectors, in the API's words. Pure. Frames are `frame-text.ts`.
 */
import type { z } from 'zod';
import { formatTime } from '#protocol/identity.ts';
import type { LagSummary } from '#server/delivery-lag.ts';
import type { WaitingInstance } from '#server/ingest/registry.ts';
import { totalsOf } from '#server/store/audit.ts';
import type { CollectorAudit, KnownCollector } from '#server/store/store.ts';
import type { auditResponse, collectorsResponse } from './schemas.ts';

type CollectorAnswer = z.infer<typeof collectorsResponse>['collectors'][number];
type AuditAnswer = z.infer<typeof auditResponse>['collectors'][number];

/** A session that is welcomed, as far as the API shows it. */
export interface ConnectedSession {
  readonly instance: string;
  readonly address: string;
  readonly connectedAt: number;
  readonly heardAt: number;
}

export function collectorAnswer(
  known: KnownCollector,
  session: ConnectedSession | undefined,
  lag: LagSummary | undefined,
  waiting: readonly WaitingInstance[],
): CollectorAnswer {
  const { collector, newest } = known;
  return {
    collector,
    connected: session !== undefined,
    instance: session?.instance ?? known.instance,
    address: session?.address ?? null,
    connected_at: session ? formatTime(session.connectedAt) : null,
    waiting: waiting.map(({ instance, address, since, askedAt }) => ({
      instance,
      address,
      since: formatTime(since),
      last_asked_at: formatTime(askedAt),
    })),
    ...heardOf(known, session),
    newest: newest
      ? {
          epoch: newest.epoch,
          seq: newest.seq,
          captured_at: formatTime(newest.capturedAt),
          received_at: formatTime(newest.receivedAt),
        }
      : null,
    delivery_lag: lag
      ? {
          since: formatTime(lag.since),
          frames: lag.frames,
          p50_ms: Math.round(lag.p50Ms),
          p99_ms: Math.round(lag.p99Ms),
          max_ms: Math.round(lag.maxMs),
        }
      : null,
  };
}

export function auditAnswer(
  audit: CollectorAudit,
  session: ConnectedSession | undefined,
): AuditAnswer {
  return {
    collector: audit.collector,
    connected: session !== undefined,
    ...heardOf(audit, session),
    ...accountOf(audit),
  };
}

/** What is known of its frames, whether or not it is connected. */
export function accountOf({ epochs }: CollectorAudit): Pick<AuditAnswer, 'totals' | 'epochs'> {
  const { duplicatesRefused, conflictsRefused, ...totals } = totalsOf(epochs);
  return {
    totals: {
      ...totals,
      duplicates_refused: duplicatesRefused,
      conflicts_refused: conflictsRefused,
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
