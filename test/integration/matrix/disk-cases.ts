/**
 * The cases of the matrix in which a disk fails: strace has one call on one file fail, or some of
 * them wait. Which call that is, is counted from the program's start: late enough that the pipeline
 * is in its stride by then, whatever the machine; a call that fails before the case expects it is an
 * end of the program that nobody ordered, and red.
 */
import { expect } from 'vitest';
import type { CallFault, TracedFile } from '../support/tracing.ts';
import { waitUntil } from '../support/wait.ts';
import { during, HEALS, lasting, type MatrixCase, oneConnection } from './cases.ts';
import { callFails, callsWait, cut, noRoom, type Target } from './faults.ts';
import type { Stage } from './stage.ts';

/** The first file of the queue, which takes well over a minute of the load. */
const SEGMENT = '/queue/segment-00000000000000000001.log';
const WAL = '/store/holdfast.db-wal';
const DATABASE = '/store/holdfast.db';
/** The database is synced once for each 8 MiB of log, a second or two of the load. */
const CHECKPOINT = 4;
/** Pages are written to the log by two calls each; the warm-up takes a tenth of these. */
const LOG_WRITES = 20_000;
/** Commits without room. Those that wait are told to come back, so they don't follow each other fast. */
const FULL_COMMITS = 12;
/** Frames share a commit on a busy machine, so it may come late; the warm-up takes 400 at most. */
const IN_STRIDE = 700;
/** How many calls ahead of the fault a case looks out for it. */
const AHEAD = 100;
/** The calls of the time in which a cut shows its effect, with some to spare. */
const CUT_CALLS = 600;
/** With one commit every 300 ms, nine seconds. */
const SLOW_CALLS = 30;
const SLOW_MS = 300;
/** Writes without room; the load makes about one for each frame. */
const FULL_CALLS = 100;

function failing(path: string, call: CallFault['call'], number = IN_STRIDE): TracedFile {
  return { path, fault: { call, from: number, to: number, how: { error: 'EIO' } } };
}

/** Until the call that goes wrong is about to come. */
async function nearing(stage: Stage, target: Target, ahead = AHEAD): Promise<void> {
  const tracing = stage.stack.tracing(target);
  const { call, from } = tracing.fault;
  await waitUntil(
    `${call} ${from} of the ${target} is near`,
    () => tracing.calls.begun >= from - ahead,
    { describe: () => tracing.calls },
  );
}

const suffered = async (): Promise<void> => undefined;

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
    faults: ['cut', 'call_fails_collector'],
    traced: { collector: failing(SEGMENT, 'fdatasync', IN_STRIDE + CUT_CALLS) },
    play: async (stage) => {
      await nearing(stage, 'collector', AHEAD + CUT_CALLS);
      await stage.suffer(cut(), async (began) => {
        await stage.suffer(callFails('collector'), suffered);
        await lasting(stage, 0)(began);
      });
    },
    also: (_, log) => {
      expect(lastWords(log('collector'), 'queue_failed').msg).toMatch(/EIO/);
    },
  },
  {
    name: '15-queue-write-fails',
    what: 'a write of the queue that fails under load costs nothing accepted',
    asks: { ...HEALS, queued_min: 0 },
    faults: ['call_fails_collector'],
    traced: { collector: failing(SEGMENT, 'write') },
    play: async (stage) => {
      await nearing(stage, 'collector');
      await stage.suffer(callFails('collector'), suffered);
    },
    also: (_, log) => {
      expect(lastWords(log('collector'), 'queue_failed').msg).toMatch(/EIO/);
    },
  },
  {
    name: '16-queue-sync-slow',
    what: 'syncs of 300 ms neither end the connection nor silence it',
    asks: { ...HEALS, wire_duplicates_max: 0 },
    faults: ['calls_wait_collector'],
    traced: {
      collector: {
        path: SEGMENT,
        fault: {
          call: 'fdatasync',
          from: IN_STRIDE,
          to: IN_STRIDE + SLOW_CALLS - 1,
          how: { delayMs: SLOW_MS },
        },
      },
    },
    play: async (stage) => {
      await nearing(stage, 'collector');
      await stage.suffer(callsWait('collector'), suffered);
    },
    also: (seen) => {
      oneConnection(seen);
      expect(new Set(during(seen).map(({ state }) => state))).toEqual(new Set(['Ready']));
    },
  },
  {
    name: '17-queue-disk-full',
    what: 'a disk without room for the queue refuses frames, ends nothing, and heals by itself',
    asks: { ...HEALS, wire_duplicates_max: 0 },
    faults: ['no_room_collector'],
    traced: {
      collector: {
        path: SEGMENT,
        fault: {
          call: 'write',
          from: IN_STRIDE,
          to: IN_STRIDE + FULL_CALLS - 1,
          how: { error: 'ENOSPC' },
        },
      },
    },
    play: async (stage) => {
      await nearing(stage, 'collector');
      await stage.suffer(noRoom('collector'), suffered);
    },
    also: (seen) => {
      oneConnection(seen);
      expect(seen.exits).toEqual([]);
    },
  },
  {
    name: '18-store-sync-fails',
    what: "a sync of the store's log that fails: nothing is acked that is not stored",
    asks: { ...HEALS, queued_min: 0 },
    faults: ['call_fails_server'],
    traced: { server: failing(WAL, 'fsync') },
    play: async (stage) => {
      await nearing(stage, 'server');
      await stage.suffer(callFails('server'), suffered);
    },
    also: (_, log) => {
      expect(lastWords(log('server'), 'store_failed').msg).toMatch(/I\/O error/i);
    },
  },
  {
    name: '21-store-checkpoint-sync-fails',
    what: 'a sync of the database that fails: the log still has all that it was to bring there',
    asks: { ...HEALS, queued_min: 0 },
    faults: ['call_fails_server'],
    traced: { server: failing(DATABASE, 'fsync', CHECKPOINT) },
    play: async (stage) => {
      await nearing(stage, 'server', 1);
      await stage.suffer(callFails('server'), suffered);
    },
    also: (_, log) => {
      expect(lastWords(log('server'), 'store_failed').msg).toMatch(/I\/O error/i);
    },
  },
  {
    name: '22-store-disk-full',
    what: 'a disk without room for the store: nothing is acked, reading goes on, and it heals by itself',
    asks: { ...HEALS, queued_min: 0 },
    faults: ['no_room_server'],
    traced: {
      server: {
        path: WAL,
        fault: {
          call: 'pwrite64',
          from: LOG_WRITES,
          to: LOG_WRITES + FULL_COMMITS - 1,
          how: { error: 'ENOSPC' },
        },
      },
    },
    play: async (stage) => {
      await nearing(stage, 'server', LOG_WRITES / 10);
      await stage.suffer(noRoom('server'), suffered);
    },
    also: (seen, log) => {
      expect(seen.exits).toEqual([]);
      expect(lastWords(log('server'), 'store_unavailable').msg).toMatch(/no room on the disk/);
      expect(lastWords(log('server'), 'store_writable').msg).toMatch(/takes commits again/);
    },
  },
];
