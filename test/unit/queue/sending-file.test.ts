/** The word that a producer leaves of how sending goes: it comes back, and harms nothing. */
import { describe, expect, test } from 'vitest';
import { loadSending, type Sending } from '#collector/producer/queue/sending-file.ts';
import { ModelledFiles, noSpace } from './modelled-files.ts';
import { appendFrames, openCore, readAll } from './support.ts';

const SENDING: Sending = {
  at: 1_764_000_000_000_000,
  instance: '0192f6c4-0000-7000-8000-00000000cccc',
  state: 'Backoff',
  since: 1_763_999_999_000_000,
  attempt: 3,
  nextRetryAt: 1_764_000_001_000_000,
  lastError: { code: 'refused', message: 'nobody listens', at: 1_764_000_000_000_000 },
  tried: [{ epoch: '0192f6c4-0000-7000-8000-000000000001', from: 1, to: 7, tries: 2 }],
};

test('comes back as it was left, and without what does not apply', () => {
  const files = new ModelledFiles();
  const core = openCore(files);
  core.noteSending(SENDING);
  expect(loadSending(files)).toEqual(SENDING);
  const ready = { ...SENDING, state: 'Ready', nextRetryAt: undefined, lastError: undefined };
  core.noteSending({ ...ready, tried: [] });
  expect(loadSending(files)).toEqual({ ...ready, tried: [] });
  expect(files.names('sending')).toEqual(['sending']);
});

test('is never synced, and bounded', () => {
  const files = new ModelledFiles();
  const core = openCore(files);
  const [run] = SENDING.tried;
  if (run === undefined) throw new Error('no run');
  const before = files.calls.length;
  const tried = Array.from({ length: 500 }, (_, i) => ({ ...run, from: 2 * i + 1, to: 2 * i + 1 }));
  core.noteSending({ ...SENDING, tried });
  const called = files.calls.slice(before).map(({ operation }) => operation);
  expect(called).not.toContain('sync');
  expect(called).not.toContain('syncDirectory');
  expect(loadSending(files)?.tried).toHaveLength(64);
});

describe('no error of its file harms the queue', () => {
  const errors = [noSpace('sending'), Object.assign(new Error('EIO'), { code: 'EIO' })];
  test.each(errors)('%s', (error) => {
    for (const operation of ['size', 'create', 'write', 'close', 'rename', 'unlink']) {
      const files = new ModelledFiles();
      const core = openCore(files);
      appendFrames(core, 1, 5);
      core.noteSending(SENDING);
      files.before = (call) => {
        const isIts = call.path.startsWith('sending');
        if (call.operation === operation && isIts) throw error;
      };
      core.noteSending({ ...SENDING, attempt: 4 });
      files.before = () => {};
      expect(core.failure).toBeUndefined();
      expect(core.stats.diskFull).toBe(false);
      appendFrames(core, 6, 7);
      core.noteSending({ ...SENDING, attempt: 5 });
      expect(loadSending(files)?.attempt).toBe(5);
      const again = openCore(files.afterKill());
      expect(again.recovery).toMatchObject({ damage: [], frames: 7 });
      expect(readAll(again)).toHaveLength(7);
    }
  });

  test('one that is torn, foreign or of a newer version says nothing', () => {
    const files = new ModelledFiles();
    openCore(files).noteSending(SENDING);
    const whole = files.content('sending');
    const others = [
      whole.subarray(0, 40),
      Buffer.from('hello'),
      Buffer.from(whole.toString().replace('sending 1 ', 'sending 2 ')),
      Buffer.alloc(0),
    ];
    for (const other of others) {
      files.edit('sending', () => Buffer.from(other));
      expect(loadSending(files)).toBeUndefined();
      expect(openCore(files.afterKill()).recovery.damage).toEqual([]);
    }
  });
});
