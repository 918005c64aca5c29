/**
 * A session with a server, from a collector that holds the token and can't be trusted: a right
 * conversation, spoilt step by step as a recipe says. Makes bytes; sends nothing.
 */
import fc from 'fast-check';
import { type MacKey, macKeyOf, signHello } from '#protocol/handshake.ts';
import { NONCE_BYTES, PROTOCOL_VERSION } from '#protocol/limits.ts';
import {
  BYE_REASONS,
  type ByeReason,
  type EpochAnnouncement,
  type Frames,
  type Hello,
  type Message,
} from '#protocol/messages.ts';
import { GAP_REASONS, type GapReason } from '#protocol/settlement.ts';
import { Random } from '#test/simulation/model/random.ts';
import { type Draft, draftOf, FRAMES_MUTATION_LIST, MUTATION_LIST, Speech } from './mutations.ts';
import {
  announcementOf,
  EPOCHS,
  frameAt,
  framesFrom,
  MADE_UP_FROM,
  POISON_FROM,
  signed,
} from './universe.ts';

/** Numbers that shrink towards a short and right conversation in one piece. */
export interface Recipe {
  /** 0 is a right HELLO. */
  readonly hello: number;
  /** How the bytes are cut into chunks; 0 is not at all. */
  readonly chunks: number;
  /** How the other side's surroundings behave; 0 is at once and well. */
  readonly surroundings: number;
  /** One for each message; 0 is a right one. */
  readonly steps: readonly number[];
}

const number = fc.noBias(fc.nat(0x7fff_ffff));

export const recipes: fc.Arbitrary<Recipe> = fc.record({
  hello: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: number }),
  chunks: fc.oneof(fc.constant(0), number),
  surroundings: fc.oneof(fc.constant(0), number),
  steps: fc.array(number, { maxLength: 6, size: 'max' }),
});

export interface Conversation {
  /** HELLO and what comes with it; what follows may be sent once WELCOME has come. */
  readonly opening: Buffer;
  readonly following: Buffer;
  /** What has to be acknowledged, for nothing was wrong before it. */
  readonly due: readonly Frames[];
  /** What was done to it. */
  readonly mutations: readonly string[];
}

/** Seqs of right frames; small, so that they meet again under other circumstances. */
const SEQ_MAX = 60;
const ANNOUNCED_MAX = 3;

export class HostileCollector {
  readonly #random: Random;
  readonly #speech = new Speech();
  readonly #mutations: string[] = [];
  /** Right messages before which nothing was wrong. */
  readonly #due: Message[] = [];
  #right = true;
  #poison = POISON_FROM;

  constructor(random: Random) {
    this.#random = random;
  }

  /** `greetingBody` is what the server greeted with. */
  static conversation(
    recipe: Recipe,
    greetingBody: Buffer,
    identity: Pick<Hello, 'collector' | 'instance'>,
    key: MacKey,
  ): Conversation {
    const collector = new HostileCollector(new Random(recipe.hello));
    collector.#hello(recipe.hello, greetingBody, identity, key);
    const opening = collector.#take();
    for (const step of recipe.steps) collector.#step(step);
    return {
      opening,
      following: collector.#take(),
      due: collector.#due.filter((message) => message.kind === 'frames'),
      mutations: collector.#mutations,
    };
  }

  #take(): Buffer {
    return Buffer.concat(this.#speech.parts.splice(0));
  }

  #hello(
    number: number,
    greetingBody: Buffer,
    identity: Pick<Hello, 'collector' | 'instance'>,
    key: MacKey,
  ): void {
    const random = this.#random;
    const epochs = EPOCHS.map((_, i) => announcementOf(i));
    const plain = {
      kind: 'hello',
      version: PROTOCOL_VERSION,
      ...identity,
      nonce: Buffer.alloc(NONCE_BYTES, 7),
      more: false,
    } as const;
    const right = () => helloDraft(key, greetingBody, { ...plain, epochs });
    if (number === 0) {
      const isKnown = rightHello?.greetingBody.equals(greetingBody) === true;
      rightHello = isKnown ? rightHello : { greetingBody, draft: right() };
      return this.#speech.say(rightHello?.draft ?? right());
    }
    this.#right = false;
    if (random.chance(0.4)) {
      // Proven, and with values that no honest collector has.
      this.#note('strangeHello');
      const strange = { ...plain, more: random.chance(0.5), epochs: strangeEpochs(random) };
      return this.#speech.say(helloDraft(key, greetingBody, strange));
    }
    if (random.chance(0.2)) {
      this.#note('wrongToken');
      return this.#speech.say(
        helloDraft(macKeyOf(random.bytes(16)), greetingBody, { ...plain, epochs }),
      );
    }
    this.#spoil(right(), random);
  }

  #step(number: number): void {
    const random = new Random(number);
    if (number === 0 || random.chance(0.45)) return this.#sayRight(random);
    this.#right = false;
    if (random.chance(0.2)) {
      const frames = framesFrom(random.int(0, EPOCHS.length - 1), this.#poison, random.int(1, 4));
      this.#poison += 4;
      const draft = draftOf({ kind: 'frames', epochIndex: 0, frames }, random.chance(0.3));
      const [name, spoil] = random.pick(FRAMES_MUTATION_LIST);
      this.#note(name);
      return spoil(this.#speech, draft, random);
    }
    if (random.chance(0.25)) {
      this.#note('strange');
      return this.#speech.say(draftOf(strangeMessage(random), random.chance(0.1)));
    }
    const draft = draftOf(rightMessage(random), random.chance(0.1));
    this.#spoil(draft, random);
  }

  #sayRight(random: Random): void {
    const message = rightMessage(random);
    this.#speech.say(draftOf(message, random.chance(0.05)));
    if (this.#right) this.#due.push(message);
    if (message.kind === 'bye') this.#right = false;
  }

  #spoil(draft: Draft, random: Random): void {
    const [name, spoil] = random.pick(MUTATION_LIST);
    this.#note(name);
    // It comes before what was said last, and that is then no longer right.
    if (name === 'reordered') this.#due.pop();
    spoil(this.#speech, draft, random);
  }

  #note(mutation: string): void {
    this.#mutations.push(mutation);
  }
}

/** The last one that was made: most greetings are the same, and to sign takes its time. */
let rightHello: { readonly greetingBody: Buffer; readonly draft: Draft } | undefined;

function helloDraft(key: MacKey, greetingBody: Buffer, hello: Omit<Hello, 'mac'>): Draft {
  return draftOf(signHello(key, greetingBody, hello));
}

/** By how often they are said. */
const RIGHT_KINDS = 'frames frames frames frames gap ping pong epochs bye'.split(' ') as Right[];
type Right = 'frames' | 'gap' | 'ping' | 'pong' | 'epochs' | 'bye';

/** What an honest collector could say after WELCOME. */
function rightMessage(random: Random): Message {
  const epochIndex = random.int(0, ANNOUNCED_MAX - 1);
  switch (random.pick(RIGHT_KINDS)) {
    case 'frames': {
      const count = random.int(1, 8);
      const frames = framesFrom(epochIndex, random.int(1, SEQ_MAX - count), count);
      return { kind: 'frames', epochIndex, frames };
    }
    case 'gap': {
      const gaps = Array.from({ length: random.int(1, 4) }, () => {
        const from = random.int(SEQ_MAX + 1, 2 * SEQ_MAX);
        const reason = random.pick(Object.keys(GAP_REASONS) as GapReason[]);
        return { epochIndex, from, to: from + random.int(0, 9), reason };
      });
      return { kind: 'gap', gaps };
    }
    case 'ping':
      return {
        kind: 'ping',
        id: random.int(1, 9),
        bytesReceived: random.int(0, 999),
        highest: { epochIndex, seq: random.int(1, 2 * SEQ_MAX) },
      };
    case 'pong':
      return { kind: 'pong', id: 1, bytesReceived: 0, highest: undefined };
    case 'epochs':
      return { kind: 'epochs', more: random.chance(0.5), epochs: [announcementOf(epochIndex)] };
    case 'bye':
      return { kind: 'bye', reason: 'shutdown', retryAfterMs: 0, text: 'until later' };
  }
}

/** Right bytes that say what nobody should: at the ends of the ranges, or another one's to say. */
function strangeMessage(random: Random): Message {
  const extreme = () => random.pick([1, 2, 2 ** 31, 2 ** 32, 2 ** 53 - 2, 2 ** 53 - 1]);
  const epochIndex = random.pick([0, 1, 2, 3, 4_095, 0xffff_ffff]);
  const known = random.int(0, EPOCHS.length - 1);
  const kind = random.pick([
    'frames',
    'wrongCrc',
    'elsewhere',
    'gap',
    'ping',
    'epochs',
    'bye',
    'server',
  ] as const);
  switch (kind) {
    case 'frames': {
      const seqs = [...new Set([extreme(), MADE_UP_FROM, extreme()])].sort((a, b) => a - b);
      const frames = seqs
        .map((seq) => ({ seq, capturedAt: extreme() - 1, payload: random.bytes(random.int(0, 9)) }))
        .map((frame) => signed(known, frame));
      return { kind: 'frames', epochIndex: known, frames };
    }
    case 'wrongCrc': {
      const frames = framesFrom(known, POISON_FROM + random.int(0, 99), 3);
      return {
        kind: 'frames',
        epochIndex: known,
        frames: frames.map((frame) => ({
          ...frame,
          crc: (frame.crc ^ random.int(1, 0xffff)) >>> 0,
        })),
      };
    }
    case 'elsewhere':
      // Frames of another epoch than they say: their CRC knows.
      return {
        kind: 'frames',
        epochIndex: (known + 1) % 3,
        frames: [frameAt(known, 7)],
      };
    case 'gap': {
      const gaps = Array.from({ length: random.pick([0, 1, 64]) }, () => {
        const [from = 1, to = 1] = [extreme(), extreme()].sort((a, b) => a - b);
        return { epochIndex: random.pick([0, epochIndex]), from, to, reason: 'evicted' as const };
      });
      return { kind: 'gap', gaps };
    }
    case 'ping':
      return {
        kind: 'ping',
        id: extreme(),
        bytesReceived: extreme(),
        highest: { epochIndex, seq: random.pick([0, extreme()]) },
      };
    case 'epochs':
      return { kind: 'epochs', more: random.chance(0.5), epochs: strangeEpochs(random) };
    case 'bye': {
      const reason = random.pick(Object.keys(BYE_REASONS) as ByeReason[]);
      return { kind: 'bye', reason, retryAfterMs: 0xffff_ffff, text: '\u001b[2J\u202e'.repeat(60) };
    }
    case 'server':
      return random.pick<Message>([
        { kind: 'ack', settled: [{ epochIndex: 0, from: 1, to: 9, state: 'stored', code: 0 }] },
        { kind: 'reject', epochIndex: 0, seq: 1, code: 'crc', text: '' },
        { kind: 'settled', firstEpochIndex: 0, settled: [] },
        { kind: 'greeting', versions: [2], nonce: Buffer.alloc(NONCE_BYTES), storeId: EPOCHS[0] },
      ]);
  }
}

/** Epochs that may be announced by the rules of the codec, and make no sense. */
function strangeEpochs(random: Random): EpochAnnouncement[] {
  return Array.from({ length: random.pick([0, 1, 2, 64]) }, () => {
    const epoch = random.pick([...EPOCHS, random.uuid()]);
    const before = random.pick([...EPOCHS, random.uuid()]);
    const highest = random.pick([0, 1, 60, 2 ** 53 - 1]);
    const lowest = random.pick([
      1,
      Math.max(1, highest),
      Math.max(1, Math.min(highest + 1, 2 ** 53 - 1)),
    ]);
    const lastSeq = random.pick([0, 40, 2 ** 53 - 1]);
    const predecessor =
      before === epoch || random.chance(0.3) ? undefined : { epoch: before, lastSeq };
    return { epoch, lowest, highest, predecessor };
  });
}
