/** What is wrong with the link, in words that somebody who runs it can act on. */
import { describe, expect, test } from 'vitest';
import {
  byeError,
  closedError,
  deadlineError,
  protocolLinkError,
  socketError,
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
