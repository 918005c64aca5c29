/**
 * The ledger against the export: which row is which attempt's, and what is wrong with it.
 *
 * A row belongs to the attempt that was accepted under its identity; failing that, to the one with
 * its capture time, which names an attempt; failing that, to the one with its payload, where the
 * payload is long enough to carry an id. So a frame that was re-numbered, re-stamped, changed or
 * stored a second time under another identity is still found to be what it is, even without the
 * collector's answer. What belongs to no attempt is unexpected.
 *
 * Attempts without an answer are indeterminate: stored, they count as recovered; not stored, as
 * nothing. Rows of collectors that no ledger is about are left alone, unless they carry an attempt's
 * capture time and payload.
 *
 * Memory grows with the ledger, not with the export: rows are looked at one by one.
 */
import { createHash } from 'node:crypto';
import type { Attempt, Ledger } from '../ledger/reader.ts';
import type { Audit } from './audit.ts';
import { frameChecksum } from './checksum.ts';
import { parseRow, type Row } from './export.ts';
import { Findings, type Offender, type Place } from './findings.ts';
import { formatTime } from './time.ts';

/** A payload from this size on opens with an id of its own, so its digest names an attempt. */
const ID_BYTES = 16;

/** An attempt and what became of it. */
export interface Fate {
  readonly attempt: Attempt;
  rows: number;
  /** A row stands under the identity that the attempt was accepted under. */
  placed: boolean;
  /** Not stored, and the audit says what became of it. */
  givenUp: boolean;
  /** Of its first row, in microseconds since 1970 UTC; undefined while there is none. */
  receivedAt: number | undefined;
}

export interface GivenUp {
  readonly state: 'declared' | 'rejected' | 'pruned';
  readonly reason: string;
  readonly epoch: string;
  readonly seq: number;
}

/** What is known of one collector that a ledger is about. */
interface Account {
  readonly byCapture: Map<number, Fate>;
  /** By epoch and seq. */
  readonly byIdentity: Map<string, Map<number, Fate>>;
  /** The ledger ends with a proper end. */
  readonly whole: boolean;
  lastCapturedAt: number;
  rows: number;
}

export class Comparison {
  readonly findings = new Findings();
  readonly fates: Fate[] = [];
  /** Accepted frames that aren't stored, and that the audit answers for. */
  readonly givenUp: GivenUp[] = [];
  readonly #accounts = new Map<string, Account>();
  readonly #audit: Audit | undefined;
  readonly #rowsIn = new Map<string, number>();
  #byDigest: Map<string, Fate> | undefined;
  #rows = 0;
  #foreign = 0;
  #unjudged = 0;
  #unreadable = 0;

  constructor(ledgers: readonly Ledger[], audit: Audit | undefined) {
    this.#audit = audit;
    for (const { starts, attempts, ended } of ledgers) {
      for (const { collector } of starts) this.#open(collector, ended);
      for (const attempt of attempts) this.#enter(attempt);
    }
  }

  get collectors(): readonly string[] {
    return [...this.#accounts.keys()];
  }

  /** Rows of the export: all, those of others, those past the end of a ledger that is cut short. */
  get rows(): { total: number; foreign: number; unjudged: number; unreadable: number } {
    return {
      total: this.#rows,
      foreign: this.#foreign,
      unjudged: this.#unjudged,
      unreadable: this.#unreadable,
    };
  }

  /** Frames that the final audit counts as missing, of the collectors that are judged. */
  get missing(): number {
    return this.#claimed('missing') ?? 0;
  }

  /** Frames that reached the server more than once; undefined without an audit. */
  get duplicatesRefused(): number | undefined {
    return this.#claimed('duplicates_refused');
  }

  #claimed(total: 'missing' | 'duplicates_refused'): number | undefined {
    return this.#audit?.document.collectors
      .filter(({ collector }) => this.#accounts.has(collector))
      .reduce((sum, { totals }) => sum + totals[total], 0);
  }

  rowsOf(collector: string): number {
    return this.#accounts.get(collector)?.rows ?? 0;
  }

  /** Takes in a line of the export. */
  push(line: string): void {
    const row = parseRow(line);
    this.#rows += 1;
    if (row === undefined) this.#unreadable += 1;
    else this.#onRow(row);
  }

  /**
   * Once all rows are in: finds what has none. `leftBefore`: what was captured before it had left
   * the queue by the collector's own account; microseconds since 1970 UTC.
   */
  finish(leftBefore: (collector: string) => number): void {
    for (const fate of this.fates) {
      const { outcome, collector } = fate.attempt;
      if (outcome !== 'accepted') continue;
      if (fate.rows === 0) this.#onUnstored(fate, leftBefore(collector));
      else if (fate.rows === 1 && !fate.placed) {
        this.#blame('altered_identity', fate, 'stored under another identity', 'server');
      }
    }
  }

  /** Epochs of which the audit counts other rows than the export has; none without an audit. */
  epochsCountedOtherwise(): { collector: string; epoch: string; claimed: number; rows: number }[] {
    if (this.#audit === undefined) return [];
    const known = this.#audit.document.collectors.flatMap(({ collector, epochs }) =>
      epochs.map(({ epoch, stored }) => ({ collector, epoch, claimed: stored })),
    );
    return known
      .map((one) => ({ ...one, rows: this.#rowsIn.get(`${one.collector} ${one.epoch}`) ?? 0 }))
      .filter(({ collector, claimed, rows }) => this.#accounts.has(collector) && claimed !== rows);
  }

  #open(collector: string, whole: boolean): Account {
    const known = this.#accounts.get(collector);
    if (known !== undefined) return known;
    const account = {
      byCapture: new Map(),
      byIdentity: new Map(),
      whole,
      lastCapturedAt: 0,
      rows: 0,
    };
    this.#accounts.set(collector, account);
    return account;
  }

  #enter(attempt: Attempt): void {
    const account = this.#open(attempt.collector, false);
    const fate = { attempt, rows: 0, placed: false, givenUp: false, receivedAt: undefined };
    this.fates.push(fate);
    account.byCapture.set(attempt.capturedAt, fate);
    account.lastCapturedAt = Math.max(account.lastCapturedAt, attempt.capturedAt);
    if (attempt.identity === undefined) return;
    const { epoch, seq } = attempt.identity;
    const seqs = account.byIdentity.get(epoch) ?? new Map<number, Fate>();
    account.byIdentity.set(epoch, seqs);
    const before = seqs.get(seq);
    if (before === undefined) {
      seqs.set(seq, fate);
      return;
    }
    const detail = `accepted under the identity of attempt ${before.attempt.n}`;
    this.#blame('identity_reused', fate, detail, 'queue');
  }

  #onRow(row: Row): void {
    const account = this.#accounts.get(row.collector);
    if (account === undefined) return this.#onForeign(row);
    account.rows += 1;
    const key = `${row.collector} ${row.epoch}`;
    this.#rowsIn.set(key, (this.#rowsIn.get(key) ?? 0) + 1);
    const digest = digestOf(row);
    const accepted = account.byIdentity.get(row.epoch)?.get(row.seq);
    const fate = accepted ?? account.byCapture.get(row.capturedAt) ?? this.#carrying(row, digest);
    const sealed = frameChecksum(row.epoch, row.seq, row.capturedAt, row.payload) === row.checksum;
    if (!sealed) {
      const detail = 'the checksum of the row is not that of its content';
      this.findings.add('altered_checksum', rowOffender(row, fate, detail, 'server'));
    }
    this.#checkClaim(row, fate);
    if (fate !== undefined) return this.#onMatched(fate, row, { digest, sealed, accepted });
    if (!account.whole && row.capturedAt > account.lastCapturedAt) this.#unjudged += 1;
    else this.findings.add('unexpected', rowOffender(row, undefined, 'never attempted', 'server'));
  }

  #onMatched(
    fate: Fate,
    row: Row,
    { digest, sealed, accepted }: { digest: string; sealed: boolean; accepted: Fate | undefined },
  ): void {
    const { attempt } = fate;
    fate.rows += 1;
    fate.receivedAt ??= row.receivedAt;
    fate.placed ||= accepted === fate;
    if (fate.rows > 1) {
      const detail = `row ${fate.rows} of it, as ${row.epoch}/${row.seq}`;
      this.findings.add('duplicated', rowOffender(row, fate, detail, 'server'));
    }
    if (attempt.outcome === 'refused') {
      this.findings.add('unexpected', rowOffender(row, fate, 'refused, and stored', 'server'));
    }
    const lastSeen = sealed ? 'source' : 'server';
    if (row.capturedAt !== attempt.capturedAt) {
      const detail = `captured at ${formatTime(attempt.capturedAt)}, stored as ${formatTime(row.capturedAt)}`;
      this.findings.add('altered_captured_at', rowOffender(row, fate, detail, lastSeen));
    }
    if (digest !== attempt.sha256) {
      const detail = `${attempt.bytes} bytes of SHA-256 ${attempt.sha256}, stored as ${row.payload.length} of ${digest}`;
      this.findings.add('altered_payload', rowOffender(row, fate, detail, lastSeen));
    }
  }

  /** A row of a collector that no ledger is about. */
  #onForeign(row: Row): void {
    this.#foreign += 1;
    for (const { byCapture } of this.#accounts.values()) {
      const fate = byCapture.get(row.capturedAt);
      if (fate === undefined || fate.attempt.sha256 !== digestOf(row)) continue;
      const detail = `stored as a frame of ${row.collector}`;
      this.findings.add('unexpected', rowOffender(row, fate, detail, 'server'));
    }
  }

  /** The attempt of the same collector with this payload, if the payload can tell. */
  #carrying(row: Row, digest: string): Fate | undefined {
    if (row.payload.length < ID_BYTES) return undefined;
    this.#byDigest ??= new Map(this.fates.map((fate) => [fate.attempt.sha256, fate]));
    const fate = this.#byDigest.get(digest);
    return fate?.attempt.collector === row.collector ? fate : undefined;
  }

  /** A row that exists can't be among those that the audit says aren't stored. */
  #checkClaim(row: Row, fate: Fate | undefined): void {
    const claim = this.#audit?.claim(row.collector, row.epoch, row.seq);
    // Pending then and stored now is how it should go.
    if (claim === undefined || claim.state === 'stored' || claim.state === 'pending') return;
    const detail = `stored, and ${claim.state} by the audit`;
    this.findings.add('audit_contradicted', rowOffender(row, fate, detail, 'server'));
  }

  #onUnstored(fate: Fate, leftBefore: number): void {
    const { collector, identity, capturedAt } = fate.attempt;
    const claim = identity && this.#audit?.claim(collector, identity.epoch, identity.seq);
    switch (claim?.state) {
      case 'declared':
      case 'rejected':
      case 'pruned': {
        const reason = claim.reason ?? claim.state;
        const lastSeen = claim.state === 'declared' ? 'queue' : 'server';
        fate.givenUp = true;
        if (identity) this.givenUp.push({ state: claim.state, reason, ...identity });
        return this.#blame(claim.state, fate, reason, lastSeen);
      }
      case 'pending':
        return this.#blame('pending', fate, 'the collector still has it', 'queue');
      case 'stored':
        return this.#blame('lost', fate, 'settled as stored, and there is no row', 'server');
      default: {
        const left = capturedAt < leftBefore;
        const detail = left ? 'the queue had let go of it' : 'accepted, and not stored';
        return this.#blame('lost', fate, detail, left ? 'wire' : 'queue');
      }
    }
  }

  #blame(kind: Parameters<Findings['add']>[0], fate: Fate, detail: string, place: Place): void {
    const { n, collector, identity, capturedAt, bytes } = fate.attempt;
    const { epoch, seq } = identity ?? { epoch: null, seq: null };
    const captured_at = formatTime(capturedAt);
    this.findings.add(kind, {
      n,
      collector,
      epoch,
      seq,
      captured_at,
      bytes,
      detail,
      last_seen: place,
    });
  }
}

function digestOf({ payload }: Row): string {
  return createHash('sha256').update(payload).digest('hex');
}

function rowOffender(row: Row, fate: Fate | undefined, detail: string, place: Place): Offender {
  return {
    n: fate?.attempt.n ?? null,
    collector: row.collector,
    epoch: row.epoch,
    seq: row.seq,
    captured_at: formatTime(row.capturedAt),
    bytes: row.payload.length,
    detail,
    last_seen: place,
  };
}
