/**
 * Forged histories: what a right run leaves behind, as plain data that a test can break in one
 * place, and the way from there to the judge. Times and checksums are made by the product's code,
 * so that the judge's own are held against them.
 */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { formatLine, type LedgerLine } from '#chaos/ledger/lines.ts';
import { LedgerReader } from '#chaos/ledger/reader.ts';
import type { AuditDocument } from '#chaos/oracle/audit.ts';
import { Judge, type Result } from '#chaos/oracle/judge.ts';
import { type Case, type Observations, USUAL_CASE } from '#chaos/oracle/observations.ts';
import { formatTime, frameCrc } from '#protocol/identity.ts';

export const COLLECTOR = 'load-1';
/** 2026-11-21T08:00:00Z in microseconds. */
const START_US = 1_795_248_000_000_000;
const STEP_US = 5_000;

interface ForgedAttempt {
  readonly n: number;
  readonly capturedAt: number;
  readonly payload: Buffer;
  readonly outcome: 'accepted' | 'refused' | 'unsure' | 'unanswered';
  readonly epoch: string;
  /** Its place in the queue; 0 when it came to none. */
  readonly seq: number;
}

export interface ForgedRow {
  collector: string;
  epoch: string;
  seq: number;
  capturedAt: number;
  receivedAt: number;
  payload: Buffer;
  /** Left out: the right one. */
  crc?: number;
}

export interface History {
  readonly attempts: readonly ForgedAttempt[];
  readonly lines: LedgerLine[];
  readonly rows: ForgedRow[];
  readonly audit: AuditDocument;
  readonly observations: Observations;
  expected: Case;
  /** What the ledger's file has behind its last line end. */
  ledgerRest: string;
  exportRest: string;
}

export function moment(wallUs: number): { wall_us: number; monotonic_ms: number } {
  return { wall_us: wallUs, monotonic_ms: (wallUs - START_US) / 1_000 };
}

export function epochNumber(n: number): string {
  return `01938c5e-8a00-7000-8000-${String(n).padStart(12, '0')}`;
}

/**
 * A run of 30 attempts or more: a restart now and then, refusals, missing answers, and one cut of
 * the link over about a third of it.
 */
export const histories: fc.Arbitrary<History> = fc
  .record({
    kinds: fc.array(
      fc.record({
        bytes: fc.oneof(fc.integer({ min: 1, max: 15 }), fc.integer({ min: 16, max: 200 })),
        fate: fc.integer({ min: 0, max: 19 }),
      }),
      { minLength: 30, maxLength: 60 },
    ),
    fill: fc.integer({ min: 0, max: 255 }),
  })
  .filter(({ kinds }) => acceptedInEachThird(kinds))
  .map(({ kinds, fill }) => forge(kinds, fill));

/** So that there is something to break before, in and after the cut. */
function acceptedInEachThird(kinds: readonly { readonly fate: number }[]): boolean {
  const third = Math.floor(kinds.length / 3);
  const parts = [
    kinds.slice(1, third),
    kinds.slice(third + 1, 2 * third),
    kinds.slice(2 * third + 1),
  ];
  return parts.every((part) => part.some(({ fate }) => fate === 0 || fate > 4));
}

/** `fate`: 0 restarts before it, 1 refused, 2 unsure and stored, 3 unanswered, 4 that and stored. */
export function forge(
  kinds: readonly { readonly bytes: number; readonly fate: number }[],
  fill = 0,
): History {
  const attempts = attemptsOf(kinds, fill);
  const began = START_US + Math.floor(kinds.length / 3) * STEP_US + 1;
  const ended = START_US + Math.floor((2 * kinds.length) / 3) * STEP_US + 1;
  const rows = attempts
    .filter(({ seq }) => seq > 0)
    .map(({ epoch, seq, capturedAt, payload }) => ({
      collector: COLLECTOR,
      epoch,
      seq,
      capturedAt,
      receivedAt: capturedAt < began ? capturedAt + 1_000 : Math.max(ended, capturedAt) + 2_000,
      payload,
    }));
  return {
    attempts,
    lines: linesOf(attempts),
    rows,
    audit: auditOf(rows),
    observations: observationsOf(rows, began, ended),
    expected: { ...USUAL_CASE, faults: ['cut'], accepted_min: 1, queued_min: 1 },
    ledgerRest: '',
    exportRest: '',
  };
}

export function judgeHistory(history: History): Result {
  const { audit, observations, expected } = history;
  const reader = new LedgerReader();
  for (const line of history.lines) reader.push(formatLine(line).trimEnd());
  const ledgers = [reader.finish(history.ledgerRest)];
  const judge = new Judge({ ledgers, audit, observations, expected });
  for (const row of history.rows) judge.push(exportLine(row));
  return judge.finish(history.exportRest);
}

export function codesOf({ reasons }: Result): string[] {
  return reasons.map(({ code }) => code);
}

function exportLine(row: ForgedRow): string {
  return JSON.stringify({
    collector: row.collector,
    epoch: row.epoch,
    seq: row.seq,
    captured_at: formatTime(row.capturedAt),
    received_at: formatTime(row.receivedAt),
    crc32: (row.crc ?? frameCrc(row)).toString(16).padStart(8, '0'),
    payload_base64: row.payload.toString('base64'),
  });
}

function attemptsOf(
  kinds: readonly { readonly bytes: number; readonly fate: number }[],
  fill: number,
): ForgedAttempt[] {
  let epoch = 1;
  let seq = 0;
  return kinds.map(({ bytes, fate }, index) => {
    if (fate === 0 && seq > 0) {
      epoch += 1;
      seq = 0;
    }
    const outcome = ({ 1: 'refused', 2: 'unsure', 3: 'unanswered', 4: 'unanswered' } as const)[
      fate
    ];
    const inQueue = fate !== 1 && fate !== 3;
    if (inQueue) seq += 1;
    return {
      n: index + 1,
      capturedAt: START_US + index * STEP_US,
      payload: payloadOf(index + 1, bytes, fill),
      outcome: outcome ?? 'accepted',
      epoch: epochNumber(epoch),
      seq: inQueue ? seq : 0,
    };
  });
}

/** From 16 bytes on with its number inside, as those of the source. */
function payloadOf(n: number, bytes: number, fill: number): Buffer {
  const payload = Buffer.alloc(bytes, fill);
  if (bytes >= 16) payload.writeUInt32BE(n, 0);
  return payload;
}

function linesOf(attempts: readonly ForgedAttempt[]): LedgerLine[] {
  const lines: LedgerLine[] = [];
  let epoch: string | undefined;
  for (const attempt of attempts) {
    const { n, capturedAt, payload, outcome, seq } = attempt;
    if (attempt.epoch !== epoch) lines.push(startLine(n));
    epoch = attempt.epoch;
    const sha256 = createHash('sha256').update(payload).digest('hex');
    lines.push({ type: 'attempt', n, captured_at: capturedAt, bytes: payload.length, sha256 });
    if (outcome === 'accepted') lines.push({ type: 'accepted', n, epoch, seq });
    if (outcome === 'refused' || outcome === 'unsure') {
      lines.push({ type: outcome, n, code: 'queue_full', reason: 'no room' });
    }
  }
  lines.push({ type: 'end', at: START_US * 2, attempts: attempts.length });
  return lines;
}

function startLine(next: number): Extract<LedgerLine, { type: 'start' }> {
  const run = epochNumber(next);
  const fixed = { type: 'start', version: 1, collector: COLLECTOR, seed: 7 } as const;
  return { ...fixed, run, at: START_US, next, torn_bytes: 0, settings: {} };
}

export function auditOf(rows: readonly ForgedRow[]): AuditDocument {
  const epochs = [...new Set(rows.map(({ epoch }) => epoch))].map((epoch) => {
    const stored = rows.filter((row) => row.epoch === epoch);
    const none = { declared: [], rejected: [], pruned: [], pending: [], missing: [] };
    const last = Math.max(...stored.map(({ seq }) => seq));
    return { epoch, last, stored: stored.length, ...none };
  });
  const nothing = { declared: 0, pruned: 0, pending: 0, missing: 0, duplicates_refused: 0 };
  const totals = { stored: rows.length, ...nothing };
  return { collectors: [{ collector: COLLECTOR, totals, epochs }] };
}

function observationsOf(rows: readonly ForgedRow[], began: number, ended: number): Observations {
  const status = (at: number, state: string, frames: number) => ({
    at: moment(at),
    document: {
      collector: COLLECTOR,
      state,
      queue: { frames, oldest_captured_at: frames === 0 ? null : formatTime(began) },
      counters: { acked: rows.filter(({ receivedAt }) => receivedAt < at).length },
    },
  });
  const audit = (at: number) => ({
    at: moment(at),
    document: auditOf(rows.filter(({ receivedAt }) => receivedAt < at)),
  });
  const last = began + 10_000_000;
  return {
    faults: [
      {
        name: 'cut',
        target: 'link',
        outage: true,
        began: moment(began),
        lifted: moment(ended),
        running: moment(ended),
        bit: true,
        evidence: 'a connection through the link was refused',
      },
    ],
    statuses: [
      status(began - 1_000, 'Ready', 0),
      status(began + 2_000, 'Backoff', 1),
      status(last, 'Ready', 0),
    ],
    audits: [audit(began), audit(last)],
    exits: [],
    operator_actions: [],
    harness_failures: [],
    stretch: 1,
    drain: { outcome: 'drained', waited_ms: 100 },
  };
}
