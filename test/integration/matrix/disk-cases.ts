/**
 * The cases of the matrix in which a disk fails: strace, attached to the program that runs, has calls
 * on one of its files fail or wait. A program ends itself over an I/O error; it lives through a disk
 * without room and through a slow one.
 */
import { expect } from 'vitest';
import { HEALS, lasting, type MatrixCase, oneConnection, suffer } from './cases.ts';

/** The last words of a program that ended over its disk. */
function lastWords(log: string, event: string): { msg: string } {
  const line = log.split('\n').find((text) => text.includes(`"event":"${event}"`));
  return JSON.parse(line ?? '{}');
}

export const DISK_CASES: readonly MatrixCase[] = [
  {
    name: '14-queue-sync-fails',
    what: 'a sync of the queue that fails, with a backlog and no link, costs nothing accepted',
    // The queue fails a moment after the cut.
    asks: { ...HEALS, queued_min: 200 },
    method: () => [
      suffer(
        'cut',
        {},
        {
          until: lasting(2, 400),
          method: [suffer('disk_error', { target: 'source', call: 'sync' })],
        },
      ),
    ],
    also: (_, log) => {
      expect(lastWords(log('source'), 'queue_failed').msg).toMatch(/EIO/);
    },
  },
  {
    name: '15-queue-write-fails',
    what: 'a write of the queue that fails under load costs nothing accepted',
    asks: { ...HEALS, queued_min: 0 },
    method: () => [suffer('disk_error', { target: 'source', call: 'write' })],
    also: (_, log) => {
      expect(lastWords(log('source'), 'queue_failed').msg).toMatch(/EIO/);
    },
  },
  {
    name: '16-queue-sync-slow',
    what: 'syncs of 300 ms neither end the connection nor silence it',
    asks: { ...HEALS, wire_duplicates_max: 0 },
    method: () => [
      suffer('slow_sync', { target: 'source', delay_ms: 300 }, { until: { seconds: 9 } }),
    ],
    also: oneConnection,
  },
  {
    name: '17-queue-disk-full',
    what: 'a disk without room for the queue: frames are refused, and it goes on where there is some',
    asks: { ...HEALS, wire_duplicates_max: 0 },
    method: () => [suffer('disk_full', { target: 'source' }, { until: { seconds: 3 } })],
    also: (seen) => {
      oneConnection(seen);
      expect(seen.exits).toEqual([]);
    },
  },
  {
    name: '18-store-sync-fails',
    what: "a sync of the store's log that fails: nothing is acked that is not stored",
    asks: { ...HEALS, queued_min: 0 },
    method: () => [suffer('disk_error', { target: 'server', call: 'sync' })],
    also: (_, log) => {
      expect(lastWords(log('server'), 'store_failed').msg).toMatch(/I\/O error/i);
    },
  },
  {
    name: '21-store-checkpoint-sync-fails',
    what: 'a sync of the database that fails: the log still has all that it was to bring there',
    asks: { ...HEALS, queued_min: 0 },
    method: () => [suffer('disk_error', { target: 'server', call: 'sync', file: 'database' })],
    also: (_, log) => {
      expect(lastWords(log('server'), 'store_failed').msg).toMatch(/I\/O error/i);
    },
  },
  {
    name: '22-store-disk-full',
    what: 'a disk without room for the store: nothing is acked, reading goes on, and it heals by itself',
    asks: { ...HEALS, queued_min: 0 },
    method: () => [suffer('disk_full', { target: 'server' }, { until: { seconds: 3 } })],
    also: (seen, log) => {
      expect(seen.exits).toEqual([]);
      expect(lastWords(log('server'), 'store_unavailable').msg).toMatch(/no room on the disk/);
      expect(lastWords(log('server'), 'store_writable').msg).toMatch(/takes commits again/);
    },
  },
];
