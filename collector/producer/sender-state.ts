/**
 * The states of the sender and the steps between them: this table is the only place that says
 * which step is legal, and the sender takes each step through it. The diagram in
 * docs/architecture.md is made from it.
 */
import type { LinkError } from './link-error.ts';

/** Times are monotonic milliseconds of the sender's clock. */
export type SenderState =
  /** Proven on both ends; frames flow as they come. */
  | { readonly name: 'Ready'; readonly since: number }
  /** The link failed; the next dial is due at `until`. */
  | {
      readonly name: 'Backoff';
      readonly since: number;
      readonly until: number;
      /** Failures since the link last did its work. */
      readonly attempt: number;
      readonly error: LinkError;
    }
  /** On the way to Ready. Every phase has a deadline, for a connect proves nothing. */
  | {
      readonly name: 'Recovering';
      readonly since: number;
      readonly phase: Phase;
      readonly deadline: number;
    }
  /** Told to stop; nothing follows. */
  | { readonly name: 'Stopped'; readonly since: number };

export type Phase = 'dialing' | 'greeting' | 'welcome';

export type Step = 'Ready' | 'Backoff' | 'Stopped' | `Recovering/${Phase}`;

/** From each state, the states that may follow, and what brings each about. */
export const LEGAL_STEPS: Readonly<Record<Step, Readonly<Partial<Record<Step, string>>>>> = {
  'Recovering/dialing': {
    'Recovering/greeting': 'connected',
    Backoff: 'refused, unreachable, deadline',
    Stopped: 'stop',
  },
  'Recovering/greeting': {
    'Recovering/welcome': 'GREETING, HELLO sent',
    Backoff: 'closed, deadline, BYE, wrong version, anything wrong',
    Stopped: 'stop',
  },
  'Recovering/welcome': {
    Ready: 'WELCOME, proven',
    Backoff: 'closed, deadline, BYE, not proven, another store, anything wrong',
    Stopped: 'stop',
  },
  Ready: {
    Backoff: 'closed, no progress, BYE, epoch numbers used up, anything wrong',
    Stopped: 'stop, after BYE',
  },
  Backoff: { 'Recovering/dialing': 'the time has come', Stopped: 'stop' },
  Stopped: {},
};

/** The state's name as the table has it. */
export function stepOf(state: SenderState): Step {
  return state.name === 'Recovering' ? `Recovering/${state.phase}` : state.name;
}

/** Throws when the table doesn't know the step: a bug of ours, never the peer's doing. */
export function assertLegalStep(from: SenderState, to: SenderState): void {
  if (LEGAL_STEPS[stepOf(from)][stepOf(to)] !== undefined) return;
  throw new Error(`illegal step of the sender: ${stepOf(from)} -> ${stepOf(to)}`);
}
