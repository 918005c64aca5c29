/**
 * The ways in which a message is spoilt: each takes a right one and puts something else on the
 * stream. Most seal what they have changed anew, with the right length, counter and CRC, for
 * otherwise nothing behind the envelope's checks would ever be reached.
 *
 * Knows the envelope and the FRAMES body; not who speaks to whom.
 */
import { constants, crc32, zstdCompressSync } from 'node:zlib';
import { encodeBody } from '#protocol/codec.ts';
import { nextCounter, OFFSETS, sealEnvelope } from '#protocol/envelope.ts';
import { BODY_BYTES_MAX, HEADER_BYTES, TRAILER_BYTES } from '#protocol/limits.ts';
import { KINDS, type Message } from '#protocol/messages.ts';
import type { Random } from '#test/simulation/model/random.ts';

/** A message before it is sealed, right or not. */
export interface Draft {
  readonly kind: number;
  readonly flags: number;
  readonly body: Buffer;
}

export function draftOf(message: Message, compress = false): Draft {
  const { kind, flags, body } = encodeBody(message, compress);
  return { kind: KINDS[kind], flags, body };
}

/** One direction of one connection: what is said so far, with right counters unless they lie. */
export class Speech {
  readonly parts: Buffer[] = [];
  #counter = 0;
  #lastDraft: Draft | undefined;

  /** The draft before the newest. */
  get last(): Draft | undefined {
    return this.#lastDraft;
  }

  get counter(): number {
    return this.#counter;
  }

  say({ kind, flags, body }: Draft): void {
    this.raw(sealEnvelope(kind, flags, this.#counter, body));
    this.#counter = nextCounter(this.#counter);
    this.#lastDraft = { kind, flags, body };
  }

  /** Bytes as they are; the counter stays. */
  raw(bytes: Buffer): void {
    this.parts.push(bytes);
  }

  /** Takes the newest bytes back. */
  unsay(): Buffer {
    return this.parts.pop() ?? Buffer.alloc(0);
  }
}

type Spoil = (speech: Speech, draft: Draft, random: Random) => void;

/** Numbers at which integers go wrong, as bytes. */
const EDGES = [
  '00',
  'ff',
  '7f',
  '80',
  '0000',
  'ffff',
  '00000000',
  'ffffffff',
  '7fffffff',
  '80000000',
  '001fffffffffffff',
  '0020000000000000',
  'ffffffffffffffff',
  '8000000000000000',
  'ffffffffffffff0f',
  'ffffffffffffffffff01',
  '8080808080808000',
].map((hex) => Buffer.from(hex, 'hex'));

const LENGTHS = [0, 1, 8_192, 8_193, BODY_BYTES_MAX, BODY_BYTES_MAX + 1, 0x7fff_ffff, 0x8000_0000];

/** Where FRAMES bodies have their count and their decoded length. */
const COUNT_AT = 4;
const DECODED_LENGTH_AT = 8;
const FRAMES_DATA_AT = 12;

const BOMB = zstdCompressSync(Buffer.alloc(1_114_112));
const GREAT_BOMB = zstdCompressSync(Buffer.alloc(33_554_432));

export const MUTATIONS = {
  flipped: (speech, draft, random) => speech.say({ ...draft, body: flipped(draft.body, random) }),
  flippedOnTheWay: (speech, draft, random) => {
    speech.say(draft);
    speech.raw(flipped(speech.unsay(), random));
  },
  cut: (speech, draft, random) => speech.say({ ...draft, body: cut(draft.body, random) }),
  cutOnTheWay: (speech, draft, random) => {
    speech.say(draft);
    speech.raw(cut(speech.unsay(), random));
  },
  spliced: (speech, draft, random) =>
    speech.say({ ...draft, body: spliced(draft.body, speech.last?.body, random) }),
  splicedOnTheWay: (speech, draft, random) => {
    const before = speech.parts.at(-1);
    speech.say(draft);
    speech.raw(spliced(speech.unsay(), before, random));
  },
  repeated: (speech, draft) => {
    speech.say(draft);
    const bytes = speech.unsay();
    speech.raw(bytes);
    speech.raw(bytes);
  },
  saidTwice: (speech, draft) => {
    speech.say(draft);
    speech.say(draft);
  },
  reordered: (speech, draft) => {
    const before = speech.unsay();
    speech.say(draft);
    const bytes = speech.unsay();
    speech.raw(bytes);
    speech.raw(before);
  },
  wrongCounter: (speech, { kind, flags, body }, random) => {
    const counter = (speech.counter + random.pick([1, 2, 0x8000_0000, 0xffff_ffff])) >>> 0;
    speech.raw(sealEnvelope(kind, flags, counter, body));
  },
  wrongLength: (speech, draft, random) => {
    speech.say(draft);
    const bytes = Buffer.from(speech.unsay());
    const length = bytes.length - HEADER_BYTES - TRAILER_BYTES;
    const near = [length - 1, length + 1, length + 40].filter((value) => value >= 0);
    bytes.writeUInt32BE(random.pick([...near, ...LENGTHS]), OFFSETS.bodyLength);
    speech.raw(resealed(bytes));
  },
  wrongMagic: (speech, draft, random) => spoiltHeader(speech, draft, OFFSETS.magic, random),
  wrongVersion: (speech, draft, random) => spoiltHeader(speech, draft, OFFSETS.version, random),
  wrongKind: (speech, draft, random) => speech.say({ ...draft, kind: random.int(0, 14) }),
  wrongFlags: (speech, draft, random) => speech.say({ ...draft, flags: random.int(1, 255) }),
  edges: (speech, draft, random) => speech.say({ ...draft, body: edged(draft.body, random) }),
  emptied: (speech, draft) => speech.say({ ...draft, body: Buffer.alloc(0) }),
  longer: (speech, draft, random) =>
    speech.say({ ...draft, body: Buffer.concat([draft.body, random.bytes(random.int(1, 9))]) }),
  garbage: (speech, _draft, random) => speech.raw(random.bytes(random.int(1, 200))),
  foreignTongue: (speech, _draft, random) => speech.raw(random.pick(TONGUES)),
} satisfies Readonly<Record<string, Spoil>>;

/** Those that make of a right FRAMES one that is wrong as a whole, whatever it carries. */
export const FRAMES_MUTATIONS = {
  wrongCount: (speech, draft, random) => {
    const body = Buffer.from(draft.body);
    const count = body.readUInt32BE(COUNT_AT);
    const lies = [count - 1, count + 1, 0, 4_097, 0x8000_0000, 0xffff_ffff];
    body.writeUInt32BE(random.pick(lies.filter((lie) => lie >= 0)), COUNT_AT);
    speech.say({ ...draft, body });
  },
  wrongDecodedLength: (speech, draft, random) => {
    const body = Buffer.from(draft.body);
    const length = body.readUInt32BE(DECODED_LENGTH_AT);
    const lies = [length - 1, length + 1, 0, 1, BODY_BYTES_MAX, BODY_BYTES_MAX + 1, 0xffff_ffff];
    body.writeUInt32BE(random.pick(lies.filter((lie) => lie !== length)), DECODED_LENGTH_AT);
    speech.say({ ...draft, body });
  },
  shortData: (speech, draft) => speech.say({ ...draft, body: draft.body.subarray(0, -1) }),
  junkBehind: (speech, draft, random) =>
    speech.say({ ...draft, body: Buffer.concat([draft.body, random.bytes(random.int(1, 9))]) }),
  calledCompressed: (speech, draft) => speech.say({ ...draft, flags: draft.flags ^ 1 }),
  bomb: (speech, draft, random) => {
    const packed = random.pick([BOMB, GREAT_BOMB]);
    const head = Buffer.from(draft.body.subarray(0, FRAMES_DATA_AT));
    head.writeUInt32BE(random.pick([1, 100, 1_114_112]), DECODED_LENGTH_AT);
    speech.say({ ...draft, flags: 1, body: Buffer.concat([head, packed]) });
  },
  brokenZstd: (speech, draft, random) => {
    const head = Buffer.from(draft.body.subarray(0, FRAMES_DATA_AT));
    const data = draft.body.subarray(FRAMES_DATA_AT);
    const packed = draft.flags === 1 ? data : zstdCompressSync(data, CHECKED);
    const broken = random.pick([
      () => packed.subarray(0, -1),
      () => packed.subarray(0, random.int(0, packed.length - 1)),
      () => Buffer.concat([packed, random.bytes(random.int(1, 8))]),
      () => Buffer.concat([packed, packed]),
      () => Buffer.concat([Buffer.from('28b52ffd0088', 'hex'), packed.subarray(6)]),
    ])();
    speech.say({ ...draft, flags: 1, body: Buffer.concat([head, broken]) });
  },
} satisfies Readonly<Record<string, Spoil>>;

export const MUTATION_LIST: readonly (readonly [string, Spoil])[] = Object.entries(MUTATIONS);
export const FRAMES_MUTATION_LIST: readonly (readonly [string, Spoil])[] =
  Object.entries(FRAMES_MUTATIONS);

const CHECKED = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };

/** What comes to a port by mistake or to look around. */
const TONGUES = [
  Buffer.from('GET / HTTP/1.1\r\nHost: collector\r\n\r\n'),
  Buffer.from('16030100a5010000a10303', 'hex'),
  Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'),
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from('\n'),
];

function flipped(bytes: Buffer, random: Random): Buffer {
  if (bytes.length === 0) return Buffer.from([1]);
  const changed = Buffer.from(bytes);
  for (let flips = random.int(1, 3); flips > 0; flips -= 1) {
    const at = random.int(0, changed.length - 1);
    changed[at] = (changed[at] ?? 0) ^ (1 << random.int(0, 7));
  }
  return changed;
}

function cut(bytes: Buffer, random: Random): Buffer {
  const from = random.int(0, Math.max(0, bytes.length - 1));
  const length = random.int(1, 8);
  return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + length)]);
}

function spliced(bytes: Buffer, other: Buffer | undefined, random: Random): Buffer {
  const donor = other ?? random.bytes(16);
  const from = random.int(0, Math.max(0, donor.length - 1));
  const piece = donor.subarray(from, from + random.int(1, 24));
  const at = random.int(0, bytes.length);
  const skipped = random.chance(0.5) ? piece.length : 0;
  return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + skipped)]);
}

function edged(bytes: Buffer, random: Random): Buffer {
  const edge = random.pick(EDGES);
  const at = random.int(0, bytes.length);
  const replaced = random.chance(0.7) ? edge.length : 0;
  return Buffer.concat([bytes.subarray(0, at), edge, bytes.subarray(at + replaced)]);
}

function spoiltHeader(speech: Speech, draft: Draft, at: number, random: Random): void {
  speech.say(draft);
  const bytes = Buffer.from(speech.unsay());
  bytes.writeUInt16BE(random.int(0, 0xffff), at);
  speech.raw(resealed(bytes));
}

/** With the CRC that is right for what it has become. */
function resealed(bytes: Buffer): Buffer {
  const sealed = bytes.length - TRAILER_BYTES;
  bytes.writeUInt32BE(crc32(bytes.subarray(0, sealed)), sealed);
  return bytes;
}
