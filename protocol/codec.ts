/**
 * One message body to bytes and back, as PROTOCOL.md prescribes. Knows nothing of streams,
 * envelopes or who may say what when (`envelope.ts`, `framer.ts`, the two ends' state machines).
 *
 * Decoding accepts exactly what encoding makes: every bound is checked before memory is taken, and
 * a body with a byte too many is as wrong as one with a byte too few.
 */
import { ByteReader, ByteWriter } from './bytes.ts';
import { assertNever, ProtocolError } from './errors.ts';
import { decodeFrames, writeFrames } from './frames.ts';
import { isCollectorId, type Predecessor } from './identity.ts';
import {
  DECODED_BYTES_MAX,
  EPOCHS_PER_MESSAGE_MAX,
  GAPS_PER_MESSAGE_MAX,
  MAC_BYTES,
  NONCE_BYTES,
  RANGES_PER_MESSAGE_MAX,
  TEXT_BYTES_MAX,
} from './limits.ts';
import {
  BYE_REASONS,
  type EpochAnnouncement,
  type GapEntry,
  type Greeting,
  type Heartbeat,
  type Hello,
  KINDS,
  type Kind,
  type Message,
  type SettledEntry,
  type Welcome,
} from './messages.ts';
import { GAP_REASONS, REJECT_CODES, SETTLED_STATES } from './settlement.ts';

const NO_EPOCH = '00000000-0000-0000-0000-000000000000';

/** A body as it stands on the wire, with the two header fields that say how to read it. */
export interface EncodedBody {
  readonly kind: Kind;
  readonly flags: number;
  readonly body: Buffer;
}

/**
 * Encodes a message. `compress` applies to FRAMES alone and is left out where it doesn't help.
 * The result shares no memory with the message.
 */
export function encodeBody(message: Message, compress = false): EncodedBody {
  const writer = new ByteWriter();
  const flags = writeMessage(writer, message, compress);
  return { kind: message.kind, flags, body: writer.finish() };
}

/** Puts a message's body behind what the writer holds, and answers the flags that go with it. */
export function writeMessage(writer: ByteWriter, message: Message, compress: boolean): number {
  if (message.kind === 'frames') return writeFrames(writer, message, compress);
  writeBody(writer, message);
  return 0;
}

function writeBody(writer: ByteWriter, message: Exclude<Message, { kind: 'frames' }>): ByteWriter {
  switch (message.kind) {
    case 'greeting':
      return writeGreeting(writer, message);
    case 'hello':
      return writeHello(writer, message);
    case 'welcome':
      return writeWelcome(writer, message);
    case 'epochs':
      return writeEpochs(writer.flag(message.more), message.epochs);
    case 'settled':
      return writeSettled(writer.uint32(message.firstEpochIndex), message.settled);
    case 'gap':
      return writeGaps(writer, message.gaps);
    case 'ack':
      return writeSettled(writer, message.settled);
    case 'reject':
      writer.varint(message.epochIndex).varint(message.seq).uint8(REJECT_CODES[message.code]);
      return writer.text(message.text, TEXT_BYTES_MAX);
    case 'ping':
    case 'pong':
      return writeHeartbeat(writer, message);
    case 'bye':
      writer.uint8(BYE_REASONS[message.reason]).uint32(message.retryAfterMs);
      return writer.text(message.text, TEXT_BYTES_MAX);
    default:
      return assertNever(message);
  }
}

/**
 * Decodes a body. Byte fields of the result are views of `body`. Frames that would inflate to more
 * than `decodedBytesMax` are refused before they do.
 * Throws ProtocolError `kind`, `flags`, `decode`, `size` or `compression`.
 */
export function decodeBody(
  kindNumber: number,
  flags: number,
  body: Buffer,
  decodedBytesMax = DECODED_BYTES_MAX,
): Message {
  const kind = kindOf(kindNumber);
  if (kind === 'frames') return decodeFrames(flags, body, decodedBytesMax);
  if (flags !== 0) throw new ProtocolError('flags', `flags ${flags} on ${kind.toUpperCase()}`);
  const reader = new ByteReader(body);
  const message = readBody(kind, reader);
  reader.end();
  return message;
}

function readBody(kind: Exclude<Kind, 'frames'>, reader: ByteReader): Message {
  switch (kind) {
    case 'greeting':
      return readGreeting(reader);
    case 'hello':
      return readHello(reader);
    case 'welcome':
      return readWelcome(reader);
    case 'epochs':
      return { kind, more: reader.flag(), epochs: readEpochs(reader) };
    case 'settled':
      return { kind, firstEpochIndex: reader.uint32(), settled: readSettled(reader) };
    case 'gap':
      return { kind, gaps: readGaps(reader) };
    case 'ack':
      return { kind, settled: readSettled(reader) };
    case 'reject':
      return {
        kind,
        epochIndex: reader.varint(),
        seq: readSeq(reader),
        code: nameOf(REJECT_CODES, reader.uint8(), 'reject code'),
        text: reader.text(TEXT_BYTES_MAX),
      };
    case 'ping':
    case 'pong':
      return readHeartbeat(kind, reader);
    case 'bye':
      return {
        kind,
        reason: nameOf(BYE_REASONS, reader.uint8(), 'bye reason'),
        retryAfterMs: reader.uint32(),
        text: reader.text(TEXT_BYTES_MAX),
      };
    default:
      return assertNever(kind);
  }
}

function writeGreeting(writer: ByteWriter, greeting: Greeting): ByteWriter {
  writer.uint8(greeting.versions.length);
  for (const version of greeting.versions) writer.uint16(version);
  return writer.bytes(greeting.nonce).uuid(greeting.storeId);
}

function readGreeting(reader: ByteReader): Greeting {
  const versions = Array.from({ length: reader.uint8() }, () => reader.uint16());
  return {
    kind: 'greeting',
    versions,
    nonce: reader.bytes(NONCE_BYTES),
    storeId: reader.uuid(),
  };
}

function writeHello(writer: ByteWriter, hello: Hello): ByteWriter {
  writer.uint16(hello.version).text(hello.collector, TEXT_BYTES_MAX).uuid(hello.instance);
  writer.bytes(hello.nonce).flag(hello.more);
  return writeEpochs(writer, hello.epochs).bytes(hello.mac);
}

function readHello(reader: ByteReader): Hello {
  const version = reader.uint16();
  const collector = reader.text(TEXT_BYTES_MAX);
  if (!isCollectorId(collector)) {
    throw new ProtocolError('decode', `${JSON.stringify(collector)} is not a collector id`);
  }
  return {
    kind: 'hello',
    version,
    collector,
    instance: reader.uuid(),
    nonce: reader.bytes(NONCE_BYTES),
    more: reader.flag(),
    epochs: readEpochs(reader),
    mac: reader.bytes(MAC_BYTES),
  };
}

function writeWelcome(writer: ByteWriter, welcome: Welcome): ByteWriter {
  writer.uint32(welcome.heartbeatIntervalMs);
  writer.uint32(welcome.retrySpreadMs).uint32(welcome.retryCapMs);
  writer.uint32(welcome.payloadBytesMax).uint32(welcome.windowBytesMax).flag(welcome.zstd);
  return writeSettled(writer, welcome.settled).bytes(welcome.mac);
}

function readWelcome(reader: ByteReader): Welcome {
  return {
    kind: 'welcome',
    heartbeatIntervalMs: reader.uint32(),
    retrySpreadMs: reader.uint32(),
    retryCapMs: reader.uint32(),
    payloadBytesMax: reader.uint32(),
    windowBytesMax: reader.uint32(),
    zstd: reader.flag(),
    settled: readSettled(reader),
    mac: reader.bytes(MAC_BYTES),
  };
}

function writeEpochs(writer: ByteWriter, epochs: readonly EpochAnnouncement[]): ByteWriter {
  writer.uint8(epochs.length);
  for (const { epoch, lowest, highest, predecessor } of epochs) {
    writer.uuid(epoch).uint64(lowest).uint64(highest);
    writer.uuid(predecessor?.epoch ?? NO_EPOCH).uint64(predecessor?.lastSeq ?? 0);
  }
  return writer;
}

function readEpochs(reader: ByteReader): EpochAnnouncement[] {
  return readList(reader, EPOCHS_PER_MESSAGE_MAX, 'epochs', () => {
    const epoch = reader.uuid();
    const lowest = readSeq(reader.uint64());
    const highest = reader.uint64();
    const predecessor = readPredecessor(reader);
    if (epoch === NO_EPOCH || epoch === predecessor?.epoch) {
      throw new ProtocolError('decode', `epoch ${epoch} cannot be announced`);
    }
    if (lowest > highest + 1) {
      throw new ProtocolError('decode', `epoch ${epoch}: lowest ${lowest}, highest ${highest}`);
    }
    return { epoch, lowest, highest, predecessor };
  });
}

function readPredecessor(reader: ByteReader): Predecessor | undefined {
  const epoch = reader.uuid();
  const lastSeq = reader.uint64();
  if (epoch !== NO_EPOCH) return { epoch, lastSeq };
  if (lastSeq !== 0) throw new ProtocolError('decode', 'a last seq without a predecessor');
  return undefined;
}

function writeSettled(writer: ByteWriter, settled: readonly SettledEntry[]): ByteWriter {
  writer.uint8(settled.length);
  for (const { epochIndex, from, to, state, code } of settled) {
    writer
      .varint(epochIndex)
      .varint(from)
      .varint(to - from);
    writer.uint8(SETTLED_STATES.indexOf(state) + 1).uint8(code);
  }
  return writer;
}

function readSettled(reader: ByteReader): SettledEntry[] {
  return readList(reader, RANGES_PER_MESSAGE_MAX, 'settled ranges', () => {
    const epochIndex = reader.varint();
    const from = readSeq(reader);
    const to = readSeq(from + reader.varint());
    const stateNumber = reader.uint8();
    const state = SETTLED_STATES[stateNumber - 1];
    if (state === undefined) {
      throw new ProtocolError('decode', `settled state ${stateNumber} doesn't exist`);
    }
    return { epochIndex, from, to, state, code: reader.uint8() };
  });
}

function writeGaps(writer: ByteWriter, gaps: readonly GapEntry[]): ByteWriter {
  writer.uint8(gaps.length);
  for (const { epochIndex, from, to, reason } of gaps) {
    writer
      .varint(epochIndex)
      .varint(from)
      .varint(to - from)
      .uint8(GAP_REASONS[reason]);
  }
  return writer;
}

function readGaps(reader: ByteReader): GapEntry[] {
  return readList(reader, GAPS_PER_MESSAGE_MAX, 'gaps', () => {
    const epochIndex = reader.varint();
    const from = readSeq(reader);
    const to = readSeq(from + reader.varint());
    return { epochIndex, from, to, reason: nameOf(GAP_REASONS, reader.uint8(), 'gap reason') };
  });
}

function writeHeartbeat(writer: ByteWriter, heartbeat: Heartbeat): ByteWriter {
  writer.varint(heartbeat.id).varint(heartbeat.bytesReceived);
  writer.flag(heartbeat.highest !== undefined);
  if (heartbeat.highest === undefined) return writer;
  return writer.varint(heartbeat.highest.epochIndex).varint(heartbeat.highest.seq);
}

function readHeartbeat(kind: 'ping' | 'pong', reader: ByteReader): Heartbeat {
  const id = reader.varint();
  const bytesReceived = reader.varint();
  const highest = reader.flag() ? { epochIndex: reader.varint(), seq: reader.varint() } : undefined;
  return { kind, id, bytesReceived, highest };
}

/** A list behind a count of 8 bits. */
function readList<T>(reader: ByteReader, countMax: number, what: string, readOne: () => T): T[] {
  const count = reader.uint8();
  if (count > countMax) throw new ProtocolError('decode', `${count} ${what}, at most ${countMax}`);
  return Array.from({ length: count }, readOne);
}

/** A seq that names a frame: 1 to 2^53 − 1. */
function readSeq(from: ByteReader | number): number {
  const seq = typeof from === 'number' ? from : from.varint();
  if (seq < 1 || !Number.isSafeInteger(seq)) {
    throw new ProtocolError('decode', `${seq} is not a seq`);
  }
  return seq;
}

function kindOf(number: number): Kind {
  for (const [kind, value] of Object.entries(KINDS)) {
    if (value === number) return kind as Kind;
  }
  throw new ProtocolError('kind', `message kind ${number} doesn't exist`);
}

function nameOf<Name extends string>(
  table: Readonly<Record<Name, number>>,
  number: number,
  what: string,
): Name {
  for (const name in table) {
    if (table[name] === number) return name;
  }
  throw new ProtocolError('decode', `${what} ${number} doesn't exist`);
}
