/**
 * Why the link to the server failed, classed where it is known: transient failures pass by
 * themselves, permanent ones need somebody to change something. Both are retried; the class
 * decides the pace and how loudly it is said.
 *
 * No failure of the link ever concerns the data: what isn't settled stays in the queue.
 */
import type { ProtocolError } from '#protocol/errors.ts';
import type { Bye, ByeReason } from '#protocol/messages.ts';
import type { Phase } from './sender-state.ts';

export type Retry = 'transient' | 'permanent';

export type LinkErrorCode =
  | 'dns'
  | 'refused'
  | 'unreachable'
  | 'reset'
  | 'closed'
  | 'socket'
  | 'deadline'
  | 'no_progress'
  | 'protocol'
  | 'version'
  | 'unauthorized'
  | 'renew'
  | 'other_store'
  | `bye_${ByeReason}`;

export class LinkError extends Error {
  override readonly name = 'LinkError';
  readonly code: LinkErrorCode;
  readonly retry: Retry;
  /** How long the server asked to be left alone, in milliseconds; 0 when it didn't say. */
  readonly retryAfterMs: number;

  constructor(
    code: LinkErrorCode,
    message: string,
    options: { retry?: Retry; retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retry = options.retry ?? 'transient';
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

const SOCKET_CODES: Readonly<Record<string, LinkErrorCode>> = {
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  ECONNREFUSED: 'refused',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ETIMEDOUT: 'unreachable',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
};

/** Classes what a socket reported. With several addresses Node wraps the errors; one is enough. */
export function socketError(error: unknown, address: string): LinkError {
  const inner = error instanceof AggregateError ? error.errors[0] : error;
  const systemCode =
    inner instanceof Error && 'code' in inner && typeof inner.code === 'string'
      ? inner.code
      : 'unknown';
  const code = SOCKET_CODES[systemCode] ?? 'socket';
  return new LinkError(code, `${address}: ${describe(code)} (${systemCode})`, { cause: error });
}

function describe(code: LinkErrorCode): string {
  switch (code) {
    case 'dns':
      return 'the name does not resolve; check the name, and the name service of this machine';
    case 'refused':
      return 'nothing listens there; is the server running, and is this its address?';
    case 'unreachable':
      return 'no route, or no answer; check the network and the firewalls on the way';
    case 'reset':
      return 'the connection was reset by the other side or by something on the way';
    default:
      return 'the connection failed';
  }
}

/** The other side closed without a word; what that means depends on how far the link was. */
export function closedError(phase: Phase | undefined): LinkError {
  return new LinkError('closed', CLOSED_TEXTS[phase ?? 'ready']);
}

const CLOSED_TEXTS: Readonly<Record<Phase | 'ready', string>> = {
  dialing: 'the connection was closed before it was open',
  greeting:
    'the connection was accepted, and closed before the server spoke: a proxy accepts although ' +
    'its server is away; or the server has no room, or is none of ours',
  welcome: 'the connection was closed on our HELLO, without a word',
  ready: 'the connection was closed by the other side or by something on the way',
};

/** No step forward within the time that this phase has. */
export function deadlineError(phase: Phase, waitedMs: number): LinkError {
  return new LinkError('deadline', `${DEADLINE_TEXTS[phase]} (waited ${Math.round(waitedMs)} ms)`);
}

const DEADLINE_TEXTS: Readonly<Record<Phase, string>> = {
  dialing: 'no answer to the dial: the way is cut, a firewall drops it, or it is very long',
  greeting:
    'the connection was accepted, but the server says nothing: a proxy accepts although its ' +
    'server is away, the way is cut or very long, or this is no server of ours',
  welcome: 'the server does not answer our HELLO: it or its store hangs, or the way is cut',
};

/** The server's BYE as the reason why this connection ended. */
export function byeError(bye: Bye): LinkError {
  const said = bye.text === '' ? '' : `. It said: ${JSON.stringify(bye.text)}`;
  const advice = BYE_ADVICE[bye.reason];
  return new LinkError(`bye_${bye.reason}`, `the server said goodbye: ${advice.text}${said}`, {
    retry: advice.retry,
    retryAfterMs: bye.retryAfterMs,
  });
}

const BYE_ADVICE: Readonly<Record<ByeReason, { retry: Retry; text: string }>> = {
  shutdown: { retry: 'transient', text: 'it is stopping' },
  in_use: {
    retry: 'transient',
    text: 'another collector with the same id is connected; if that is a clone, give one a new id',
  },
  unauthorized: {
    retry: 'permanent',
    text: 'it does not accept our token; give both sides the same one (HOLDFAST_TOKEN or the file that HOLDFAST_TOKEN_FILE names)',
  },
  version: { retry: 'permanent', text: 'it speaks no version of ours; upgrade the older side' },
  protocol_error: {
    retry: 'transient',
    text: 'it could not make sense of what reached it; the bytes were damaged on the way',
  },
  timeout: { retry: 'transient', text: 'it heard nothing from us for too long' },
  overloaded: { retry: 'transient', text: 'it has too much to do' },
  superseded: { retry: 'transient', text: 'a newer connection of ours took over' },
  store_unavailable: {
    retry: 'transient',
    text: "its store cannot commit now; look at the server's log and its disk",
  },
  bad_collector: {
    retry: 'permanent',
    text: 'it does not accept our collector id; configure another one',
  },
  renew: { retry: 'transient', text: 'it wants a fresh connection' },
};

/** What the peer sent broke the protocol: a damaged stream, or something that is no server. */
export function protocolLinkError(error: ProtocolError): LinkError {
  const text =
    `what arrived is not right (${error.code}): ${error.message}; the bytes were damaged on the ` +
    'way, or this is no server of ours';
  return new LinkError('protocol', text, { cause: error });
}
