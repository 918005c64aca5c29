/**
 * What is wrong, by kind: how many, which ones, and the first of them in full.
 *
 * `last_seen` is the last place at which a frame was seen as it should be. `source`: the bytes were
 * sealed wrong. `queue`: it was accepted, and nothing shows that it left. `wire`: the queue had let
 * go of it, and the server never stored it. `server`: it was there, or the server says so.
 */
import { intervals } from './intervals.ts';

export type FindingKind =
  | 'lost'
  | 'declared'
  | 'rejected'
  | 'pruned'
  | 'pending'
  | 'duplicated'
  | 'altered_payload'
  | 'altered_captured_at'
  | 'altered_identity'
  | 'altered_checksum'
  | 'unexpected'
  | 'identity_reused'
  | 'audit_contradicted';

export type Place = 'source' | 'queue' | 'wire' | 'server';

/** One frame or row, as the result document shows it. */
export interface Offender {
  /** Its number in the ledger; null for a row that no attempt explains. */
  readonly n: number | null;
  readonly collector: string;
  readonly epoch: string | null;
  readonly seq: number | null;
  readonly captured_at: string;
  readonly bytes: number;
  readonly detail: string;
  readonly last_seen: Place;
}

const OFFENDERS_MAX = 20;

interface Finding {
  count: number;
  readonly offenders: Offender[];
  /** Numbers in the ledger by collector, or seqs by epoch where there is no number. */
  readonly numbers: Map<string, number[]>;
}

export class Findings {
  readonly #byKind = new Map<FindingKind, Finding>();

  add(kind: FindingKind, offender: Offender): void {
    let finding = this.#byKind.get(kind);
    if (finding === undefined) {
      finding = { count: 0, offenders: [], numbers: new Map() };
      this.#byKind.set(kind, finding);
    }
    finding.count += 1;
    if (finding.offenders.length < OFFENDERS_MAX) finding.offenders.push(offender);
    const group =
      offender.n === null ? `${offender.collector}/${offender.epoch}` : offender.collector;
    const numbers = finding.numbers.get(group);
    const number = offender.n ?? offender.seq ?? 0;
    if (numbers === undefined) finding.numbers.set(group, [number]);
    else numbers.push(number);
  }

  count(kind: FindingKind): number {
    return this.#byKind.get(kind)?.count ?? 0;
  }

  /** The first 20 of each kind that was found. */
  offenders(): Record<string, readonly Offender[]> {
    return Object.fromEntries([...this.#byKind].map(([kind, { offenders }]) => [kind, offenders]));
  }

  /** All of each kind, as intervals of numbers in the ledger, or of seqs of an epoch. */
  intervals(): Record<string, string> {
    return Object.fromEntries(
      [...this.#byKind].map(([kind, { numbers }]) => {
        const groups = [...numbers].map(([group, list]) => `${group} ${intervals(list)}`);
        return [kind, groups.join(' ')];
      }),
    );
  }
}
