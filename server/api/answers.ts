/**
 * What the store says, in the API's words. Pure.
 */
import type { z } from 'zod';
import { type Epoch, formatTime, frameCrc, isUuid } from '#protocol/identity.ts';
import { count } from '#server/store/audit.ts';
import type {
  CollectorAudit,
  EpochAudit,
  FramePosition,
  KnownCollector,
  StoredFrame,
} from '#server/store/store.ts';
import type { auditResponse, collectorsResponse, exportLine, framesResponse } from './schemas.ts';

type CollectorAnswer = z.infer<typeof collectorsResponse>['collectors'][number];
type AuditAnswer = z.infer<typeof auditResponse>['collectors'][number];
type FrameAnswer = z.infer<typeof framesResponse>['frames'][number];

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

export function frameAnswer(frame: StoredFrame): FrameAnswer {
  return { ...identityOf(frame), payload_bytes: frame.payload.length, ...payloadOf(frame) };
}

/** `crc_ok` is there, and false, when the stored bytes are not what was captured. */
export function exportAnswer(frame: StoredFrame): z.infer<typeof exportLine> {
  const damaged = frameCrc(frame) !== frame.crc;
  return { ...identityOf(frame), ...payloadOf(frame), ...(damaged ? { crc_ok: false } : {}) };
}

export function cursorOf({ collector, epoch, capturedAt, seq }: FramePosition): string {
  return Buffer.from(JSON.stringify([collector, epoch, capturedAt, seq])).toString('base64url');
}

/** undefined when it is none of ours. */
export function positionOf(cursor: string): FramePosition | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts) || parts.length !== 4) return undefined;
  const [collector, epoch, capturedAt, seq]: unknown[] = parts;
  const ours =
    typeof collector === 'string' &&
    typeof epoch === 'string' &&
    isUuid(epoch) &&
    Number.isSafeInteger(capturedAt) &&
    Number.isSafeInteger(seq);
  if (!ours) return undefined;
  return { collector, epoch: epoch as Epoch, capturedAt: Number(capturedAt), seq: Number(seq) };
}

/** The store keeps signs of life with a second's delay; a live session knows better. */
function heardOf({ lastHeardAt }: { lastHeardAt: number }, session: ConnectedSession | undefined) {
  return {
    last_heard_at: formatTime(Math.max(lastHeardAt, session?.heardAt ?? 0)),
    silent_since: session ? null : formatTime(lastHeardAt),
  };
}

function identityOf({ collector, epoch, seq, capturedAt, receivedAt, crc }: StoredFrame) {
  return {
    collector,
    epoch,
    seq,
    captured_at: formatTime(capturedAt),
    received_at: formatTime(receivedAt),
    crc32: crc.toString(16).padStart(8, '0'),
  };
}

function payloadOf({ payload }: StoredFrame): { payload_base64: string; payload?: unknown } {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  const text = { payload_base64: bytes.toString('base64') };
  try {
    return {
      ...text,
      payload: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)),
    };
  } catch {
    return text;
  }
}
