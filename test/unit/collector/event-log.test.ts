/** What the log says, how loud, and that an outage of days doesn't fill it. */
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { EventLog } from '#collector/event-log.ts';
import { LinkError } from '#collector/producer/link-error.ts';
import type { SenderState } from '#collector/producer/sender-state.ts';
import { Throttle } from '#collector/throttle.ts';

interface Line {
  readonly level: string;
  readonly event: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

function start(level = 'info') {
  const lines: Line[] = [];
  const logger = pino(
    { level, formatters: { level: (level) => ({ level }) } },
    { write: (line: string) => lines.push(JSON.parse(line)) },
  );
  const clock = { nowMs: 0 };
  return { lines, clock, log: new EventLog(logger, () => clock.nowMs) };
}

const FROM: SenderState = { name: 'Recovering', since: 0, phase: 'dialing', deadline: 1 };
const READY: SenderState = { name: 'Ready', since: 0 };
const REFUSED = new LinkError('refused', 'nothing listens there');
const UNAUTHORIZED = new LinkError('unauthorized', 'the token differs', { retry: 'permanent' });

function backoff(attempt: number, nowMs: number, error = REFUSED): SenderState {
  return { name: 'Backoff', since: nowMs, until: nowMs + 250, attempt, error };
}

describe('the log of the link', () => {
  test('says the first failure with its class and the next dial, and the return', () => {
    const { log, lines } = start();
    log.onProducer({ type: 'state', from: FROM, to: backoff(1, 0) });
    log.onProducer({ type: 'state', from: FROM, to: READY });
    expect(lines).toMatchObject([
      {
        level: 'warn',
        event: 'link_backoff',
        code: 'refused',
        retry: 'transient',
        attempt: 1,
        retry_in_ms: 250,
      },
      { level: 'info', event: 'link_ready' },
    ]);
  });

  test('an outage of an hour, dialled each second, takes about a line a minute', () => {
    const { log, lines, clock } = start();
    for (let attempt = 1; attempt <= 3_600; attempt += 1) {
      clock.nowMs = attempt * 1_000;
      log.onProducer({ type: 'state', from: FROM, to: backoff(attempt, clock.nowMs) });
    }
    expect(lines.slice(0, 5).map(({ attempt }) => attempt)).toEqual([1, 2, 4, 8, 16]);
    expect(lines.length).toBeLessThan(75);
    const last = Number(lines.at(-1)?.attempt);
    expect(last).toBeGreaterThan(3_540);
  });

  test('a new reason is said at once, and one that needs a hand as an error', () => {
    const { log, lines } = start();
    for (const attempt of [1, 2, 3]) {
      log.onProducer({ type: 'state', from: FROM, to: backoff(attempt, 0) });
    }
    log.onProducer({ type: 'state', from: FROM, to: backoff(5, 0, UNAUTHORIZED) });
    expect(lines.map(({ level, code }) => [level, code])).toEqual([
      ['warn', 'refused'],
      ['warn', 'refused'],
      ['error', 'unauthorized'],
    ]);
  });
});

describe('the log of the data', () => {
  test('frames that were given up are an error with their range and reason', () => {
    const { log, lines } = start();
    const gap = { epoch: 'e', from: 3, to: 9, reason: 'evicted' } as const;
    log.onProducer({ type: 'gap', gap });
    expect(lines).toMatchObject([{ level: 'error', event: 'frames_declared', ...gap, frames: 7 }]);
  });

  test('what a store has lost is an error that names it, once a minute for each epoch', () => {
    const { log, lines, clock } = start();
    const ranges = Array.from({ length: 20 }, (_, i) => ({ from: 2 * i + 1, to: 2 * i + 1 }));
    const loss = { reason: 'lost_after_ack', epoch: 'e', ranges, resent: 5, declared: 15 } as const;
    for (let i = 0; i < 3; i += 1) log.onProducer({ type: 'store_lost', loss });
    const elsewhere = { ...loss, epoch: 'f', reason: 'settled_elsewhere' } as const;
    log.onProducer({ type: 'store_lost', loss: elsewhere });
    clock.nowMs += 60_000;
    log.onProducer({ type: 'store_lost', loss });
    expect(lines).toMatchObject([
      { level: 'error', event: 'store_lost', epoch: 'e', resent: 5, declared: 15, omitted: 0 },
      { level: 'error', event: 'store_lost', epoch: 'f', reason: 'settled_elsewhere' },
      { level: 'error', epoch: 'e', omitted: 2, ranges: ranges.slice(0, 16), ranges_omitted: 4 },
    ]);
  });

  test('at level debug each frame is told with the digest of its bytes, else not at all', () => {
    const [quiet, loud] = [start(), start('debug')];
    for (const { log } of [quiet, loud]) {
      log.onAccepted({ epoch: 'e', seq: 9 }, Buffer.from('abc'), 1_000_001);
    }
    expect(quiet.lines).toEqual([]);
    expect(loud.lines).toMatchObject([
      {
        event: 'accepted',
        epoch: 'e',
        seq: 9,
        captured_at: '1970-01-01T00:00:01.000001Z',
        // SHA-256 of "abc", from FIPS 180-2.
        payload_sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
      },
    ]);
  });

  test('a flood of refused samples takes a line a minute that counts the others', () => {
    const { log, lines, clock } = start();
    for (let second = 0; second < 120; second += 1) {
      clock.nowMs = second * 1_000;
      log.onRefused(new Error('queue full'), 1_000_000);
    }
    expect(lines).toMatchObject([
      { level: 'error', event: 'sample_refused', omitted: 0 },
      { level: 'error', event: 'sample_refused', omitted: 59 },
    ]);
    expect(lines[0]?.captured_at).toBe('1970-01-01T00:00:01.000000Z');
  });

  test('what the opening of the queue found is told: waiting frames, damage, gaps', () => {
    const { log, lines } = start();
    log.onOpened('web-3', './queue', {
      segments: 2,
      frames: 5,
      tornBytes: 17,
      damage: [
        {
          file: 'segment-1.log',
          kind: 'damaged',
          setAsideAs: 'set-aside/segment-1.log',
          framesSaved: 4,
          bytesLost: 64,
          message: 'segment-1.log is damaged',
        },
      ],
      gaps: [{ epoch: 'e', from: 2, to: 2, reason: 'damaged' }],
    });
    expect(lines.map(({ level, event }) => [level, event])).toEqual([
      ['info', 'queue_opened'],
      ['error', 'queue_damage'],
      ['error', 'frames_declared'],
    ]);
    expect(lines[0]).toMatchObject({ collector: 'web-3', frames: 5, torn_bytes: 17 });
  });
});

test('a probe that fails and recovers by turns takes a pair of lines a minute', () => {
  const { log, lines, clock } = start();
  for (let second = 0; second < 120; second += 1) {
    clock.nowMs = second * 1_000;
    log.onSampler({ type: 'probe_failed', probe: 'disk', error: 'deadline of 80 ms passed' });
    log.onSampler({ type: 'probe_recovered', probe: 'disk' });
  }
  expect(lines.map(({ event, omitted }) => [event, omitted])).toEqual([
    ['probe_failed', 0],
    ['probe_recovered', undefined],
    ['probe_failed', 59],
    ['probe_recovered', undefined],
  ]);
});

test('a throttle lets one through per period and counts what it held back', () => {
  const throttle = new Throttle(1_000);
  const passed = [0, 10, 999, 1_000, 1_001, 5_000].map((nowMs) => throttle.pass(nowMs));
  expect(passed).toEqual([0, undefined, undefined, 2, undefined, 1]);
});

test('a full disk is told when it begins and when it ends, with what to do', () => {
  const { log, lines } = start();
  log.onProducer({ type: 'disk_full', full: true });
  log.onProducer({ type: 'disk_full', full: false });
  expect(lines).toMatchObject([
    { level: 'error', event: 'disk_full', msg: expect.stringContaining('Free some room') },
    { level: 'info', event: 'disk_has_room' },
  ]);
});
