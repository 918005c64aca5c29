/**
 * The audit of one epoch: what became of each of its seqs, from what was announced and what is
 * settled. Pure; never looks at frames, so its cost follows the number of settled ranges.
 *
 * The rule: an epoch reaches up to the highest seq that was announced, that a successor named as
 * its last, or that is settled. What isn't settled in there is *pending* while its holder still has
 * it (the epoch is named in the latest complete announcement and the seq was announced), and
 * *missing* otherwise. Silence changes nothing: a collector that is cut off still holds what it
 * announced.
 */
import {
  type SeqRange,
  type SettledRange,
  SettledRanges,
  settledReason,
} from '#protocol/settlement.ts';
import type { AuditRange, AuditTotals, EpochAudit } from './store.ts';

/** How far an epoch was announced, and what of it is still held: from a row of the table `streams`. */
export interface StreamExtent {
  readonly epoch: string;
  readonly lowest: number;
  readonly highest: number;
  readonly lastNamed: number;
  readonly held: boolean;
}

export interface StreamFacts extends StreamExtent {
  readonly duplicatesRefused: number;
  readonly conflictsRefused: number;
}

/** What isn't settled. */
export interface UnsettledRange extends SeqRange {
  readonly kind: 'pending' | 'missing';
}

/** How far an epoch reaches, of which so much is settled. */
export function lastOf(stream: StreamExtent, settledTo: number): number {
  return Math.max(stream.highest, stream.lastNamed, settledTo);
}

/** Which part of a run that nothing has settled is pending and which is missing, in order. */
export function unsettledOf(stream: StreamExtent, { from, to }: SeqRange): UnsettledRange[] {
  const heldFrom = stream.held ? Math.max(from, stream.lowest) : to + 1;
  const heldTo = Math.min(to, stream.highest);
  if (heldFrom > heldTo) return [{ kind: 'missing', from, to }];
  const parts: UnsettledRange[] = [
    { kind: 'missing', from, to: heldFrom - 1 },
    { kind: 'pending', from: heldFrom, to: heldTo },
    { kind: 'missing', from: heldTo + 1, to },
  ];
  return parts.filter((part) => part.from <= part.to);
}

/** `settled` is sorted and disjoint, as the table keeps it. */
export function auditEpoch(stream: StreamFacts, settled: readonly SettledRange[]): EpochAudit {
  const last = lastOf(stream, settled.at(-1)?.to ?? 0);
  const unsettled = new SettledRanges(settled)
    .unsettled(1, last)
    .flatMap((run) => unsettledOf(stream, run));
  const ofKind = (wanted: UnsettledRange['kind']): AuditRange[] =>
    unsettled.filter(({ kind }) => kind === wanted).map(({ from, to }) => ({ from, to }));
  return {
    epoch: stream.epoch,
    first: Math.min(1, last),
    last,
    stored: count(settled.filter((range) => range.state === 'stored')),
    declared: listOf(settled, 'declared'),
    rejected: listOf(settled, 'rejected'),
    pruned: listOf(settled, 'pruned'),
    pending: ofKind('pending'),
    missing: ofKind('missing'),
    duplicatesRefused: stream.duplicatesRefused,
    conflictsRefused: stream.conflictsRefused,
  };
}

/** Each epoch may have so many seqs by its collector's word; more than that is no exact number. */
const COUNT_MAX = Number.MAX_SAFE_INTEGER;

/** Over all of these epochs; what is more than 2^53 − 1 is given as that. */
export function totalsOf(epochs: readonly EpochAudit[]): AuditTotals {
  const total = (of: (epoch: EpochAudit) => number): number =>
    epochs.reduce((sum, epoch) => Math.min(sum + of(epoch), COUNT_MAX), 0);
  return {
    stored: total((epoch) => epoch.stored),
    declared: total((epoch) => count(epoch.declared)),
    rejected: total((epoch) => count(epoch.rejected)),
    pruned: total((epoch) => count(epoch.pruned)),
    pending: total((epoch) => count(epoch.pending)),
    missing: total((epoch) => count(epoch.missing)),
    duplicatesRefused: total((epoch) => epoch.duplicatesRefused),
    conflictsRefused: total((epoch) => epoch.conflictsRefused),
  };
}

/** How many seqs the ranges hold; exact, for the ranges of one epoch hold no more than 2^53 − 1. */
export function count(ranges: readonly AuditRange[]): number {
  return ranges.reduce((sum, range) => sum + (range.to - range.from + 1), 0);
}

function listOf(settled: readonly SettledRange[], state: SettledRange['state']): AuditRange[] {
  return settled
    .filter((range) => range.state === state)
    .map((range) => {
      const reason = settledReason(range);
      return { from: range.from, to: range.to, ...(reason === undefined ? {} : { reason }) };
    });
}
