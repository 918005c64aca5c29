/** The session: every step, legal and not, on a clock that the test holds. */
import { describe, expect, test } from 'vitest';
import { encodeBody } from '#protocol/codec.ts';
import { sealEnvelope } from '#protocol/envelope.ts';
import { EPOCHS_PER_CONNECTION_MAX, NONCE_BYTES } from '#protocol/limits.ts';
import { KINDS, type Message, type Terms } from '#protocol/messages.ts';
import { type Keys, sharedKey } from '#server/access/keys.ts';
import { Budget } from '#server/ingest/budget.ts';
import { type Caps, DEFAULT_CAPS } from '#server/ingest/caps.ts';
import { Session, type SessionAction } from '#server/ingest/session.ts';
import { assertLegalStep, LEGAL_STEPS, type SessionState } from '#server/ingest/session-state.ts';
import type { AnnounceAnswer, CommitOutcome } from '#server/store/store.ts';
import { EPOCH_A, EPOCH_B, epochOf, frameOf, framesOf, stored } from './store-contract.ts';
import { INSTANCE, ping, TOKEN, WireClient } from './wire-client.ts';

const STORE_ID = '22222222-2222-4222-8222-222222222222';
const WINDOW = 1_000;
const TERMS: Terms = {
  heartbeatIntervalMs: 1_000,
  retrySpreadMs: 0,
  retryCapMs: 1_000,
  payloadBytesMax: 500,
  windowBytesMax: WINDOW,
  zstd: true,
};
const NOTHING_SETTLED: AnnounceAnswer = { streams: [1], settled: [[]], collectorsKnown: 1 };

/** A session and its collector, with everything that the session asks its driver for. */
const ROOMY = new Budget({ bytesMax: 67_108_864, connectionsMax: 1 });

class Talk {
  readonly client: WireClient;
  readonly session: Session;
  readonly asked: Exclude<SessionAction, { type: 'write' }>[] = [];
  now = 0;

  constructor(
    token: Uint8Array = TOKEN,
    keys: Keys = sharedKey(TOKEN),
    more: Partial<Caps> = {},
    budget = ROOMY,
  ) {
    this.client = new WireClient(token);
    const options = { keys, storeId: STORE_ID, nonce: Buffer.alloc(NONCE_BYTES, 9) };
    const caps = { ...DEFAULT_CAPS, payloadBytesMax: 500, windowBytes: WINDOW, ...more };
    const account = budget.open(() => this.session.onRoom(this.now));
    this.session = new Session({ ...options, heartbeatMs: 1_000, caps, account }, this.now);
    this.drain();
  }

  drain(): this {
    for (let action = this.session.poll(); action; action = this.session.poll()) {
      if (action.type === 'write') this.client.onBytes(action.bytes);
      else this.asked.push(action);
    }
    return this;
  }

  send(...messages: Message[]): this {
    return this.bytes(Buffer.concat(messages.map((message) => this.client.bytesOf(message))));
  }

  bytes(bytes: Buffer): this {
    this.session.onBytes(bytes, this.now);
    return this.drain();
  }

  tick(now: number): this {
    this.now = now;
    this.session.onTick(now);
    return this.drain();
  }

  take<T extends SessionAction['type']>(type: T): Extract<SessionAction, { type: T }>[] {
    const taken = this.asked.filter(
      (action): action is Extract<Exclude<SessionAction, { type: 'write' }>, { type: T }> =>
        action.type === type,
    );
    for (const action of taken) this.asked.splice(this.asked.indexOf(action), 1);
    return taken as Extract<SessionAction, { type: T }>[];
  }

  join(answer = NOTHING_SETTLED): this {
    this.bytes(this.client.hello([epochOf(EPOCH_A, 1, 10)]));
    this.session.onAdmitted();
    this.drain();
    this.session.onAnnounced(answer, TERMS, this.now);
    this.asked.length = 0;
    return this.drain();
  }

  committed(request: number, outcome: Partial<CommitOutcome>): this {
    const whole = { settled: [], conflicts: [], duplicates: 0, ...outcome };
    this.session.onCommitted(request, whole, this.now);
    return this.drain();
  }

  ending(): string | undefined {
    const { state } = this.session;
    return state.name === 'closed' ? state.ending.reason : undefined;
  }
}

function frames(from: number, to: number, epochIndex = 0): Message {
  return { kind: 'frames', epochIndex, frames: framesOf(EPOCH_A, from, to) };
}

describe('the handshake', () => {
  test('greets at once, asks who may come in, announces, and proves itself in WELCOME', () => {
    const talk = new Talk();
    expect(talk.client.take('greeting')).toMatchObject([{ versions: [2], storeId: STORE_ID }]);
    talk.bytes(talk.client.hello([epochOf(EPOCH_A, 1, 10)], { more: true }));
    expect(talk.take('admit')).toEqual([{ type: 'admit', collector: 'c1', instance: INSTANCE }]);
    expect(talk.take('announce')).toEqual([]);
    talk.session.onAdmitted();
    talk.drain();
    expect(talk.take('announce')).toEqual([
      { type: 'announce', epochs: [epochOf(EPOCH_A, 1, 10)], complete: false },
    ]);
    const answer = { streams: [5], settled: [[stored(2, 4)]], collectorsKnown: 1 };
    talk.session.onAnnounced(answer, TERMS, 0);
    talk.drain();
    expect(talk.client.take('welcome')).toMatchObject([
      { ...TERMS, settled: [{ epochIndex: 0, ...stored(2, 4) }] },
    ]);
    expect(talk.client.welcomed).toBe(true);
    expect(talk.session.state.name).toBe('open');
  });

  test('comes byte by byte as it comes whole', () => {
    const talk = new Talk();
    for (const byte of talk.client.hello([])) talk.bytes(Buffer.from([byte]));
    expect(talk.take('admit')).toHaveLength(1);
  });

  test('a wrong token is told no more than that', () => {
    const talk = new Talk(Buffer.from('another token 16'));
    talk.bytes(talk.client.hello([]));
    expect(talk.client.take('bye')).toMatchObject([{ reason: 'unauthorized', text: '' }]);
    expect(talk.take('close')).toHaveLength(1);
    expect(talk.take('admit')).toEqual([]);
  });

  test('another version is told so', () => {
    const talk = new Talk();
    talk.bytes(talk.client.hello([], { version: 3 }));
    expect(talk.client.take('bye')).toMatchObject([{ reason: 'version', text: '' }]);
  });

  test('the deadline for HELLO is absolute, however the bytes trickle', () => {
    const talk = new Talk();
    const hello = talk.client.hello([]);
    for (let at = 0; at < 5; at += 1) {
      talk.now = at * 1_000;
      talk.bytes(hello.subarray(at, at + 1));
    }
    expect(talk.session.nextDeadline).toBe(60_000);
    expect(talk.tick(59_999).ending()).toBeUndefined();
    expect(talk.tick(60_000).ending()).toBe('timeout');
    expect(talk.client.take('bye')).toEqual([]);
  });

  test.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['TLS', Buffer.from('16030100c8010000c40303000000000000', 'hex')],
    ['a message kind that does not exist', sealEnvelope(99, 0, 0, Buffer.alloc(0))],
    ['a body over the limit before the proof', sealEnvelope(2, 0, 0, Buffer.alloc(8_193))],
    ['a second message first', sealEnvelope(KINDS.ping, 0, 1, Buffer.alloc(3))],
    ['FRAMES before HELLO', new WireClient().bytesOf(frames(1, 1))],
  ])('%s is closed without a word', (_, bytes) => {
    const talk = new Talk();
    talk.client.take('greeting');
    talk.bytes(bytes);
    expect(talk.ending()).toBe('protocol_error');
    expect(talk.client.messages).toEqual([]);
    expect(talk.take('close')).toHaveLength(1);
  });

  test('while the store is asked it keeps in touch, and frames have to wait', () => {
    const talk = new Talk();
    talk.bytes(talk.client.hello([]));
    talk.session.onAdmitted();
    talk.drain();
    talk.send(ping(1));
    expect(talk.client.take('pong')).toEqual([]);
    talk.tick(1_000);
    expect(talk.client.take('ping')).toHaveLength(1);
    talk.send(frames(1, 1));
    expect(talk.ending()).toBe('protocol_error');
    expect(talk.client.take('bye')).toMatchObject([{ reason: 'protocol_error' }]);
  });

  test('one that is refused hears why and when to come back', () => {
    const talk = new Talk();
    talk.bytes(talk.client.hello([]));
    talk.session.onEnd('in_use', 'another', 2_000);
    talk.drain();
    expect(talk.client.take('bye')).toMatchObject([
      { reason: 'in_use', retryAfterMs: 2_000, text: 'another' },
    ]);
  });
});

describe('frames', () => {
  test('become a request, and an ACK once they are committed', () => {
    const talk = new Talk().join().send(frames(1, 3));
    const [request] = talk.take('commit');
    expect(request).toMatchObject({ epoch: EPOCH_A, stream: 1, gaps: [], rejects: [] });
    expect(request?.frames.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(talk.client.take('ack')).toEqual([]);
    talk.committed(request?.request ?? 0, { settled: [stored(1, 3)] });
    expect(talk.client.take('ack')).toEqual([
      { kind: 'ack', settled: [{ epochIndex: 0, ...stored(1, 3) }] },
    ]);
  });

  test('of many small messages share a request, and their acks share an entry', () => {
    const talk = new Talk().join().send(frames(1, 1), frames(2, 2), frames(3, 4), frames(2, 2));
    const requests = talk.take('commit');
    expect(requests.map((request) => request.frames.map(({ seq }) => seq))).toEqual([
      [1, 2, 3, 4],
      [2],
    ]);
    for (const [index, settled] of [stored(1, 2), stored(3, 4)].entries()) {
      const { request = 0 } = requests[index] ?? {};
      talk.session.onCommitted(request, { settled: [settled], conflicts: [], duplicates: 0 }, 0);
    }
    talk.drain();
    expect(talk.client.take('ack')).toMatchObject([{ settled: [{ from: 1, to: 4 }] }]);
  });

  test('an ACK names 64 ranges at most', () => {
    const talk = new Talk().join().send(frames(1, 1));
    const settled = Array.from({ length: 100 }, (_, index) => stored(index * 2 + 1, index * 2 + 1));
    talk.committed(talk.take('commit')[0]?.request ?? 0, { settled });
    expect(talk.client.take('ack').map((ack) => ack.settled.length)).toEqual([64, 36]);
  });

  test('damaged before they were sent, or too large, are rejected once that is committed', () => {
    const talk = new Talk().join();
    const damaged = { ...frameOf(EPOCH_A, 2), crc: 1 };
    const large = frameOf(EPOCH_A, 3, 'x'.repeat(501));
    talk.send({ kind: 'frames', epochIndex: 0, frames: [frameOf(EPOCH_A, 1), damaged, large] });
    const [request] = talk.take('commit');
    expect(request?.frames.map(({ seq }) => seq)).toEqual([1]);
    expect(request?.rejects).toEqual([
      { seq: 2, code: 'crc' },
      { seq: 3, code: 'too_large' },
    ]);
    expect(talk.client.take('reject')).toEqual([]);
    talk.committed(request?.request ?? 0, {
      settled: [
        stored(1, 1),
        { from: 2, to: 2, state: 'rejected', code: 1 },
        { from: 3, to: 3, state: 'rejected', code: 2 },
      ],
    });
    expect(talk.client.take('reject')).toMatchObject([
      { epochIndex: 0, seq: 2, code: 'crc' },
      { epochIndex: 0, seq: 3, code: 'too_large' },
    ]);
    expect(talk.client.take('ack')).toMatchObject([{ settled: [{ from: 1, to: 1 }] }]);
  });

  test('a damaged frame that is stored already is acknowledged as stored', () => {
    const talk = new Talk().join();
    talk.send({ kind: 'frames', epochIndex: 0, frames: [{ ...frameOf(EPOCH_A, 2), crc: 1 }] });
    talk.committed(talk.take('commit')[0]?.request ?? 0, { settled: [stored(2, 2)] });
    expect(talk.client.take('reject')).toEqual([]);
    expect(talk.client.take('ack')).toHaveLength(1);
  });

  test('in conflict with what is stored are rejected', () => {
    const talk = new Talk().join().send(frames(1, 2));
    talk.committed(talk.take('commit')[0]?.request ?? 0, {
      settled: [stored(1, 1)],
      conflicts: [2],
    });
    expect(talk.client.take('reject')).toMatchObject([{ seq: 2, code: 'conflict' }]);
  });

  test('past the window are left unread until there is room', () => {
    const talk = new Talk().join();
    const large = (seq: number): Message => ({
      kind: 'frames',
      epochIndex: 0,
      frames: [frameOf(EPOCH_A, seq, 'x'.repeat(450))],
    });
    talk.send(large(1), large(2), large(3), large(4), ping(1));
    expect(talk.session.paused).toBe(true);
    const [first] = talk.take('commit');
    expect(first?.frames.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(talk.client.take('pong')).toEqual([]);
    talk.now = 60_000;
    expect(talk.tick(60_000).ending()).toBeUndefined();
    talk.committed(first?.request ?? 0, { settled: [stored(1, 2)] });
    expect(talk.take('commit')[0]?.frames.map(({ seq }) => seq)).toEqual([3, 4]);
    expect(talk.session.paused).toBe(true);
  });

  test('of an epoch that was never announced end the session; what came before is acknowledged', () => {
    const talk = new Talk().join().send(frames(1, 2), frames(3, 3, 7), frames(4, 4));
    const requests = talk.take('commit');
    expect(requests.map((request) => request.frames.map(({ seq }) => seq))).toEqual([[1, 2]]);
    expect(talk.session.state.name).toBe('draining');
    talk.committed(requests[0]?.request ?? 0, { settled: [stored(1, 2)] });
    const kinds = talk.client.messages.map(({ kind }) => kind);
    expect(kinds.slice(-2)).toEqual(['ack', 'bye']);
    expect(talk.client.take('bye')).toMatchObject([
      { reason: 'protocol_error', text: expect.stringContaining('epoch number 7') },
    ]);
    expect(talk.ending()).toBe('protocol_error');
  });
});

describe('gaps and epochs', () => {
  test('gaps become requests by stream, and are acknowledged as they stand', () => {
    const talk = new Talk().join();
    talk.send({ kind: 'gap', gaps: [{ epochIndex: 0, from: 1, to: 9, reason: 'evicted' }] });
    const [request] = talk.take('commit');
    expect(request).toMatchObject({ frames: [], gaps: [{ from: 1, to: 9, reason: 'evicted' }] });
    const declared = { from: 1, to: 9, state: 'declared', code: 1 } as const;
    talk.committed(request?.request ?? 0, { settled: [declared] });
    expect(talk.client.take('ack')).toEqual([
      { kind: 'ack', settled: [{ epochIndex: 0, ...declared }] },
    ]);
  });

  test('further epochs are announced, and frames behind them wait for the answer', () => {
    const talk = new Talk().join();
    const frame = frameOf(EPOCH_B, 1);
    talk.send(
      frames(1, 1),
      { kind: 'epochs', more: false, epochs: [epochOf(EPOCH_B, 1, 2)] },
      { kind: 'frames', epochIndex: 1, frames: [frame] },
    );
    expect(talk.asked.map(({ type }) => type)).toEqual(['commit', 'announce']);
    expect(talk.session.paused).toBe(true);
    talk.asked.length = 0;
    const answer = { streams: [8], settled: [[stored(2, 2)]], collectorsKnown: 1 };
    talk.session.onAnnounced(answer, TERMS, 0);
    talk.drain();
    expect(talk.client.take('settled')).toEqual([
      { kind: 'settled', firstEpochIndex: 1, settled: [{ epochIndex: 1, ...stored(2, 2) }] },
    ]);
    expect(talk.take('commit')).toMatchObject([{ epoch: EPOCH_B, stream: 8, frames: [frame] }]);
  });

  test('a connection that has used up its epochs is asked to come anew', () => {
    const talk = new Talk().join();
    const epochs = Array.from({ length: 64 }, (_, index) =>
      epochOf(`01900000-0000-7000-8000-${String(index).padStart(12, '0')}`, 1, 1),
    );
    const answer = {
      streams: epochs.map((_, index) => index),
      settled: epochs.map(() => []),
      collectorsKnown: 1,
    };
    for (let count = 1; count + 64 <= EPOCHS_PER_CONNECTION_MAX; count += 64) {
      talk.send({ kind: 'epochs', more: true, epochs });
      talk.session.onAnnounced(answer, TERMS, 0);
      talk.drain();
    }
    expect(talk.session.state.name).toBe('open');
    talk.send({ kind: 'epochs', more: true, epochs });
    expect(talk.client.take('bye')).toMatchObject([{ reason: 'renew' }]);
  });
});

describe('time', () => {
  test('a PING is answered at once and tells how far the collector has come', () => {
    const talk = new Talk().join();
    talk.send(ping(7, { epochIndex: 0, seq: 42 }));
    const [pong] = talk.client.take('pong');
    expect(pong).toMatchObject({ id: 7, highest: undefined });
    expect(pong?.bytesReceived).toBeGreaterThan(0);
    expect(talk.take('heard')).toEqual([{ type: 'heard', highest: { stream: 1, seq: 42 } }]);
  });

  test('PING goes out with every heartbeat, and a late tick sends one, not many', () => {
    const talk = new Talk().join();
    expect(talk.session.nextDeadline).toBe(1_000);
    talk.tick(999);
    expect(talk.client.take('ping')).toEqual([]);
    talk.tick(4_500);
    talk.tick(4_500);
    expect(talk.client.take('ping')).toHaveLength(1);
    expect(talk.session.nextDeadline).toBe(5_000);
  });

  test('PING is left out while acks go, but for one in five intervals', () => {
    const talk = new Talk().join();
    for (let seq = 1; seq <= 40; seq += 1) {
      talk.tick(seq * 250);
      talk.send(frames(seq, seq));
      const [commit] = talk.take('commit');
      talk.committed(commit?.request ?? 0, { settled: [stored(seq, seq)] });
    }
    expect(talk.client.take('ping')).toHaveLength(2);
  });

  test('the first byte behind WELCOME may take the round trip that HELLO took, and more', () => {
    const talk = new Talk();
    talk.now = 30_000;
    talk.join();
    expect(talk.tick(30_000 + 34_999).ending()).toBeUndefined();
    expect(talk.tick(30_000 + 35_000).ending()).toBe('timeout');
  });

  test('silence ends it', () => {
    const talk = new Talk().join();
    talk.now = 3_000;
    talk.send(ping(1));
    expect(talk.tick(7_999).ending()).toBeUndefined();
    expect(talk.tick(8_000).ending()).toBe('timeout');
    expect(talk.client.take('bye')).toMatchObject([{ reason: 'timeout' }]);
  });

  test('in the middle of a message silence may be longer, for a link may be slow', () => {
    const talk = new Talk().join();
    const bytes = talk.client.bytesOf(frames(1, 3));
    talk.bytes(bytes.subarray(0, 20));
    expect(talk.tick(9_999).ending()).toBeUndefined();
    talk.bytes(bytes.subarray(20, 21));
    expect(talk.tick(19_998).ending()).toBeUndefined();
    expect(talk.tick(19_999).ending()).toBe('timeout');
  });
});

describe('caps', () => {
  test('of time and bytes before the proof', () => {
    const late = new Talk(TOKEN, sharedKey(TOKEN), { helloMs: 2_000 });
    expect(late.session.nextDeadline).toBe(2_000);
    expect(late.tick(2_000).ending()).toBe('timeout');
    const long = new Talk(TOKEN, sharedKey(TOKEN), { helloBytesMax: 4_352 });
    expect(long.bytes(sealEnvelope(KINDS.hello, 0, 0, Buffer.alloc(4_353))).ending()).toBe(
      'protocol_error',
    );
  });

  test('of a message, and of what it may inflate to', () => {
    const text = 'x'.repeat(400);
    const many = Array.from({ length: 1_000 }, (_, i) => frameOf(EPOCH_A, i + 1, text));
    const message = { kind: 'frames', epochIndex: 0, frames: many } as const;
    const long = new Talk(TOKEN, sharedKey(TOKEN), { messageBytesMax: 327_680 }).join();
    expect(long.send(message).session.state).toMatchObject({
      ending: { text: expect.stringContaining('over 327680') },
    });
    const bomb = new Talk(TOKEN, sharedKey(TOKEN), {
      decodedBytesMax: 100_000,
      messageBytesMax: 327_680,
    }).join();
    const { kind, flags, body } = encodeBody(message, true);
    expect(body.length).toBeLessThan(20_000);
    bomb.bytes(sealEnvelope(KINDS[kind], flags, 1, body));
    expect(bomb.session.state).toMatchObject({
      ending: { text: expect.stringContaining('over 100000') },
    });
    expect(bomb.take('commit')).toEqual([]);
  });

  test('of frames on their way into the store, however small', () => {
    const talk = new Talk(TOKEN, sharedKey(TOKEN), {
      windowBytes: 1_000_000,
      windowFrames: 5,
    }).join();
    for (let seq = 1; seq <= 10; seq += 1) talk.send(frames(seq, seq));
    const requests = talk.take('commit');
    expect(requests.length).toBe(5);
    expect(talk.session.paused).toBe(true);
    for (const { request } of requests) talk.committed(request, {});
    expect(talk.take('commit').length).toBe(5);
  });

  test('of standing still in the middle of a message', () => {
    const talk = new Talk(TOKEN, sharedKey(TOKEN), { stallMs: 3_000 }).join();
    talk.bytes(talk.client.bytesOf(frames(1, 2)).subarray(0, 30));
    expect(talk.session.nextDeadline).toBe(1_000);
    expect(talk.tick(2_999).ending()).toBeUndefined();
    expect(talk.tick(3_000).ending()).toBe('timeout');
  });

  test('of all connections together: it waits, and is not taken for silent', () => {
    const budget = new Budget({ bytesMax: 1_000, connectionsMax: 10 });
    const crowd = budget.open(() => {});
    crowd.hold(5_000);
    const first = budget.open(() => {});
    first.hold(500);
    expect(crowd.mayTake() && !first.mayTake()).toBe(true);
    const talk = new Talk(TOKEN, sharedKey(TOKEN), {}, budget).join();
    talk.send(frames(1, 1)).send(frames(2, 2));
    expect(talk.take('commit').length).toBe(1);
    expect(talk.session.paused).toBe(true);
    expect(talk.tick(60_000).ending()).toBeUndefined();
    crowd.close();
    budget.wake();
    talk.drain();
    expect(talk.take('commit').length).toBe(1);
    expect(talk.session.paused).toBe(false);
    expect(talk.tick(60_000 + 5_000).ending()).toBe('timeout');
  });
});

describe('the end', () => {
  test('a shutdown waits for what is on its way, and takes nothing more', () => {
    const talk = new Talk().join().send(frames(1, 2));
    talk.session.onShutdown(0, 1_500);
    talk.drain().send(frames(3, 3));
    expect(talk.take('commit')).toHaveLength(1);
    expect(talk.client.take('bye')).toEqual([]);
    talk.committed(1, { settled: [stored(1, 2)] });
    expect(talk.client.take('ack')).toHaveLength(1);
    expect(talk.client.take('bye')).toMatchObject([{ reason: 'shutdown', retryAfterMs: 1_500 }]);
    expect(talk.ending()).toBe('shutdown');
  });

  test('a shutdown does not wait for ever', () => {
    const talk = new Talk().join().send(frames(1, 2));
    talk.session.onShutdown(0, 0);
    expect(talk.drain().session.nextDeadline).toBe(5_000);
    expect(talk.tick(5_000).ending()).toBe('shutdown');
  });

  test('a shutdown with nothing under way is at once, in every state', () => {
    const greeted = new Talk();
    greeted.session.onShutdown(0, 0);
    expect(greeted.drain().ending()).toBe('shutdown');
    const joining = new Talk();
    joining.bytes(joining.client.hello([]));
    const open = new Talk().join();
    for (const talk of [joining, open]) {
      talk.session.onShutdown(0, 1_500);
      expect(talk.drain().ending()).toBe('shutdown');
      expect(talk.client.take('bye')).toMatchObject([{ retryAfterMs: 1_500 }]);
    }
  });

  test('BYE of the collector ends it without an answer', () => {
    const talk = new Talk().join();
    talk.send({ kind: 'bye', reason: 'shutdown', retryAfterMs: 0, text: 'restart' });
    expect(talk.ending()).toBe('goodbye');
    expect(talk.client.take('bye')).toEqual([]);
  });

  test('a message that was changed on the way ends it', () => {
    const talk = new Talk().join();
    const bytes = talk.client.bytesOf(frames(1, 1));
    bytes.writeUInt8(bytes.readUInt8(30) ^ 1, 30);
    talk.bytes(bytes);
    expect(talk.client.take('bye')).toMatchObject([
      { reason: 'protocol_error', text: expect.stringContaining('crc') },
    ]);
  });

  test('nothing changes a session that is over', () => {
    const talk = new Talk().join().send(frames(1, 2));
    talk.session.onDisconnected('reset');
    talk.drain();
    talk.client.messages.length = 0;
    talk.asked.length = 0;
    talk.send(frames(3, 3));
    talk.session.onCommitted(1, { settled: [stored(1, 2)], conflicts: [], duplicates: 0 }, 0);
    talk.session.onAnnounced(NOTHING_SETTLED, TERMS, 0);
    talk.session.onAdmitted();
    talk.session.onEnd('superseded', '');
    talk.session.onShutdown(0, 0);
    talk.session.onDisconnected('again');
    talk.tick(100_000);
    expect(talk.client.messages).toEqual([]);
    expect(talk.asked).toEqual([]);
    expect(talk.session.nextDeadline).toBeUndefined();
    expect(talk.session.paused).toBe(true);
    expect(talk.ending()).toBe('disconnected');
  });

  test('what is not a collector’s to send ends it', () => {
    const ack = new Talk().join().send({ kind: 'ack', settled: [] });
    expect(ack.ending()).toBe('protocol_error');
    const twice = new Talk().join();
    twice.bytes(twice.client.hello([]));
    expect(twice.ending()).toBe('protocol_error');
  });
});

describe('steps', () => {
  const ending = { reason: 'shutdown', text: '', retryAfterMs: 0 } as const;
  const states: readonly SessionState[] = [
    { name: 'greeting', deadline: 0 },
    { name: 'joining' },
    { name: 'open' },
    { name: 'draining', ending, deadline: 0 },
    { name: 'closed', ending },
  ];
  const pairs = states.flatMap((from) => states.map((to) => ({ from, to })));

  test.each(pairs)('$from.name -> $to.name is as the table says', ({ from, to }) => {
    const step = (): void => assertLegalStep(from, to);
    if (LEGAL_STEPS[from.name].includes(to.name)) expect(step).not.toThrow();
    else expect(step).toThrow(/illegal step/);
  });
});
