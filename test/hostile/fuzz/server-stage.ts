/**
 * The server's side on a bench: the real framer, codec, session and intake, with a store of a few
 * lines, and a witness that knows what may never happen, whatever comes:
 *
 * - nothing but a ProtocolError is thrown, and that one stays inside;
 * - nothing reaches the store before the proof; no frame whose CRC is wrong under
 *   its identity, no frame of a broken message, nothing in an epoch that was not announced;
 * - what came before the first wrong byte is stored and acknowledged;
 * - all that is said is right by the codec, and no more than a small multiple of what came;
 * - what is held, on its way into the store or before, stays within the window and a message;
 * - with a peer that falls silent, the session ends.
 */

import { decodeBody } from '#protocol/codec.ts';
import { Framer } from '#protocol/framer.ts';
import { macKeyOf } from '#protocol/handshake.ts';
import { frameCrc, PAYLOAD_BYTES_MAX, SEQ_MAX } from '#protocol/identity.ts';
import { BODY_BYTES_MAX } from '#protocol/limits.ts';
import type { EpochAnnouncement, Frames, Message, WireFrame } from '#protocol/messages.ts';
import { GAP_REASONS, REJECT_CODES, type SettledRange } from '#protocol/settlement.ts';
import { sharedKey } from '#server/access/keys.ts';
import { DEFAULT_CAPS } from '#server/ingest/caps.ts';
import type { CommitRequest } from '#server/ingest/intake.ts';
import { Session, type SessionAction } from '#server/ingest/session.ts';
import type { EndReason } from '#server/ingest/session-state.ts';
import { termsFor } from '#server/ingest/terms.ts';
import type { CommitOutcome } from '#server/store/store.ts';
import { Random } from '#test/simulation/model/random.ts';
import { chunksOf } from './chunks.ts';
import { HostileCollector, type Recipe } from './hostile-collector.ts';
import { EPOCHS, isHonest, MADE_UP_FROM } from './universe.ts';
import { must } from './violation.ts';

const TOKEN = Buffer.from('the token of the fuzzer');
const KEY = macKeyOf(TOKEN);
const KEYS = sharedKey(TOKEN);
const IDENTITY = { collector: 'fuzz', instance: '11111111-1111-4111-8111-111111111111' };
const STORE_ID = '01938c5e-0000-7000-8000-0000000000aa';
const NONCE = Buffer.alloc(32, 9);

/** A REJECT for a frame of a few bytes is the longest answer for the shortest question. */
const ANSWER_FACTOR_MAX = 32;
const ANSWER_BYTES_FREE = 8_192;
/** The longest piece that a stream is given in. */
const CHUNK_BYTES_MAX = 65_536;
/** From the last byte until a session of a silent peer is over: heartbeats, and its deadline. */
const TICKS_MAX = 200;

export interface Outcome {
  readonly reason: EndReason;
  readonly mutations: readonly string[];
}

/** Plays one session. Throws Violation, or whatever the code lets out. */
export function playServer(recipe: Recipe): Outcome {
  const stage = new ServerStage(recipe);
  return stage.play(recipe);
}

class ServerStage {
  readonly #random: Random;
  readonly #isWell: boolean;
  readonly #session: Session;
  readonly #store = new BenchStore();
  readonly #output = new Framer();
  readonly #pending: (() => void)[] = [];
  readonly #acked = new Set<string>();
  readonly #windowBytes: number;
  readonly #payloadBytesMax: number;
  #greetingBody: Buffer | undefined;
  #now = 1_000;
  #bytesIn = 0;
  #bytesOut = 0;
  #bytesInFlight = 0;
  #proven = false;
  #hasRoom = true;
  #closed = false;
  #failed = false;

  constructor({ surroundings }: Recipe) {
    this.#isWell = surroundings === 0;
    this.#random = new Random(surroundings);
    this.#windowBytes = this.#isWell ? 4_194_304 : this.#random.pick([300, 5_000, 4_194_304]);
    this.#payloadBytesMax = this.#isWell
      ? PAYLOAD_BYTES_MAX
      : this.#random.pick([20, PAYLOAD_BYTES_MAX]);
    this.#output.liftLimit();
    this.#session = new Session(
      {
        keys: KEYS,
        storeId: STORE_ID,
        nonce: NONCE,
        heartbeatMs: 1_000,
        caps: {
          ...DEFAULT_CAPS,
          payloadBytesMax: this.#payloadBytesMax,
          windowBytes: this.#windowBytes,
        },
        account: {
          hold: (bytes) => this.#mustBeBounded(bytes),
          mayTake: () => this.#hasRoom,
        },
      },
      this.#now,
    );
    this.#pump();
  }

  play(recipe: Recipe): Outcome {
    const greetingBody = this.#greetingBody;
    must(greetingBody !== undefined, () => 'no GREETING was said');
    const { opening, following, due, mutations } = HostileCollector.conversation(
      recipe,
      greetingBody,
      IDENTITY,
      KEY,
    );
    const random = new Random(recipe.chunks);
    const waits = recipe.chunks === 0 || random.chance(0.8);
    for (const chunk of chunksOf(opening, recipe.chunks, random)) this.#receive(chunk);
    if (waits) this.#answerAll();
    for (const chunk of chunksOf(following, recipe.chunks, random)) this.#receive(chunk);
    this.#answerAll();
    this.#fallSilent();
    const { state } = this.#session;
    must(state.name === 'closed', () => `the session is ${state.name} at its end`);
    const { reason } = state.ending;
    if (waits && !this.#failed) {
      for (const message of due) this.#mustHaveTaken(message, reason === 'goodbye');
    }
    return { reason, mutations };
  }

  /** Where all is well, nothing is late and nothing fails. */
  #chance(probability: number): boolean {
    return !this.#isWell && this.#random.chance(probability);
  }

  #receive(chunk: Buffer): void {
    while (this.#session.paused && !this.#closed) this.#answerOne();
    if (this.#closed) return;
    this.#now += 1;
    this.#hasRoom = !this.#chance(0.05);
    this.#bytesIn += chunk.length;
    this.#session.onBytes(chunk, this.#now);
    this.#pump();
    while (this.#pending.length > 0 && !this.#chance(0.5)) this.#answerOne();
  }

  #answerAll(): void {
    while (this.#pending.length > 0) this.#answerOne();
  }

  #answerOne(): void {
    const answer = this.#pending.shift();
    if (answer === undefined) {
      const { name } = this.#session.state;
      if (name === 'open') return this.#giveRoom();
      // Draining may still wait for its deadline; anything else would wait for ever.
      must(name === 'draining', () => `paused while ${name}, and nothing is under way`);
      return this.#tick();
    }
    answer();
    this.#pump();
  }

  /** In the memory that all connections share: whoever has to wait for it gets it in the end. */
  #giveRoom(): void {
    this.#hasRoom = true;
    this.#session.onRoom(this.#now);
    this.#pump();
  }

  #tick(): void {
    const deadline = this.#session.nextDeadline;
    must(deadline !== undefined, () => `no deadline while ${this.#session.state.name}`);
    this.#now = Math.max(this.#now, deadline);
    this.#session.onTick(this.#now);
    this.#pump();
  }

  #fallSilent(): void {
    for (let ticks = 0; !this.#closed; ticks += 1) {
      must(ticks < TICKS_MAX, () => 'a silent peer keeps its session for ever');
      this.#giveRoom();
      this.#answerAll();
      if (!this.#closed) this.#tick();
    }
  }

  #pump(): void {
    for (let action = this.#session.poll(); action; action = this.#session.poll()) {
      this.#perform(action);
    }
  }

  #perform(action: SessionAction): void {
    // What came before a goodbye is still stored.
    must(!this.#closed || action.type === 'commit', () => `${action.type} after the end`);
    switch (action.type) {
      case 'write':
        return this.#onWrite(action.bytes);
      case 'close':
        this.#closed = true;
        return;
      case 'admit':
        must(!this.#proven, () => 'let in twice');
        this.#proven = true;
        this.#pending.push(() => this.#admit());
        return;
      case 'announce':
        must(this.#proven, () => 'epochs reached the store before the proof');
        this.#pending.push(() => this.#announced(action.epochs));
        return;
      case 'commit':
        this.#mustBeRight(action);
        this.#pending.push(() => this.#commit(action));
        return;
      case 'heard':
        must(this.#proven, () => 'a sign of life before the proof');
    }
  }

  #admit(): void {
    if (this.#chance(0.02)) {
      this.#failed = true;
      return this.#session.onEnd('in_use', 'another one is here', 2_000);
    }
    this.#session.onAdmitted();
  }

  #announced(epochs: readonly EpochAnnouncement[]): void {
    const limits = { payloadBytesMax: this.#payloadBytesMax, windowBytes: this.#windowBytes };
    const answer = {
      streams: epochs.map(({ epoch }) => this.#store.streamOf(epoch)),
      settled: epochs.map(() => []),
      collectorsKnown: 1,
    };
    this.#session.onAnnounced(answer, termsFor(1, limits), this.#now);
  }

  #commit(request: CommitRequest): void {
    this.#bytesInFlight -= weightOf(request);
    if (this.#chance(0.01)) {
      this.#failed = true;
      return this.#session.onEnd('store_unavailable', 'the store cannot commit now', 2_000);
    }
    this.#session.onCommitted(request.request, this.#store.commit(request), this.#now);
  }

  #mustBeRight(request: CommitRequest): void {
    const { epoch, stream, frames, gaps, rejects } = request;
    must(this.#proven, () => 'frames reached the store before the proof');
    must(this.#store.knows(stream, epoch), () => `${epoch} was never announced`);
    let before = 0;
    for (const frame of frames) {
      must(frame.seq > before && frame.seq <= SEQ_MAX, () => `seq ${frame.seq} behind ${before}`);
      must(frameCrc({ epoch, ...frame }) === frame.crc, () => `frame ${frame.seq}: wrong CRC`);
      const mayBe =
        frame.seq >= MADE_UP_FROM || MADE_UP_SEQS.has(frame.seq) || isHonest(epoch, frame);
      must(mayBe, () => `frame ${frame.seq} of ${epoch} is none that was sent in a right message`);
      before = frame.seq;
    }
    for (const { from, to } of gaps) {
      must(1 <= from && from <= to && to <= SEQ_MAX, () => `a gap from ${from} to ${to}`);
    }
    for (const { seq } of rejects) must(1 <= seq && seq <= SEQ_MAX, () => `${seq} refused`);
    const bytes = weightOf(request);
    this.#bytesInFlight += bytes;
    const most = this.#windowBytes + BODY_BYTES_MAX;
    must(this.#bytesInFlight <= most, () => `${this.#bytesInFlight} bytes on their way`);
  }

  #mustBeBounded(bytes: number): void {
    const most = this.#windowBytes + BODY_BYTES_MAX + CHUNK_BYTES_MAX;
    must(bytes <= most, () => `${bytes} bytes are held`);
  }

  #onWrite(bytes: Buffer): void {
    this.#bytesOut += bytes.length;
    const most = ANSWER_FACTOR_MAX * this.#bytesIn + ANSWER_BYTES_FREE;
    must(this.#bytesOut <= most, () => `${this.#bytesOut} bytes for ${this.#bytesIn}`);
    this.#output.push(bytes);
    for (let raw = this.#output.next(); raw; raw = this.#output.next()) {
      if (this.#greetingBody === undefined) this.#greetingBody = raw.body;
      this.#onSaid(decodeBody(raw.kind, raw.flags, raw.body));
    }
  }

  #onSaid(message: Message): void {
    if (message.kind !== 'ack') return;
    for (const { epochIndex, from, to, state } of message.settled) {
      if (state !== 'stored' || to - from > 1_000) continue;
      for (let seq = from; seq <= to; seq += 1) this.#acked.add(`${epochIndex} ${seq}`);
    }
  }

  #mustHaveTaken({ epochIndex, frames }: Frames, hasLeft: boolean): void {
    const epoch = EPOCHS[epochIndex] ?? '';
    for (const { seq, payload } of frames) {
      if (payload.length > this.#payloadBytesMax) continue;
      must(this.#store.has(epoch, seq), () => `${epochIndex}/${seq} is not stored`);
      const isAcked = hasLeft || this.#acked.has(`${epochIndex} ${seq}`);
      must(isAcked, () => `${epochIndex}/${seq} is not acked`);
    }
  }
}

/** Small numbers at which the hostile collector makes frames up. */
const MADE_UP_SEQS = new Set([1, 2]);

function weightOf({ frames, gaps, rejects }: CommitRequest): number {
  const payload = frames.reduce((sum, frame) => sum + frame.payload.length, 0);
  return payload + 64 * (frames.length + gaps.length + rejects.length);
}

/** Remembers what was committed in one session, and answers as a store would. */
class BenchStore {
  readonly #epochs: string[] = [];
  readonly #frames = new Map<string, WireFrame>();

  streamOf(epoch: string): number {
    const known = this.#epochs.indexOf(epoch);
    return known < 0 ? this.#epochs.push(epoch) - 1 : known;
  }

  knows(stream: number, epoch: string): boolean {
    return this.#epochs[stream] === epoch;
  }

  has(epoch: string, seq: number): boolean {
    return this.#frames.has(`${epoch} ${seq}`);
  }

  commit({ epoch, frames, gaps, rejects }: CommitRequest): CommitOutcome {
    const settled: SettledRange[] = [];
    const conflicts: number[] = [];
    let duplicates = 0;
    for (const frame of frames) {
      const key = `${epoch} ${frame.seq}`;
      const stored = this.#frames.get(key);
      if (stored !== undefined && stored.crc !== frame.crc) {
        conflicts.push(frame.seq);
        continue;
      }
      if (stored !== undefined) duplicates += 1;
      this.#frames.set(key, frame);
      settled.push({ from: frame.seq, to: frame.seq, state: 'stored', code: 0 });
    }
    for (const { from, to, reason } of gaps) {
      settled.push({ from, to, state: 'declared', code: GAP_REASONS[reason] });
    }
    for (const { seq, code } of rejects) {
      settled.push({ from: seq, to: seq, state: 'rejected', code: REJECT_CODES[code] });
    }
    return { settled, conflicts, duplicates };
  }
}
