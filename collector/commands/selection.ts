/** The options by which commands choose among frames, and how what people type becomes a selection. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Selection } from '#collector/tools/frames.ts';
import { SEQ_MAX } from '#protocol/identity.ts';
import type { SeqRange } from '#protocol/settlement.ts';

export interface SelectionOptions {
  readonly epoch?: string;
  readonly seq?: SeqRange;
  readonly since?: number;
  readonly until?: number;
}

const LIST_LIMIT = 20;
const SEQS = /^(\d{1,16})(?:\.\.(\d{1,16})?)?$/;
const AGO = /^(\d{1,9})(s|m|h|d)$/;
const UNIT_US = { s: 1e6, m: 60e6, h: 3_600e6, d: 86_400e6 } as const;

export function addSelectionOptions(command: Command): Command {
  return command
    .option('--epoch <beginning>', 'only of the epoch that begins with this', parseEpoch)
    .option('--seq <n | from..to>', 'only these seqs; from.. means to the end', parseSeqs)
    .option(
      '--since <time>',
      'only captured then or later: RFC 3339, or 10m for so long ago',
      parseTime,
    )
    .option('--until <time>', 'only captured before then', parseTime);
}

/** How many rows a list shows. */
export interface ListLimits {
  readonly limit?: number;
  readonly all?: boolean;
}

export function addListOptions(command: Command): Command {
  return command
    .option('--limit <n>', `so many at most (default: ${LIST_LIMIT})`, parseCount)
    .option('--all', 'all of them');
}

export function listLimitOf({ limit = LIST_LIMIT, all }: ListLimits): number {
  return all ? Number.POSITIVE_INFINITY : limit;
}

export function selectionOf({ epoch, seq, since, until }: SelectionOptions): Selection {
  return { epoch, seqs: seq, since, until };
}

export function isEverything(selection: Selection): boolean {
  return Object.values(selection).every((value) => value === undefined);
}

export function parseCount(text: string): number {
  const count = Number(text);
  if (/^\d{1,9}$/.test(text) && count >= 1) return count;
  throw new InvalidArgumentError('must be a whole number from 1 on.');
}

function parseEpoch(text: string): string {
  const beginning = text.toLowerCase();
  if (/^[0-9a-f-]{1,36}$/.test(beginning)) return beginning;
  throw new InvalidArgumentError('must be an epoch, a UUID, or its beginning.');
}

function parseSeqs(text: string): SeqRange {
  const [, first, last] = SEQS.exec(text) ?? [];
  const from = Number(first);
  const to = text.includes('..') ? Number(last ?? SEQ_MAX) : from;
  if (first !== undefined && from >= 1 && to >= from && to <= SEQ_MAX) return { from, to };
  throw new InvalidArgumentError('must be a seq from 1 on, or two of them: 10..20.');
}

/** Microseconds since 1970 UTC. */
function parseTime(text: string): number {
  const [, count, unit] = AGO.exec(text) ?? [];
  if (count !== undefined) {
    return Date.now() * 1_000 - Number(count) * UNIT_US[unit as keyof typeof UNIT_US];
  }
  try {
    return Number(Temporal.Instant.from(text).epochNanoseconds / 1_000n);
  } catch {
    throw new InvalidArgumentError(
      'must be a time as 2026-11-26T10:00:00Z, or how long ago, as 90s, 10m, 2h, 1d.',
    );
  }
}
