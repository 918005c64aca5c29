/**
 * The states of a session and the steps between them: this table is the only place that says which
 * step is legal, and the session takes each step through it. PROTOCOL.md, "States", is the same
 * for people.
 */
import type { ByeReason } from '#protocol/messages.ts';

/** Why a session ended: what the BYE said, or what the peer or the network did. */
export type EndReason =
  | ByeReason
  /** The peer said BYE. */
  | 'goodbye'
  /** The connection was closed or broke. */
  | 'disconnected';

/** How somebody failed to come in. */
export type FailedAttempt =
  | 'wrong_token'
  | 'unknown_collector'
  | 'version'
  /** What came was not this protocol. */
  | 'protocol';

export interface Ending {
  readonly reason: EndReason;
  /** For the log, and for the peer once it is proven. */
  readonly text: string;
  readonly retryAfterMs: number;
  /** Where the peer ended by it before it was proven, and has to be told of. */
  readonly attempt?: FailedAttempt;
}

/** Times are monotonic milliseconds of the session's clock. */
export type SessionState =
  /** GREETING is sent; nothing is known of the peer. */
  | { readonly name: 'greeting'; readonly deadline: number }
  /** The peer is proven; whether it may come in, and what is settled, is being asked. */
  | { readonly name: 'joining' }
  | { readonly name: 'open' }
  /** Takes nothing more; what is on its way into the store is still acknowledged, then it ends. */
  | { readonly name: 'draining'; readonly ending: Ending; readonly deadline: number }
  | { readonly name: 'closed'; readonly ending: Ending };

/** A connection's, as it is counted: those whose session is yet to come included. */
export type ConnectionState = SessionState['name'] | 'tls';

/** From each state, the states that may follow. */
export const LEGAL_STEPS: Readonly<Record<SessionState['name'], readonly SessionState['name'][]>> =
  {
    greeting: ['joining', 'closed'],
    joining: ['open', 'closed'],
    open: ['draining', 'closed'],
    draining: ['closed'],
    closed: [],
  };

/** Throws when the table doesn't know the step: a bug of ours, never the peer's doing. */
export function assertLegalStep(from: SessionState, to: SessionState): void {
  if (LEGAL_STEPS[from.name].includes(to.name)) return;
  throw new Error(`illegal step of a session: ${from.name} -> ${to.name}`);
}
