/** What is wrong with the link, in words that somebody who runs it can act on. */
import { describe, expect, test } from 'vitest';
import {
  byeError,
  closedError,
  deadlineError,
  protocolLinkError,
  socketError,
  tlsError,
} from '#collector/producer/link-error.ts';
import { ProtocolError } from '#protocol/errors.ts';
import { BYE_REASONS, type ByeReason } from '#protocol/messages.ts';

function failure(code: string): Error {
  return Object.assign(new Error(`connect ${code}`), { code });
}

test.each([
  ['ENOTFOUND', 'dns', 'check the name'],
  ['EAI_AGAIN', 'dns', 'check the name'],
  ['ECONNREFUSED', 'refused', 'is the server running'],
  ['EHOSTUNREACH', 'unreachable', 'check the network'],
  ['ETIMEDOUT', 'unreachable', 'check the network'],
  ['ECONNRESET', 'reset', 'was reset'],
  ['EMFILE', 'socket', 'failed'],
])('%s is %s: names the address, the system error and what to look at', (system, code, words) => {
  const error = socketError(failure(system), 'server:9000');
  expect(error).toMatchObject({ code, retry: 'transient' });
  expect(error.message).toMatch(/^server:9000: /);
  expect(error.message).toContain(words);
  expect(error.message).toContain(system);
});

test('of several addresses that failed one is named', () => {
  const error = socketError(new AggregateError([failure('ECONNREFUSED')]), 'server:9000');
  expect(error.code).toBe('refused');
});

describe('with TLS', () => {
  test.each([
    ['SELF_SIGNED_CERT_IN_CHAIN', 'tls_untrusted', 'HOLDFAST_TLS_CA_FILE'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'tls_untrusted', 'nothing was sent to it'],
    ['CERT_SIGNATURE_FAILURE', 'tls_untrusted', 'see that this is your server'],
    ['CERT_NOT_YET_VALID', 'tls_expired', 'the clock of this machine'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls_name', 'HOLDFAST_TLS_SERVERNAME'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'tls_plain', 'speaks no TLS'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'tls_refused', 'HOLDFAST_TLS_CERT_FILE'],
    ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'tls_refused', "the server's log"],
  ])('%s is %s, permanent, with what to do', (system, code, words) => {
    const error = tlsError(failure(system), 'server:9000', false);
    expect(error).toMatchObject({ code, retry: 'permanent' });
    expect(error?.message).toMatch(/^server:9000: /);
    expect(error?.message).toContain(words);
  });

  test.each(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_BAD_RECORD_TYPE'])(
    '%s behind the handshake is damage on the way, and passes',
    (system) => {
      const error = tlsError(failure(system), 'server:9000', true);
      expect(error).toMatchObject({ code: 'tls', retry: 'transient' });
    },
  );

  test('the network says what it says without it', () => {
    expect(tlsError(failure('ECONNREFUSED'), 'server:9000', false)?.code).toBe('refused');
    expect(tlsError(failure('ECONNRESET'), 'server:9000', true)?.code).toBe('reset');
  });

  test('a reset before it is up is a close: what that means is told by how far the link was', () => {
    expect(tlsError(failure('ECONNRESET'), 'server:9000', false)).toBeUndefined();
  });
});

describe('a BYE', () => {
  const permanent: readonly ByeReason[] = ['unauthorized', 'version', 'bad_collector'];

  test.each(Object.keys(BYE_REASONS) as ByeReason[])('%s says what the server said', (reason) => {
    const error = byeError({ kind: 'bye', reason, retryAfterMs: 5, text: 'why "so"' });
    expect(error.code).toBe(`bye_${reason}`);
    expect(error.retryAfterMs).toBe(5);
    expect(error.retry).toBe(permanent.includes(reason) ? 'permanent' : 'transient');
    expect(error.message).toContain('the server said goodbye: ');
    expect(error.message).toContain('"why \\"so\\""');
  });

  test.each([
    ['unauthorized', 'give both sides the same one'],
    ['version', 'upgrade the older side'],
    ['bad_collector', 'configure another one'],
    ['in_use', 'give one a new id'],
    ['store_unavailable', "look at the server's log and its disk"],
  ] as const)('%s says what to do', (reason, words) => {
    expect(byeError({ kind: 'bye', reason, retryAfterMs: 0, text: '' }).message).toContain(words);
  });
});

test('a close and a silence say how far the link was', () => {
  expect(closedError('greeting').message).toContain('its server is away');
  expect(closedError(undefined).message).toContain('was closed by the other side');
  expect(deadlineError('dialing', 5_000).message).toContain('a firewall drops it');
  expect(deadlineError('greeting', 5_000).message).toContain('its server is away');
  expect(deadlineError('welcome', 5_000.4).message).toMatch(/or its store hangs.*waited 5000 ms/);
});

test('what is no protocol of ours may be damage or another server', () => {
  const error = protocolLinkError(new ProtocolError('magic', 'a message begins with 5, not 1234'));
  expect(error).toMatchObject({ code: 'protocol', retry: 'transient' });
  expect(error.message).toContain('no server of ours');
});

test('what is said of a wrong token names the option of the library and the variable of the programs', () => {
  const { message } = byeError({ kind: 'bye', reason: 'unauthorized', retryAfterMs: 0, text: '' });
  expect(message).toContain('the option token');
  expect(message).toContain('HOLDFAST_TOKEN_FILE');
});
