/**
 * A server that holds the token and can't be trusted, or somebody who has come between after the
 * handshake: what it says next, right or spoilt, for what the collector has said. Makes bytes.
 */
import { encodeBody } from '#protocol/codec.ts';
import { type MacKey, macKeyOf, signWelcome } from '#protocol/handshake.ts';
import { PROTOCOL_VERSION } from '#protocol/limits.ts';
import {
  BYE_REASONS,
  type ByeReason,
  type Message,
  type SettledEntry,
  type Terms,
} from '#protocol/messages.ts';
import { REJECT_CODES, type RejectCode, SETTLED_STATES } from '#protocol/settlement.ts';
import { Random } from '#test/simulation/model/random.ts';
import { type Draft, draftOf, MUTATION_LIST, Speech } from './mutations.ts';
import { EPOCHS } from './universe.ts';

const NONCE = Buffer.alloc(32, 9);
const WRONG_KEY = macKeyOf(Buffer.alloc(16));
export const STORE_ID = '01938c5e-0000-7000-8000-0000000000aa';
const OTHER_STORE_ID = '01938c5e-0000-7000-8000-0000000000bb';

const TERMS: Terms = {
  heartbeatIntervalMs: 1_000,
  retrySpreadMs: 0,
  retryCapMs: 1_000,
  payloadBytesMax: 1_048_576,
  windowBytesMax: 4_194_304,
  zstd: true,
};

/** What a server has heard of one connection. */
export interface Heard {
  readonly helloBody: Buffer | undefined;
  /** FRAMES that came, and PINGs that wait for their answer. */
  readonly frames: readonly { readonly epochIndex: number; readonly seqs: readonly number[] }[];
  readonly pings: readonly number[];
  /** How many epochs were announced, and from which number on the next SETTLED has to answer. */
  readonly announced: number;
  readonly unanswered: number | undefined;
  readonly bytes: number;
}

/** Numbers that shrink towards a short and right conversation in one piece. */
export class HostileServer {
  readonly #key: MacKey;
  readonly #speech = new Speech();
  #greetingBody = encodeBody(greetingOf(STORE_ID)).body;
  readonly mutations: string[] = [];
  /** True once a WELCOME with a right MAC was said, if it arrived. */
  proven = false;

  constructor(token: Uint8Array) {
    this.#key = macKeyOf(token);
  }

  /** The bytes of the greeting; 0 is a right one. */
  greet(number: number): Buffer {
    const random = new Random(number);
    const storeId = number > 0 && random.chance(0.2) ? OTHER_STORE_ID : STORE_ID;
    const greeting = greetingOf(storeId);
    this.#greetingBody = encodeBody(greeting).body;
    return this.#say(draftOf(greeting), number > 0 && random.chance(0.3), random);
  }

  welcome(number: number, { helloBody = Buffer.alloc(0) }: Heard): Buffer {
    const random = new Random(number);
    const isStrange = number > 0 && random.chance(0.4);
    const terms = isStrange ? strangeTerms(random) : TERMS;
    const settled = isStrange ? strangeEntries(random) : [];
    const key = number > 0 && random.chance(0.1) ? WRONG_KEY : this.#key;
    const unsigned = { kind: 'welcome', ...terms, settled } as const;
    const welcome = signWelcome(key, this.#greetingBody, helloBody, unsigned);
    this.proven = key === this.#key;
    return this.#say(draftOf(welcome), number > 0 && random.chance(0.4), random);
  }

  /** Something to say after WELCOME; 0 is an ack for all that has come. */
  next(number: number, heard: Heard): Buffer {
    const random = new Random(number);
    if (number > 0 && random.chance(0.25)) {
      this.mutations.push('strange');
      return this.#say(draftOf(strangeMessage(random)), false, random);
    }
    const message = number === 0 ? ackOf(heard) : rightMessage(heard, random);
    return this.#say(draftOf(message), number > 0 && random.chance(0.4), random);
  }

  /** Anything, as it is. */
  say(message: Message): Buffer {
    this.#speech.say(draftOf(message));
    return Buffer.concat(this.#speech.parts.splice(0));
  }

  #say(draft: Draft, spoils: boolean, random: Random): Buffer {
    if (spoils) {
      const [name, spoil] = random.pick(MUTATION_LIST);
      this.mutations.push(name);
      spoil(this.#speech, draft, random);
    } else {
      this.#speech.say(draft);
    }
    return Buffer.concat(this.#speech.parts.splice(0));
  }
}

function greetingOf(storeId: string) {
  return { kind: 'greeting', versions: [PROTOCOL_VERSION], nonce: NONCE, storeId } as const;
}

export function ackOf({ frames }: Pick<Heard, 'frames'>): Message {
  const settled = frames.flatMap(({ epochIndex, seqs }) =>
    seqs.map((seq): SettledEntry => ({ epochIndex, from: seq, to: seq, state: 'stored', code: 0 })),
  );
  return { kind: 'ack', settled: settled.slice(0, 64) };
}

/** By how often they are said. */
const RIGHT_KINDS = 'ack ack ack ack ping pong pong settled reject bye'.split(' ') as Right[];
type Right = 'ack' | 'ping' | 'pong' | 'settled' | 'reject' | 'bye';

function rightMessage(heard: Heard, random: Random): Message {
  const { bytes: bytesReceived, pings, unanswered, announced } = heard;
  const kind = random.pick(RIGHT_KINDS);
  switch (kind) {
    case 'ack':
      return ackOf(heard);
    case 'ping':
      return { kind, id: random.int(1, 9), bytesReceived, highest: undefined };
    case 'pong':
      return { kind, id: pings[0] ?? 1, bytesReceived, highest: undefined };
    case 'settled':
      return { kind, firstEpochIndex: unanswered ?? announced, settled: [] };
    case 'reject': {
      const code = random.pick(Object.keys(REJECT_CODES) as RejectCode[]);
      return { kind, epochIndex: 0, seq: random.int(1, 12), code, text: 'no' };
    }
    case 'bye': {
      const reason = random.pick(Object.keys(BYE_REASONS) as ByeReason[]);
      return { kind, reason, retryAfterMs: random.int(0, 9_000), text: '' };
    }
  }
}

const EXTREMES = [0, 1, 2, 7, 2 ** 16, 2 ** 31, 2 ** 32 - 1, 2 ** 53 - 2, 2 ** 53 - 1];

function strangeMessage(random: Random): Message {
  const extreme = () => random.pick(EXTREMES);
  switch (random.int(0, 6)) {
    case 0:
      return { kind: 'ack', settled: strangeEntries(random) };
    case 1:
      return {
        kind: 'settled',
        firstEpochIndex: random.int(0, 4),
        settled: strangeEntries(random),
      };
    case 2:
      return {
        kind: 'reject',
        epochIndex: extreme(),
        seq: 1,
        code: 'crc',
        text: '\u001b[2J'.repeat(99),
      };
    case 3:
      return {
        kind: 'ping',
        id: extreme(),
        bytesReceived: extreme(),
        highest: { epochIndex: extreme(), seq: extreme() },
      };
    case 4:
      return { kind: 'pong', id: extreme(), bytesReceived: extreme(), highest: undefined };
    case 5:
      return {
        kind: 'bye',
        reason: 'overloaded',
        retryAfterMs: 0xffff_ffff,
        text: '\u202e'.repeat(170),
      };
    default:
      return random.pick<Message>([
        { kind: 'epochs', more: false, epochs: [] },
        { kind: 'gap', gaps: [] },
        {
          kind: 'frames',
          epochIndex: 0,
          frames: [{ seq: 1, capturedAt: 0, crc: 0, payload: NONCE }],
        },
        greetingOf(OTHER_STORE_ID),
      ]);
  }
}

function strangeTerms(random: Random): Terms {
  const extreme = () => random.pick(EXTREMES.filter((value) => value < 2 ** 32));
  return {
    heartbeatIntervalMs: extreme(),
    retrySpreadMs: extreme(),
    retryCapMs: extreme(),
    payloadBytesMax: extreme(),
    windowBytesMax: extreme(),
    zstd: random.chance(0.5),
  };
}

/** Ranges that overlap, lie outside all that was sent, or speak of epochs that nobody announced. */
function strangeEntries(random: Random): SettledEntry[] {
  return Array.from({ length: random.pick([0, 1, 3, 64]) }, () => {
    const ends = [random.pick(EXTREMES), random.int(1, 20)].map((end) => Math.max(1, end));
    const [from = 1, to = 1] = ends.sort((a, b) => a - b);
    const epochIndex = random.chance(0.9)
      ? random.int(0, EPOCHS.length - 1)
      : random.pick(EXTREMES);
    return { epochIndex, from, to, state: random.pick(SETTLED_STATES), code: random.int(0, 255) };
  });
}
