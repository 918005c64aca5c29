/**
 * How the sender asks the store for what it had settled: what HELLO names, what is asked for later,
 * what becomes of the answers, and that asking never stands in the way of what is pending.
 */
import { describe, expect, test } from 'vitest';
import type { HeldEpoch } from '#collector/producer/queue/queue.ts';
import { EPOCHS_PER_CONNECTION_MAX } from '#protocol/limits.ts';
import type { SettledEntry } from '#protocol/messages.ts';
import { EPOCH, epochNumber, frame, Rig } from './rig.ts';

function held(n: number, highest: number, onlyRemembered: boolean): HeldEpoch {
  return { epoch: epochNumber(n), lowest: 1, highest, predecessor: undefined, onlyRemembered };
}

/** Every other seq from `from` on is stored: as many ranges as an answer may have. */
function full(epochIndex: number, from: number): SettledEntry[] {
  return Array.from({ length: 64 }, (_, i) => {
    const seq = from + 2 * i;
    return { epochIndex, from: seq, to: seq, state: 'stored' as const, code: 0 };
  });
}

function reconnect(rig: Rig): void {
  rig.sender.onClosed(rig.connection, undefined, rig.now);
  rig.drain();
  if (rig.state.name === 'Backoff') rig.advance(rig.state.until - rig.now);
  rig.reconciled = [];
}

/** A rig with one epoch that is pending and two that are only remembered, in HELLO's hands. */
function rememberingRig(order: 'oldest' | 'live' = 'oldest'): Rig {
  const rig = new Rig(undefined, { order });
  rig.held = [held(1, 5, true), held(2, 6, true), held(3, 3, false)];
  rig.frames = [frame(epochNumber(3), 3)];
  rig.connect();
  rig.greet();
  return rig;
}

describe('epochs that are only remembered', () => {
  test('are not in HELLO, and are asked for once all that is pending has left', () => {
    const rig = rememberingRig();
    expect(rig.hello()).toMatchObject({ more: true, epochs: [{ epoch: epochNumber(3) }] });
    rig.welcome([{ epochIndex: 0, from: 1, to: 2, state: 'stored', code: 0 }]);
    const kinds = rig.peer.received.map(({ kind }) => kind).filter((kind) => kind !== 'ping');
    expect(kinds).toEqual(['hello', 'frames', 'epochs']);
    expect(rig.sent('epochs')).toMatchObject([
      { more: false, epochs: [{ epoch: epochNumber(1) }, { epoch: epochNumber(2) }] },
    ]);
    const entries = [{ epochIndex: 2, from: 1, to: 6, state: 'stored' as const, code: 0 }];
    rig.fromServer({ kind: 'settled', firstEpochIndex: 1, settled: entries });
    const { epochIndex: _, ...range } = entries[0] ?? { epochIndex: 0 };
    expect(rig.reconciled.slice(1)).toEqual([
      { epoch: epochNumber(1), within: { from: 1, to: 5 }, ranges: [] },
      { epoch: epochNumber(2), within: { from: 1, to: 6 }, ranges: [range] },
    ]);
  });

  test('are asked for once in the life of a process, and again when something was lost', () => {
    const rig = rememberingRig();
    rig.welcome();
    rig.fromServer({ kind: 'settled', firstEpochIndex: 1, settled: [] });
    reconnect(rig);
    rig.connect();
    rig.greet();
    expect(rig.hello().more).toBe(false);
    rig.welcome();
    expect(rig.sent('epochs')).toEqual([]);
    rig.sender.onStoreLost();
    rig.ack(0, 3, 3);
    expect(rig.sent('epochs')).toMatchObject([{ more: false, epochs: [{}, {}] }]);
    reconnect(rig);
    rig.connect();
    rig.greet();
    expect(rig.hello().more).toBe(true);
  });

  test.each([
    ['a dead link', false],
    ['a freeze, with a heartbeat that had come before it', true],
  ])(
    'are asked for again when the server was silent for long before its end showed: %s',
    (_, heartbeat) => {
      const rig = rememberingRig();
      rig.welcome();
      rig.fromServer({ kind: 'settled', firstEpochIndex: 1, settled: [] });
      // The clock goes on; nothing ticks in a process that is frozen.
      rig.now += 60_000;
      if (heartbeat) rig.fromServer({ kind: 'ping', id: 1, bytesReceived: 1, highest: undefined });
      reconnect(rig);
      rig.connect();
      rig.greet();
      expect(rig.hello().more).toBe(true);
      rig.welcome();
      expect(rig.sent('epochs')).toMatchObject([{ more: false, epochs: [{}, {}] }]);
    },
  );

  test('are asked for in each connection where frames drain live first', () => {
    const rig = rememberingRig('live');
    rig.welcome();
    rig.fromServer({ kind: 'settled', firstEpochIndex: 1, settled: [] });
    reconnect(rig);
    rig.connect();
    rig.greet();
    expect(rig.hello().more).toBe(true);
    rig.welcome();
    expect(rig.sent('epochs')).toMatchObject([{ more: false, epochs: [{}, {}] }]);
  });

  test('are still to be asked for when the connection ended before the answer', () => {
    const rig = rememberingRig();
    rig.welcome();
    expect(rig.sent('epochs')).toHaveLength(1);
    reconnect(rig);
    rig.connect();
    rig.greet();
    rig.welcome();
    expect(rig.sent('epochs')).toHaveLength(1);
  });

  test('wait while frames are to be sent', () => {
    const rig = new Rig();
    rig.held = [held(1, 5, true), held(2, 100, false)];
    rig.frames = Array.from({ length: 100 }, (_, i) => frame(epochNumber(2), i + 1, 1_000));
    rig.terms = { ...rig.terms, windowBytesMax: 10_000 };
    rig.ready();
    expect(rig.sent('epochs')).toEqual([]);
    for (let before = 0; rig.sentSeqs().length > before; ) {
      before = rig.sentSeqs().length;
      expect(rig.sent('epochs')).toHaveLength(before === 100 ? 1 : 0);
      rig.ack(0, 1, before);
    }
    expect(rig.sentSeqs()).toHaveLength(100);
  });

  test('are asked of the queue once at a time, however long it takes to answer', () => {
    const rig = rememberingRig();
    rig.answersHeld = false;
    rig.heldAsked = 0;
    rig.welcome();
    rig.ping();
    expect(rig.heldAsked).toBe(1);
    rig.answerHeld();
    expect(rig.sent('epochs')).toHaveLength(1);
    rig.fromServer({ kind: 'settled', firstEpochIndex: 1, settled: [] });
    expect(rig.heldAsked).toBe(2);
    rig.answerHeld();
    expect(rig.heldAsked).toBe(2);
  });

  test('come with what is settled of those that HELLO named from a later seq on', () => {
    const rig = new Rig();
    rig.held = [
      { ...held(1, 9, false), lowest: 10 },
      { ...held(2, 8, false), lowest: 6 },
    ];
    rig.frames = [frame(epochNumber(2), 8)];
    rig.ready();
    expect(rig.sent('epochs')).toMatchObject([
      {
        epochs: [
          { epoch: epochNumber(1), lowest: 1, highest: 9 },
          { epoch: epochNumber(2), lowest: 1, highest: 5 },
        ],
      },
    ]);
    rig.reconciled = [];
    rig.fromServer({ kind: 'settled', firstEpochIndex: 2, settled: [] });
    expect(rig.reconciled.map(({ within }) => within)).toEqual([
      { from: 1, to: 9 },
      { from: 1, to: 5 },
    ]);
    reconnect(rig);
    rig.ready();
    expect(rig.sent('epochs')).toEqual([]);
  });

  test('come in several messages when there are many', () => {
    const rig = new Rig();
    rig.held = [...Array.from({ length: 70 }, (_, i) => held(i + 1, 1, true)), held(99, 1, false)];
    rig.ready();
    expect(rig.sent('epochs').map(({ more, epochs }) => [more, epochs.length])).toEqual([
      [true, 64],
    ]);
    rig.fromServer({ kind: 'settled', firstEpochIndex: 1, settled: [] });
    expect(rig.sent('epochs').map(({ more, epochs }) => [more, epochs.length])).toEqual([
      [true, 64],
      [false, 6],
    ]);
  });
});

describe('an answer', () => {
  test('of fewer than 64 ranges speaks of all that was announced', () => {
    const rig = new Rig();
    rig.held = [held(1, 500, false), held(2, 9, false)];
    rig.connect();
    rig.greet();
    rig.welcome(full(0, 1).slice(0, 63));
    expect(rig.reconciled.map(({ within }) => within)).toEqual([
      { from: 1, to: 500 },
      { from: 1, to: 9 },
    ]);
    expect(rig.sent('epochs')).toEqual([]);
  });

  test('of 64 ranges says nothing behind the last one, and the rest is asked for', () => {
    const rig = new Rig();
    rig.held = [held(1, 4, false), held(2, 500, false), held(3, 9, false)];
    rig.connect();
    rig.greet();
    rig.welcome(full(1, 1));
    expect(rig.reconciled).toMatchObject([
      { epoch: epochNumber(1), within: { from: 1, to: 4 }, ranges: [] },
      { epoch: epochNumber(2), within: { from: 1, to: 127 } },
    ]);
    expect(rig.sent('epochs')).toMatchObject([
      {
        more: true,
        epochs: [
          { epoch: epochNumber(2), lowest: 128, highest: 500 },
          { epoch: epochNumber(3), lowest: 1, highest: 9 },
        ],
      },
    ]);
    rig.reconciled = [];
    rig.fromServer({
      kind: 'settled',
      firstEpochIndex: 3,
      settled: [{ epochIndex: 3, from: 128, to: 400, state: 'stored', code: 0 }],
    });
    expect(rig.reconciled).toMatchObject([
      { epoch: epochNumber(2), within: { from: 128, to: 500 }, ranges: [{ from: 128, to: 400 }] },
      { epoch: epochNumber(3), within: { from: 1, to: 9 }, ranges: [] },
    ]);
  });

  test('that leads nowhere is not asked for without end', () => {
    const rig = new Rig();
    rig.held = [held(1, 1_000_000, false)];
    rig.connect();
    rig.greet();
    rig.welcome(full(0, 1));
    let number = 1;
    for (let sent = 0; rig.sent('epochs').length > sent; ) {
      sent = rig.sent('epochs').length;
      rig.fromServer({ kind: 'settled', firstEpochIndex: number, settled: full(number, 1) });
      number += 1;
    }
    expect(number).toBeLessThanOrEqual(EPOCHS_PER_CONNECTION_MAX);
    expect(rig.state.name).toBe('Ready');
  });

  test('that a frame was refused is no loss, and the frame is sent again if it waits', () => {
    const rig = new Rig();
    rig.append(frame(EPOCH, 1));
    rig.connect();
    rig.greet();
    const refused = { from: 1, to: 1, state: 'rejected' as const, code: 3 };
    rig.welcome([{ epochIndex: 0, ...refused }]);
    expect(rig.reconciled).toMatchObject([{ epoch: EPOCH, ranges: [refused] }]);
    expect(rig.sentSeqs()).toEqual([1]);
  });
});

describe('what the store has lost', () => {
  test('is read and sent again, once, behind what is in flight', () => {
    const rig = new Rig();
    rig.append(...[1, 2, 3, 4].map((seq) => frame(EPOCH, seq)));
    rig.ready();
    rig.ack(0, 1, 1);
    rig.ack(0, 2, 4);
    rig.append(frame(EPOCH, 5));
    expect(rig.sentSeqs()).toEqual([1, 2, 3, 4, 5]);
    rig.lose(EPOCH, [2, 3]);
    rig.append(frame(EPOCH, 6));
    expect(rig.sentSeqs()).toEqual([1, 2, 3, 4, 5]);
    rig.ack(0, 5, 5);
    expect(rig.sentSeqs()).toEqual([1, 2, 3, 4, 5, 2, 3, 6]);
    expect(rig.sender.counters.resent).toBe(0);
  });

  test('is told as gaps where it is gone', () => {
    const rig = new Rig();
    rig.append(frame(EPOCH, 1));
    rig.ready();
    rig.ack(0, 1, 1);
    rig.gaps = [{ epoch: EPOCH, from: 1, to: 1, reason: 'lost_after_ack' }];
    rig.lose(EPOCH, []);
    expect(rig.sent('gap')).toMatchObject([{ gaps: [{ from: 1, reason: 'lost_after_ack' }] }]);
  });
});
