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
  | 'tls'
  | 'tls_plain'
  | 'tls_untrusted'
  | 'tls_expired'
  | 'tls_name'
  | 'tls_refused'
  | 'tls_files'
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
  const systemCode = systemCodeOf(error);
  const code = SOCKET_CODES[systemCode] ?? 'socket';
  return new LinkError(code, `${address}: ${describe(code)} (${systemCode})`, { cause: error });
}

function systemCodeOf(error: unknown): string {
  const inner = error instanceof AggregateError ? error.errors[0] : error;
  const coded = inner instanceof Error && 'code' in inner && typeof inner.code === 'string';
  return coded ? String(inner.code) : 'unknown';
}

/**
 * Classes what a socket with TLS reported; `secured` tells whether the TLS handshake was over.
 * undefined for a plain close: what it means depends on how far the link was, not on TLS.
 */
export function tlsError(error: unknown, address: string, secured: boolean): LinkError | undefined {
  const systemCode = systemCodeOf(error);
  // The other side closed in the middle of the handshake; as a reset where it had not read our part.
  if (!secured && systemCode === 'ECONNRESET') return undefined;
  const code = tlsCode(systemCode, secured);
  if (code === undefined) return socketError(error, address);
  const { retry, text } = TLS_ADVICE[code];
  const said = code === 'tls_name' && error instanceof Error ? ` (${error.message})` : '';
  return new LinkError(code, `${address}: ${text} (${systemCode})${said}`, { retry, cause: error });
}

type TlsCode = Extract<LinkErrorCode, `tls${string}`>;

/** undefined where TLS has no part in it. */
function tlsCode(systemCode: string, secured: boolean): TlsCode | undefined {
  const code = TLS_CODES[systemCode];
  if (code !== undefined) return code;
  if (TRUST.test(systemCode)) return 'tls_untrusted';
  if (!systemCode.startsWith('ERR_SSL_') && !systemCode.startsWith('ERR_TLS_')) return undefined;
  if (REFUSALS.test(systemCode)) return 'tls_refused';
  // Behind the handshake it is a damaged stream, as a wrong CRC would be without TLS.
  return !secured && NOT_TLS.test(systemCode) ? 'tls_plain' : 'tls';
}

const TLS_CODES: Readonly<Record<string, TlsCode>> = {
  CERT_HAS_EXPIRED: 'tls_expired',
  CERT_NOT_YET_VALID: 'tls_expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'tls_name',
};

/** OpenSSL's words for a certificate that doesn't lead to one that is trusted. */
const TRUST = /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|CRL_|INVALID_CA|INVALID_PURPOSE|PATH_)/;
const REFUSALS = /ALERT_(BAD_CERT|CERT|UNKNOWN_CA|UNSUPPORTED_CERT|ACCESS|PROTOCOL|HANDSHAKE_FAIL)/;
const NOT_TLS = /(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|UNEXPECTED_MESSAGE|HTTP)/;

const TLS_ADVICE: Readonly<Record<TlsCode, { retry: Retry; text: string }>> = {
  tls: {
    retry: 'transient',
    text: 'TLS broke off; the bytes were damaged on the way, or somebody changed them',
  },
  tls_plain: {
    retry: 'permanent',
    text: 'what listens there speaks no TLS, and here it is switched on: switch it on at the server (HOLDFAST_TLS_CERT_FILE, HOLDFAST_TLS_KEY_FILE), or see whether this is its address',
  },
  tls_untrusted: {
    retry: 'permanent',
    text: "the server's certificate leads to no CA that is trusted here, so nothing was sent to it; give the CA that has signed it (tls.ca, HOLDFAST_TLS_CA_FILE), and see that this is your server",
  },
  tls_expired: {
    retry: 'permanent',
    text: "the server's certificate is not valid today: renew it, or set the clock of this machine right",
  },
  tls_name: {
    retry: 'permanent',
    text: "the server's certificate is for another name; dial it by a name that is in there, or say by which it goes (tls.servername, HOLDFAST_TLS_SERVERNAME), and see that this is your server",
  },
  tls_refused: {
    retry: 'permanent',
    text: "the server refuses our TLS handshake: see to our certificate (tls.cert, HOLDFAST_TLS_CERT_FILE), and to the server's log",
  },
  tls_files: {
    retry: 'permanent',
    text: 'the files for TLS can not be used, so nothing was dialled; mend them, they are read again with each dial',
  },
};

/** What TLS is to be done with can't be read, or is no certificate and key. */
export function tlsFilesError(error: unknown, address: string): LinkError {
  const { retry, text } = TLS_ADVICE.tls_files;
  const why = error instanceof Error ? error.message : String(error);
  return new LinkError('tls_files', `${address}: ${text} (${why})`, { retry, cause: error });
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
    'its server is away; or the server has no room, is none of ours, or speaks no TLS 1.3 with us',
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
    'server is away, the way is cut or very long, this is no server of ours, or it speaks TLS and ' +
    'this end does not (the option tls, HOLDFAST_TLS), or the other way round',
  welcome:
    'the server does not answer our HELLO: it or its store hangs, or the way is cut or very slow',
};

/** The server's BYE as the reason why this connection ended; without our HELLO it is not about the token. */
export function byeError(bye: Bye, saidHello = true): LinkError {
  const said = bye.text === '' ? '' : `. It said: ${JSON.stringify(bye.text)}`;
  const advice =
    bye.reason === 'unauthorized' && !saidHello ? CERTIFICATE_ADVICE : BYE_ADVICE[bye.reason];
  return new LinkError(`bye_${bye.reason}`, `the server said goodbye: ${advice.text}${said}`, {
    retry: advice.retry,
    retryAfterMs: bye.retryAfterMs,
  });
}

const CERTIFICATE_ADVICE: { readonly retry: Retry; readonly text: string } = {
  retry: 'permanent',
  text: 'it wants a client certificate of a CA that it trusts, and ours is not, or has expired, or there is none; see tls.cert and tls.key (HOLDFAST_TLS_CERT_FILE and HOLDFAST_TLS_KEY_FILE) here, and the log there',
};

const BYE_ADVICE: Readonly<Record<ByeReason, { retry: Retry; text: string }>> = {
  shutdown: { retry: 'transient', text: 'it is stopping' },
  in_use: {
    retry: 'transient',
    text: 'another collector with the same id is connected; if that is a clone, give one a new id',
  },
  unauthorized: {
    retry: 'permanent',
    text: 'it does not accept our token; give both sides the same one (the option token; of the programs HOLDFAST_TOKEN, or the file that HOLDFAST_TOKEN_FILE names)',
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
