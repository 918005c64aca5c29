/**
 * docs/producer.md names every option, error code, link error and event that there is, and its way
 * back after a failure works as it stands there. That its samples compile is in test/library.
 */
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { describe, expect, test, vi } from 'vitest';
import type { LinkErrorCode } from '#collector/producer/link-error.ts';
import { checkOptions } from '#collector/producer/options.ts';
import {
  PRODUCER_ERROR_CODES,
  Producer,
  type ProducerEvent,
  type QueueErrorCode,
} from '#collector/producer/producer.ts';
import { ModelledQueue } from './modelled-queue.ts';

const PAGE = readFileSync(new URL('../../../docs/producer.md', import.meta.url), 'utf8');
/** The first cells of the tables of one section: a name may stand in several. */
function firstCells(section: string): string {
  const [text = ''] = PAGE.split(`\n## ${section}\n`).slice(1);
  return text
    .split('\n## ', 1)
    .join()
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split('|')[1] ?? '')
    .join(' ');
}

/** By type, so that one that is added has to be here; `closed` is what users get for a closed queue. */
const QUEUE_CODES: Record<Exclude<QueueErrorCode, 'queue_closed'>, true> = {
  queue_in_use: true,
  queue_foreign: true,
  queue_open_failed: true,
  queue_full: true,
  disk_full: true,
  payload_too_large: true,
  queue_failed: true,
  queue_read_failed: true,
  collector_id_invalid: true,
};

const LINK_CODES: Record<LinkErrorCode, true> = {
  dns: true,
  refused: true,
  unreachable: true,
  reset: true,
  closed: true,
  socket: true,
  deadline: true,
  no_progress: true,
  protocol: true,
  version: true,
  unauthorized: true,
  renew: true,
  other_store: true,
  tls: true,
  tls_plain: true,
  tls_untrusted: true,
  tls_expired: true,
  tls_name: true,
  tls_refused: true,
  tls_files: true,
  bye_shutdown: true,
  bye_in_use: true,
  bye_unauthorized: true,
  bye_version: true,
  bye_protocol_error: true,
  bye_timeout: true,
  bye_overloaded: true,
  bye_superseded: true,
  bye_store_unavailable: true,
  bye_bad_collector: true,
  bye_renew: true,
};

const EVENTS: Record<ProducerEvent['type'], true> = {
  opened: true,
  open_failed: true,
  reopened: true,
  closed: true,
  listener_failed: true,
  state: true,
  gap: true,
  disk_full: true,
  stored: true,
  damage: true,
  store_lost: true,
  rejected: true,
  failed: true,
};

const OPTIONS = checkOptions({ server: 'host:1', token: 'x'.repeat(16), queuePath: 'queue' });

describe.each([
  ['error code', 'Errors', [...PRODUCER_ERROR_CODES, ...Object.keys(QUEUE_CODES)]],
  ['link error', 'Errors', Object.keys(LINK_CODES)],
  ['event', 'Events', Object.keys(EVENTS)],
  ['option', 'Tuning', Object.keys(OPTIONS)],
])('docs/producer.md tells of the %s', (_, section, names) => {
  test.each(names)('%s', (name) => {
    expect(firstCells(section)).toContain(`\`${name}\``);
  });
});

test('its sample for `reopen` takes up again what failed, at the opening and later', async () => {
  const sample = PAGE.split('```ts\n').find((part) => part.includes('reopenAfterFailures')) ?? '';
  const script = stripTypeScriptTypes(sample.slice(0, sample.indexOf('```')));
  const { reopenAfterFailures } = await import(
    `data:text/javascript,${encodeURIComponent(script)}`
  );
  const said = vi.spyOn(console, 'error').mockReturnValue();
  const queue = new ModelledQueue();
  queue.inUse = true;
  const options = { server: '127.0.0.1:1', token: 'x'.repeat(16), queuePath: 'modelled' };
  const producer = new Producer(options, queue.surroundings);
  reopenAfterFailures(producer, 1);
  // More than once: a failed attempt is followed by the next.
  await expect.poll(() => said.mock.calls.length).toBeGreaterThan(2);
  queue.inUse = false;
  await expect.poll(() => producer.status().lifecycle).toBe('open');
  const mend = queue.breakSyncs();
  await expect(producer.send('lost')).rejects.toMatchObject({ code: 'queue_failed' });
  mend();
  await expect.poll(() => producer.status().lifecycle).toBe('open');
  await producer.close();
  said.mockRestore();
});
