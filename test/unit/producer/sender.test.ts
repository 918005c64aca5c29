/**
 * The sender, step by step and by the clock: every state is left the right way, nothing but the
 * server's word settles a frame, and late or wrong input changes nothing.
 */
import { describe, expect, test } from 'vitest';
import { LinkError } from '#collector/producer/link-error.ts';
import {
  assertLegalStep,
  LEGAL_STEPS,
  type SenderState,
  stepOf,
} from '#collector/producer/sender-state.ts';
import { MessageWriter } from '#protocol/envelope.ts';
import type { ByeReason, Message } from '#protocol/messages.ts';
import { EPOCH, epochNumber, frame, Rig, STORE_ID } from './rig.ts';

/** So far apart are two dials at least. */
const DIAL_EVERY_MS = 20;
const HELD = {
  epoch: EPOCH,
  lowest: 1,
  highest: 9,
  predecessor: undefined,
  onlyRemembered: false,
};
const REFUSED = new LinkError('refused', 'nothing listens there');

const STATES: SenderState[] = [
  { name: 'Ready', since: 0 },
  { name: 'Backoff', since: 0, until: 1, attempt: 1, error: REFUSED },
  { name: 'Recovering', since: 0, phase: 'dialing', deadline: 1 },
  { name: 'Recovering', since: 0, phase: 'greeting', deadline: 1 },
  { name: 'Recovering', since: 0, phase: 'welcome', deadline: 1 },
  { name: 'Stopped', since: 0 },
];

describe('the table of steps', () => {
  const pairs = STATES.flatMap((from) => STATES.map((to) => [stepOf(from), stepOf(to), from, to]));

  test.each(pairs as [string, string, SenderState, SenderState][])(
    '%s -> %s',
    (_a, _b, from, to) => {
      const legal = stepOf(to) in LEGAL_STEPS[stepOf(from)];
      if (legal) expect(() => assertLegalStep(from, to)).not.toThrow();
      else expect(() => assertLegalStep(from, to)).toThrow('illegal step');
    },
  );
});

/** Brings a fresh sender to each state in which it waits for the server. */
const AT: Record<string, (rig: Rig) => void> = {
  'Recovering/dialing': () => undefined,
  'Recovering/greeting': (rig) => rig.connect(),
  'Recovering/welcome': (rig) => {
    rig.connect();
    rig.greet();
  },
  Ready: (rig) => rig.ready(),
};

function rigAt(step: string): Rig {
  const rig = new Rig();
  AT[step]?.(rig);
  expect(stepOf(rig.state)).toBe(step);
  return rig;
}

describe.each(Object.keys(AT))('a link lost in %s', (step) => {
  test('by a close goes to Backoff and dials again at once', () => {
    const rig = rigAt(step);
    const lost = rig.connection;
    rig.now += DIAL_EVERY_MS;
    rig.sender.onClosed(lost, undefined, rig.now);
    rig.drain();
    expect(rig.state).toMatchObject({ name: 'Backoff', attempt: 1, until: rig.now });
    rig.advance(0);
    expect(stepOf(rig.state)).toBe('Recovering/dialing');
    expect(rig.connection).toBe(lost + 1);
  });

  test('by an error keeps the error', () => {
    const rig = rigAt(step);
    rig.sender.onClosed(rig.connection, REFUSED, rig.now);
    expect(rig.state).toMatchObject({ name: 'Backoff', error: { code: 'refused' } });
  });

  test('by silence is noticed by a deadline', () => {
    const rig = rigAt(step);
    rig.advance(5_000);
    const code = step === 'Ready' ? 'no_progress' : 'deadline';
    expect(rig.lastLoss).toMatchObject({ error: { code, retry: 'transient' } });
  });

  test('by a stop is closed, and nothing follows', () => {
    const rig = rigAt(step);
    rig.sender.onStop(rig.now);
    rig.drain();
    expect(rig.state.name).toBe('Stopped');
    expect(rig.closed.has(rig.connection)).toBe(true);
    expect(rig.sender.nextDeadline).toBeUndefined();
    rig.advance(100_000);
    expect(rig.state.name).toBe('Stopped');
  });
});

const ILLEGAL: Record<string, Message[]> = {
  'Recovering/greeting': [
    { kind: 'ack', settled: [] },
    { kind: 'ping', id: 1, bytesReceived: 0, highest: undefined },
    { kind: 'epochs', more: false, epochs: [] },
  ],
  'Recovering/welcome': [
    { kind: 'ack', settled: [] },
    { kind: 'greeting', versions: [2], nonce: Buffer.alloc(32), storeId: EPOCH },
    { kind: 'reject', epochIndex: 0, seq: 1, code: 'crc', text: '' },
  ],
  Ready: [
    { kind: 'greeting', versions: [2], nonce: Buffer.alloc(32), storeId: EPOCH },
    { kind: 'gap', gaps: [] },
    { kind: 'settled', firstEpochIndex: 0, settled: [] },
    {
      kind: 'ack',
      settled: [{ epochIndex: 5, from: 1, to: 1, state: 'stored', code: 0 }],
    },
    { kind: 'reject', epochIndex: 5, seq: 1, code: 'crc', text: '' },
  ],
};

describe.each(Object.keys(ILLEGAL))('in %s', (step) => {
  test.each(ILLEGAL[step] ?? [])('the message $kind ends the connection', (message) => {
    const rig = rigAt(step);
    rig.fromServer(message);
    expect(rig.state).toMatchObject({ name: 'Backoff', error: { code: 'protocol' } });
    expect(rig.closed.has(rig.connection)).toBe(true);
  });

  test('damaged bytes end the connection', () => {
    const rig = rigAt(step);
    rig.sender.onBytes(rig.connection, Buffer.from('GET / HTTP/1.1\r\n\r\n'), rig.now);
    expect(rig.state).toMatchObject({ name: 'Backoff', error: { code: 'protocol' } });
  });
});

describe('events of an old connection', () => {
  const LATE: Record<string, (rig: Rig, old: number) => void> = {
    onConnected: ({ sender, now }, old) => sender.onConnected(old, now),
    'onClosed, with an error': ({ sender, now }, old) => sender.onClosed(old, REFUSED, now),
    'onClosed, without': ({ sender, now }, old) => sender.onClosed(old, undefined, now),
    'onBytes, rubbish': ({ sender, now }, old) => sender.onBytes(old, Buffer.from('rubbish'), now),
    'onBytes, a BYE': ({ sender, now }, old) => {
      const bye = { kind: 'bye', reason: 'unauthorized', retryAfterMs: 0, text: '' } as const;
      sender.onBytes(old, new MessageWriter().write(bye).bytes, now);
    },
    onHeld: ({ sender, now }, old) => sender.onHeld(old, [HELD], now),
    onFrames: ({ sender }, old) => sender.onFrames(old, [frame(EPOCH, 99)]),
    onGaps: ({ sender }, old) =>
      sender.onGaps(old, [{ epoch: EPOCH, from: 1, to: 2, reason: 'evicted' }]),
  };
  /** States in which a connection before has been lost. */
  const SINCE: Record<string, (rig: Rig) => void> = {
    ...AT,
    Backoff: (rig) => {
      rig.sender.onClosed(rig.connection, undefined, rig.now);
      rig.drain();
    },
    Stopped: (rig) => {
      rig.sender.onStop(rig.now);
      rig.drain();
    },
  };
  const cases = Object.keys(SINCE).flatMap((step) =>
    Object.keys(LATE).map((event) => [event, step] as const),
  );

  test.each(cases)('%s changes nothing in %s', (event, step) => {
    const rig = new Rig();
    rig.append(frame(EPOCH, 1));
    rig.ready();
    const first = rig.connection;
    rig.sender.onClosed(first, undefined, rig.now);
    rig.drain();
    rig.advance(DIAL_EVERY_MS);
    SINCE[step]?.(rig);
    // Backoff and Stopped have no connection: there the newest is an old one as well.
    const old = step === 'Backoff' || step === 'Stopped' ? [first, rig.connection] : [first];
    const { state, settled, log } = rig;
    const before = { deadline: rig.sender.nextDeadline, ...rig.sender.counters };
    const [logged, received] = [log.length, rig.peer.received.length];
    for (const connection of old) LATE[event]?.(rig, connection);
    rig.drain();
    expect(stepOf(state)).toBe(step);
    expect(rig.state).toBe(state);
    expect({ deadline: rig.sender.nextDeadline, ...rig.sender.counters }).toEqual(before);
    expect(log.length).toBe(logged);
    expect(rig.peer.received.length).toBe(received);
    expect(settled).toEqual([]);
  });

  test('a late or repeated tick changes nothing', () => {
    const rig = rigAt('Ready');
    const before = rig.state;
    for (let i = 0; i < 5; i += 1) rig.sender.onTick(rig.now);
    expect(rig.state).toBe(before);
  });
});

describe('delivery', () => {
  test('frames leave oldest first, and only an ack settles them', () => {
    const rig = new Rig();
    rig.append(...[1, 2, 3].map((seq) => frame(EPOCH, seq)));
    rig.ready();
    expect(rig.hello().epochs).toMatchObject([{ epoch: EPOCH, lowest: 1, highest: 3 }]);
    expect(rig.sentSeqs()).toEqual([1, 2, 3]);
    expect(rig.settled).toEqual([]);
    rig.ack(0, 1, 2);
    expect(rig.settled).toEqual([
      { epoch: EPOCH, ranges: [{ from: 1, to: 2, state: 'stored', code: 0 }] },
    ]);
  });

  test('what WELCOME names as settled is not sent', () => {
    const rig = new Rig();
    rig.append(...[1, 2, 3, 4].map((seq) => frame(EPOCH, seq)));
    rig.connect();
    rig.greet();
    rig.welcome([{ epochIndex: 0, from: 2, to: 3, state: 'stored', code: 0 }]);
    expect(rig.sentSeqs()).toEqual([1, 4]);
  });

  test('a frame that is appended while Ready leaves at once', () => {
    const rig = new Rig();
    rig.append(frame(EPOCH, 1));
    rig.ready();
    rig.append(frame(EPOCH, 2));
    expect(rig.sentSeqs()).toEqual([1, 2]);
  });

  test('small frames wait and share a message while what left before is late, and only then', () => {
    const rig = new Rig();
    rig.append(frame(EPOCH, 1));
    rig.ready();
    rig.now += 2;
    rig.ack(0, 1, 1);
    rig.append(frame(EPOCH, 2));
    rig.now += 5;
    rig.append(frame(EPOCH, 3));
    expect(rig.sent('frames').map(({ frames }) => frames.length)).toEqual([1, 1, 1]);
    rig.now += 100;
    for (const seq of [4, 5, 6]) rig.append(frame(EPOCH, seq));
    expect(rig.sent('frames').length).toBe(3);
    rig.ack(0, 2, 3);
    expect(rig.sent('frames').map(({ frames }) => frames.length)).toEqual([1, 1, 1, 3]);
  });

  test('after a loss what was not acked is sent again, and counted', () => {
    const rig = new Rig();
    rig.append(...[1, 2, 3].map((seq) => frame(EPOCH, seq)));
    rig.ready();
    rig.ack(0, 1, 1);
    rig.sender.onClosed(rig.connection, undefined, rig.now);
    rig.ready();
    expect(rig.sentSeqs()).toEqual([2, 3]);
    expect(rig.sender.counters).toEqual({ connections: 2, resent: 2 });
  });

  test('an epoch that began after HELLO is announced, and used only once it is answered', () => {
    const rig = rigAt('Ready');
    rig.append(frame(EPOCH, 1));
    expect(rig.sent('epochs')).toMatchObject([{ epochs: [{ epoch: EPOCH }], more: false }]);
    expect(rig.sentSeqs()).toEqual([]);
    rig.fromServer({ kind: 'settled', firstEpochIndex: 0, settled: [] });
    expect(rig.sentSeqs()).toEqual([1]);
  });

  test('more than 64 epochs are announced as the earlier ones are read', () => {
    const rig = new Rig();
    rig.append(...Array.from({ length: 130 }, (_, i) => frame(epochNumber(i + 1), 1, 50)));
    rig.connect();
    rig.greet();
    expect(rig.hello()).toMatchObject({ more: true, epochs: { length: 64 } });
    rig.welcome();
    expect(rig.sent('frames').length).toBe(64);
    expect(rig.sent('epochs')).toMatchObject([{ more: true, epochs: { length: 64 } }]);
    rig.fromServer({ kind: 'settled', firstEpochIndex: 64, settled: [] });
    rig.fromServer({ kind: 'settled', firstEpochIndex: 128, settled: [] });
    expect(rig.sent('epochs').at(-1)).toMatchObject({ more: false, epochs: { length: 2 } });
    expect(rig.sent('frames').length).toBe(130);
    expect(new Set(rig.sent('frames').map(({ epochIndex }) => epochIndex)).size).toBe(130);
  });

  test('gaps are told once a connection, and settled by the ack', () => {
    const rig = new Rig();
    rig.append(frame(EPOCH, 9));
    rig.gaps = [{ epoch: EPOCH, from: 1, to: 8, reason: 'evicted' }];
    rig.ready();
    rig.sender.onGapsChanged();
    rig.drain();
    expect(rig.sent('gap')).toEqual([
      { kind: 'gap', gaps: [{ epochIndex: 0, from: 1, to: 8, reason: 'evicted' }] },
    ]);
    rig.fromServer({
      kind: 'ack',
      settled: [{ epochIndex: 0, from: 1, to: 8, state: 'declared', code: 1 }],
    });
    expect(rig.settled.at(-1)).toMatchObject({ ranges: [{ from: 1, to: 8, state: 'declared' }] });
  });

  test('a refused frame is handed out to be kept, and does not block the next', () => {
    const rig = new Rig();
    rig.append(frame(EPOCH, 1), frame(EPOCH, 2));
    rig.ready();
    rig.fromServer({ kind: 'reject', epochIndex: 0, seq: 1, code: 'too_large', text: 'no' });
    const range = { from: 1, to: 1, state: 'rejected', code: 2 };
    expect(rig.log.at(-1)).toEqual({
      type: 'reject',
      storeId: STORE_ID,
      epoch: EPOCH,
      range,
      text: 'no',
    });
    expect(rig.settled).toEqual([]);
    rig.ack(0, 2, 2);
    rig.append(frame(EPOCH, 3));
    expect(rig.sentSeqs()).toEqual([1, 2, 3]);
    expect(rig.state.name).toBe('Ready');
  });

  test('another store than before: the queue hears of it first, then all is announced anew', () => {
    const other = STORE_ID.replace('aa', 'cc');
    const rig = new Rig();
    rig.append(frame(EPOCH, 1), frame(EPOCH, 2));
    rig.ready();
    rig.ack(0, 1, 1);
    rig.sender.onClosed(rig.connection, undefined, rig.now);
    rig.drain();
    rig.advance(DIAL_EVERY_MS);
    rig.connect();
    rig.greet(undefined, other);
    rig.welcome();
    expect(rig.settled.at(-1)).toEqual({ epoch: EPOCH, ranges: [] });
    expect(rig.sentSeqs()).toEqual([]);
    expect(rig.lastLoss).toMatchObject({ error: { code: 'other_store', retry: 'transient' } });
    rig.advance(1_000);
    rig.connect();
    rig.greet(undefined, other);
    rig.welcome();
    expect(rig.state.name).toBe('Ready');
    expect(rig.sentSeqs()).toEqual([2]);
  });

  test('a refusal in WELCOME does not keep a frame that waits from being sent, and refused or stored', () => {
    const rig = new Rig();
    rig.append(frame(EPOCH, 1), frame(EPOCH, 2));
    rig.connect();
    rig.greet();
    rig.welcome([{ epochIndex: 0, from: 1, to: 1, state: 'rejected', code: 2 }]);
    expect(rig.settled).toEqual([]);
    expect(rig.sentSeqs()).toEqual([1, 2]);
    rig.fromServer({ kind: 'reject', epochIndex: 0, seq: 1, code: 'too_large', text: 'no' });
    expect(rig.log.at(-1)).toMatchObject({ type: 'reject', range: { from: 1, to: 1, code: 2 } });
    rig.ack(0, 2, 2);
    expect(rig.settled).toMatchObject([{ ranges: [{ from: 2, to: 2, state: 'stored' }] }]);
  });

  test('never more is in flight than the server allows', () => {
    const rig = new Rig();
    rig.terms = { ...rig.terms, windowBytesMax: 10_000 };
    rig.append(...Array.from({ length: 100 }, (_, i) => frame(EPOCH, i + 1, 1_000)));
    rig.ready();
    const first = rig.sentSeqs().length;
    expect(first * 1_000).toBeLessThanOrEqual(10_000);
    rig.ack(0, 1, 1);
    rig.now += 10;
    rig.ack(0, 1, first);
    expect(rig.sentSeqs().length * 1_000).toBeLessThanOrEqual(first * 1_000 + 10_000);
  });

  test.each([1_200, 2_000, 5_000, 30_000])(
    'connections that break after %i bytes bring a backlog over, at half of that or better',
    (limitBytes) => {
      const rig = new Rig();
      const frames = 200;
      rig.append(...Array.from({ length: frames }, (_, i) => frame(EPOCH, i + 1, 1_000)));
      let connections = 0;
      for (let next = 1; next <= frames; connections += 1) {
        rig.ready();
        const first = next;
        let room = limitBytes;
        for (const message of rig.sent('frames')) {
          room -= message.frames.reduce((sum, { payload }) => sum + payload.length + 12, 0);
          if (room < 0) break;
          next = (message.frames.at(-1)?.seq ?? 0) + 1;
        }
        expect(next, 'a connection that brought nothing').toBeGreaterThan(first);
        rig.ack(0, first, next - 1);
        rig.sender.onClosed(rig.connection, undefined, rig.now);
        rig.drain();
      }
      const fewest = (frames * 1_012) / limitBytes;
      expect(connections).toBeLessThanOrEqual(2 * fewest + 1);
    },
  );

  test('a frame larger than the window leaves alone', () => {
    const rig = new Rig();
    rig.terms = { ...rig.terms, windowBytesMax: 10_000 };
    rig.append(frame(EPOCH, 1, 500_000), frame(EPOCH, 2, 500_000));
    rig.ready();
    expect(rig.sentSeqs()).toEqual([1]);
    rig.ack(0, 1, 1);
    expect(rig.sentSeqs()).toEqual([1, 2]);
  });
});

describe('progress', () => {
  /** Seconds of a link on which the server sees what the function says. */
  function live(rig: Rig, seconds: number, seen: () => number): void {
    const { connection } = rig;
    for (let i = 0; i < seconds * 2 && rig.connection === connection; i += 1) {
      rig.advance(500);
      if (rig.state.name === 'Ready') rig.ping(seen());
    }
  }

  test('an idle link stays Ready as long as heartbeats pass', () => {
    const rig = rigAt('Ready');
    live(rig, 120, () => rig.peer.bytesReceived);
    expect(rig.state.name).toBe('Ready');
  });

  test('a link that is dead towards the server alone is noticed within 5 s', () => {
    const rig = rigAt('Ready');
    live(rig, 3, () => rig.peer.bytesReceived);
    const cutAt = rig.now;
    const stuck = rig.peer.bytesReceived;
    live(rig, 60, () => stuck);
    expect(rig.lastLoss).toMatchObject({ error: { code: 'no_progress' } });
    expect((rig.lastLoss?.since ?? Number.POSITIVE_INFINITY) - cutAt).toBeLessThanOrEqual(5_000);
  });

  test('a server that understands nothing of what it receives is given up within 6 s', () => {
    const rig = rigAt('Ready');
    live(rig, 3, () => rig.peer.bytesReceived);
    const damagedAt = rig.now;
    const { connection } = rig;
    for (let i = 0; i < 60 && rig.connection === connection; i += 1) {
      rig.advance(500);
      if (rig.state.name === 'Ready') rig.ping(rig.peer.bytesReceived, { understands: false });
    }
    expect(rig.lastLoss).toMatchObject({ error: { code: 'no_progress' } });
    expect((rig.lastLoss?.since ?? Number.POSITIVE_INFINITY) - damagedAt).toBeLessThanOrEqual(
      6_000,
    );
  });

  test('a slow link is not taken for dead while its bytes arrive', () => {
    const rig = new Rig();
    rig.append(...Array.from({ length: 50 }, (_, i) => frame(EPOCH, i + 1, 10_000)));
    rig.ready();
    let arrived = 0;
    live(rig, 300, () => {
      arrived += 500;
      return arrived;
    });
    expect(rig.state.name).toBe('Ready');
  });

  test('a path of 15 s each way gets through and is never cut', () => {
    const rig = new Rig();
    for (let dials = 0; rig.state.name !== 'Ready' && dials < 10; dials += 1) {
      if (rig.state.name === 'Backoff') rig.advance(rig.state.until - rig.now);
      const { connection } = rig;
      rig.connect();
      rig.advance(15_000);
      if (rig.connection !== connection || rig.state.name !== 'Recovering') continue;
      rig.greet();
      rig.advance(30_000);
      if (rig.connection !== connection || stepOf(rig.state) !== 'Recovering/welcome') continue;
      rig.welcome();
    }
    expect(rig.state.name).toBe('Ready');
    rig.advance(29_000);
    live(rig, 60, () => rig.peer.bytesReceived);
    expect(rig.state.name).toBe('Ready');
  });

  test('a frame that stays unacked long after later ones ends the connection', () => {
    const rig = new Rig();
    rig.terms = { ...rig.terms, windowBytesMax: 1_000_000 };
    rig.append(...Array.from({ length: 60 }, (_, i) => frame(EPOCH, i + 1, 1_000)));
    rig.ready();
    rig.ack(0, 5, 15);
    live(rig, 6, () => rig.peer.bytesReceived);
    expect(rig.lastLoss).toMatchObject({ error: { code: 'no_progress' } });
  });

  test('PINGs are left out while acks come, but for one in two intervals', () => {
    const pings = (acks: boolean): number => {
      const rig = rigAt('Ready');
      rig.append(frame(EPOCH, 1));
      rig.fromServer({ kind: 'settled', firstEpochIndex: 0, settled: [] });
      for (let seq = 2; seq <= 60; seq += 1) {
        rig.advance(250);
        rig.append(frame(EPOCH, seq));
        rig.ping();
        if (acks) rig.ack(0, 1, seq);
      }
      expect(rig.state.name).toBe('Ready');
      return rig.sent('ping').length;
    };
    const [spared, all] = [pings(true), pings(false)];
    expect(spared).toBeGreaterThan(0.4 * all);
    expect(spared).toBeLessThan(0.6 * all);
  });

  test("a server's PING just after one of ours is not answered, which told the same; a later one is", () => {
    const rig = rigAt('Ready');
    const { heartbeatIntervalMs } = rig.terms;
    rig.advance(heartbeatIntervalMs);
    const pongs = rig.sent('pong').length;
    rig.advance(heartbeatIntervalMs / 2);
    rig.ping();
    expect(rig.sent('pong')).toHaveLength(pongs);
    // While acks come, none of ours is near.
    rig.append(frame(EPOCH, 1));
    rig.ack(0, 1, 1);
    rig.advance(0.75 * heartbeatIntervalMs);
    rig.ping();
    expect(rig.sent('pong')).toHaveLength(pongs + 1);
  });

  test('PINGs are answered at once, with the highest accepted seq', () => {
    const rig = new Rig();
    rig.append(frame(EPOCH, 1));
    rig.ready();
    rig.ping();
    expect(rig.sent('pong')).toMatchObject([{ id: 1, highest: { epochIndex: 0, seq: 1 } }]);
    rig.advance(1_000);
    expect(rig.sent('ping').length).toBeGreaterThan(0);
  });
});

function goodbye(reason: ByeReason): Message {
  return { kind: 'bye', reason, retryAfterMs: 0, text: '' };
}

describe('backoff', () => {
  function failures(rig: Rig, count: number): number[] {
    const waits: number[] = [];
    for (let i = 0; i < count; i += 1) {
      rig.now += DIAL_EVERY_MS;
      rig.sender.onClosed(rig.connection, REFUSED, rig.now);
      rig.drain();
      if (rig.state.name !== 'Backoff') throw new Error(`not Backoff but ${rig.state.name}`);
      waits.push(rig.state.until - rig.now);
      rig.advance(rig.state.until - rig.now);
    }
    return waits;
  }

  test('grows by a quarter with full jitter up to the cap', () => {
    const rig = new Rig();
    rig.random = 0.999;
    const waits = failures(rig, 18).map(Math.round);
    expect(waits.slice(0, 8)).toEqual([0, 50, 62, 78, 98, 122, 152, 191]);
    expect(waits.slice(8)).toEqual([238, 298, 372, 465, 581, 727, 909, 999, 999, 999]);
    rig.random = 0;
    expect(failures(rig, 1)).toEqual([0]);
  });

  test('a connect or a WELCOME alone does not reset it; a settled frame does', () => {
    const rig = new Rig();
    rig.append(frame(EPOCH, 1));
    failures(rig, 5);
    rig.ready();
    expect(rig.sender.attempt).toBe(5);
    rig.ack(0, 1, 1);
    expect(rig.sender.attempt).toBe(0);
  });

  test('ten quiet seconds in Ready reset it too', () => {
    const rig = new Rig();
    failures(rig, 5);
    rig.ready();
    for (let i = 0; i < 24; i += 1) {
      rig.advance(500);
      rig.ping();
    }
    expect(rig.sender.attempt).toBe(0);
  });

  test("the server's spread and cap hold, within our own bounds", () => {
    const rig = new Rig();
    rig.random = 0.5;
    rig.terms = { ...rig.terms, retrySpreadMs: 10_000, retryCapMs: 3_600_000 };
    rig.ready();
    expect(failures(rig, 1)).toEqual([5_000]);
    // From half of the cap to the whole of it.
    expect(Math.max(...failures(rig, 20))).toBe(45_000);
  });

  test.each([
    ['unauthorized', 'bye_unauthorized'],
    ['version', 'bye_version'],
    ['bad_collector', 'bye_bad_collector'],
  ] as const)('BYE %s is permanent: tried again every half minute at most', (reason, code) => {
    const rig = rigAt('Recovering/welcome');
    rig.fromServer({ kind: 'bye', reason, retryAfterMs: 0, text: '' });
    expect(rig.state).toMatchObject({ name: 'Backoff', error: { code, retry: 'permanent' } });
    expect(rig.sender.nextDeadline).toBe(rig.now + 22_500);
  });

  test('a server that cannot prove the token gets no frame and is tried again slowly', () => {
    const rig = new Rig();
    rig.append(frame(EPOCH, 1));
    rig.connect();
    rig.greet();
    rig.welcome([], Buffer.from('another token, wholly'));
    expect(rig.state).toMatchObject({ error: { code: 'unauthorized', retry: 'permanent' } });
    expect(rig.sentSeqs()).toEqual([]);
  });

  test('a server of another version is permanent', () => {
    const rig = rigAt('Recovering/greeting');
    rig.greet([3, 4]);
    expect(rig.state).toMatchObject({ error: { code: 'version', retry: 'permanent' } });
  });

  test.each([
    ['a wrong token', (rig: Rig) => rig.welcome([], Buffer.from('another token, wholly'))],
    ['a refused token', (rig: Rig) => rig.fromServer(goodbye('unauthorized'))],
    ['a refused id', (rig: Rig) => rig.fromServer(goodbye('bad_collector'))],
    ['another version', (rig: Rig) => rig.fromServer(goodbye('version'))],
  ])('%s heals by itself once the other side is mended', (_what, fail) => {
    const rig = new Rig();
    rig.append(frame(EPOCH, 1));
    for (let i = 0; i < 3; i += 1) {
      rig.connect();
      rig.greet();
      fail(rig);
      expect(rig.state).toMatchObject({ name: 'Backoff', error: { retry: 'permanent' } });
      rig.advance((rig.sender.nextDeadline ?? 0) - rig.now);
    }
    rig.connect();
    rig.greet();
    rig.welcome();
    rig.ack(0, 1, 1);
    expect(rig.state.name).toBe('Ready');
    expect(rig.sender.attempt).toBe(0);
  });

  test("a BYE's waiting time is believed up to 30 s before the handshake, 300 s after", () => {
    const bye = { kind: 'bye', reason: 'overloaded', retryAfterMs: 9_000_000, text: '' } as const;
    const early = rigAt('Recovering/welcome');
    early.random = 0;
    early.fromServer(bye);
    expect(early.sender.nextDeadline).toBe(early.now + 30_000);
    const late = rigAt('Ready');
    late.random = 0;
    late.fromServer(bye);
    expect(late.sender.nextDeadline).toBe(late.now + 300_000);
  });
});

test('a stop in Ready says goodbye', () => {
  const rig = rigAt('Ready');
  rig.sender.onStop(rig.now);
  rig.drain();
  expect(rig.sent('bye')).toMatchObject([{ reason: 'shutdown' }]);
});
