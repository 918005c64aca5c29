/**
 * What a case of the catalogue is. The tables are in `wire-cases.ts` and the files beside it;
 * docs/hostile-input.md is made from them.
 */
import type { Peer } from './peer.ts';
import type { Stage } from './stage.ts';

/** By when it has to be over. The deadlines are the protocol's; see PROTOCOL.md. */
export const DEADLINES_MS = {
  'at once': 0,
  'the deadline for HELLO, 60 s': 60_000,
  'no byte in mid-message for 10 s': 10_000,
  'no byte between messages for 5 s': 5_000,
  'half a minute of bytes, then none for 10 s': 40_000,
} as const;
type Deadline = keyof typeof DEADLINES_MS;

/** What becomes of the connection. */
export type End =
  /** It stays, for nothing is wrong with it. */
  | { readonly by: 'nobody' }
  /** The server closes without a word, or with a BYE that has no text; its log says this. */
  | { readonly by: 'close' | 'bye without text'; readonly log: string; readonly text?: string }
  /** BYE with this reason, whose text begins so. */
  | { readonly by: 'bye'; readonly reason: string; readonly text?: string };

export interface WireCase {
  /** Of the catalogue. */
  readonly id: string;
  /** What is sent. */
  readonly name: string;
  /** What is expected, in words. */
  readonly expected: string;
  readonly end: End;
  readonly within: Deadline;
  /** What its collector has in the store when it is over. */
  readonly stored?: number;
  readonly rejected?: number;
  /** Too much data to be played again and again. */
  readonly isHeavy?: true;
  /** Answers the connection that it is about. */
  readonly play: (stage: Stage, collector: string) => Promise<Peer>;
}

/** One that needs no test of its own here. */
export interface ElsewhereCase {
  readonly id: string;
  readonly name: string;
  /** Why it doesn't apply, or where it is tested. */
  readonly why: string;
}

export const STAYS: End = { by: 'nobody' };

export function refused(log: string, text?: string): End {
  return { by: 'close', log, ...(text === undefined ? {} : { text }) };
}

export function bye(reason: string, text?: string): End {
  return { by: 'bye', reason, ...(text === undefined ? {} : { text }) };
}
