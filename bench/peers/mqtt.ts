/**
 * As much of MQTT 3.1.1 as it takes to publish to a topic and to subscribe to one, both at QoS 1. No
 * pings and no reconnecting: a connection that ends has failed.
 */
import type { Socket } from 'node:net';
import { BenchError } from '../errors.ts';
import { inTime } from '../in-time.ts';
import { machineMs } from '../source/commands.ts';
import { dial } from './dial.ts';

const CONNECT = 0x10;
const CONNACK = 0x20;
/** At QoS 1. */
const PUBLISH = 0x32;
/** Where DUP and RETAIN are told. */
const PUBLISH_FLAGS = 0x09;
const PUBACK = 0x40;
const PUBACK_BYTES = 4;
const SUBSCRIBE = 0x82;
const SUBACK = 0x90;

const LEVEL = 4;
const CLEAN_SESSION = 0x02;
const QOS = 1;
const PACKET_IDS = 65_535;
const ANSWER_WITHIN_MS = 10_000;

interface Packet {
  readonly type: number;
  /** Behind the fixed header; shares memory with what came. */
  readonly body: Buffer;
}

/** Takes a stream of bytes apart; a chunk may end anywhere. */
export class PacketReader {
  #kept: Buffer = Buffer.alloc(0);

  /** The packets that are whole by now. */
  read(chunk: Buffer): Packet[] {
    const bytes = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    const packets: Packet[] = [];
    let from = 0;
    for (let next = packetAt(bytes, from); next !== undefined; next = packetAt(bytes, from)) {
      packets.push(next.packet);
      from = next.end;
    }
    this.#kept = bytes.subarray(from);
    return packets;
  }
}

/** Undefined where it isn't whole yet. */
function packetAt(bytes: Buffer, from: number) {
  let at = from + 1;
  let size = 0;
  let factor = 1;
  for (let digit = 0x80; digit >= 0x80; at += 1, factor *= 0x80) {
    if (at >= bytes.length) return undefined;
    digit = bytes.readUInt8(at);
    size += (digit % 0x80) * factor;
  }
  const end = at + size;
  if (bytes.length < end) return undefined;
  return { packet: { type: bytes.readUInt8(from), body: bytes.subarray(at, end) }, end };
}

export function packetOf(type: number, parts: readonly Buffer[]): Buffer {
  return Buffer.concat(packetParts(type, parts));
}

function packetParts(type: number, parts: readonly Buffer[]): Buffer[] {
  const header = [type];
  for (let left = parts.reduce((sum, { length }) => sum + length, 0); ; left >>= 7) {
    const isLast = left < 0x80;
    header.push((left % 0x80) + (isLast ? 0 : 0x80));
    if (isLast) return [Buffer.from(header), ...parts];
  }
}

/** All in one: there may be hundreds at a time, while somebody's clock runs. */
export function pubacksOf(packetIds: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(PUBACK_BYTES * packetIds.length);
  for (const [i, id] of packetIds.entries()) {
    const at = PUBACK_BYTES * i;
    bytes.writeUInt8(PUBACK, at);
    bytes.writeUInt8(2, at + 1);
    bytes.writeUInt16BE(id, at + 2);
  }
  return bytes;
}

interface Start {
  readonly port: number;
  readonly client: string;
  /** Whether the broker forgets the client when it goes. */
  readonly clean: boolean;
  /** Told of how many acknowledgements came together. */
  readonly acknowledged?: (count: number) => void;
  /** Told of what was published to what is subscribed, and when it arrived, by {@link machineMs}. */
  readonly message?: (payload: Buffer, arrivedAtMs: number) => void;
  /** The connection has ended without `close`. */
  readonly failed: (error: Error) => void;
}

export class MqttClient {
  readonly #socket: Socket;
  readonly #start: Start;
  readonly #answered = new Map<number, (body: Buffer) => void>();

  /** Throws BenchError when the broker refuses, or is not there in time. */
  static async connect(start: Start): Promise<MqttClient> {
    const client = new MqttClient(await dial('mosquitto', start.port), start);
    const flags = start.clean ? CLEAN_SESSION : 0;
    const about = [stringOf('MQTT'), Buffer.from([LEVEL, flags, 0, 0]), stringOf(start.client)];
    const [, code] = await client.#ask(packetOf(CONNECT, about), CONNACK);
    if (code !== 0) throw new BenchError(`mosquitto refused a connection with code ${code}`);
    return client;
  }

  private constructor(socket: Socket, start: Start) {
    this.#socket = socket;
    this.#start = start;
    const reader = new PacketReader();
    socket.on('data', (chunk: Buffer) => this.#take(reader.read(chunk)));
    // `close` comes behind it.
    socket.on('error', () => {});
    socket.on('close', () => start.failed(new BenchError('mosquitto closed a connection')));
  }

  async subscribe(topic: string): Promise<void> {
    const packet = packetOf(SUBSCRIBE, [u16(1), stringOf(topic), Buffer.from([QOS])]);
    const granted = (await this.#ask(packet, SUBACK))[2];
    if (granted !== QOS) throw new BenchError(`mosquitto refused to deliver ${topic} at QoS 1`);
  }

  /** `first` makes the packets' ids: of those under way at a time no two may share one. */
  publish(topic: string, payloads: readonly Buffer[], first: number): void {
    const name = stringOf(topic);
    const parts = payloads.flatMap((payload, i) =>
      packetParts(PUBLISH, [name, u16(((first + i) % PACKET_IDS) + 1), payload]),
    );
    this.#socket.write(Buffer.concat(parts));
  }

  close(): void {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }

  /** Throws BenchError when there is none, be it in time. */
  #ask(packet: Buffer, answer: number): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#answered.set(answer, resolve);
    this.#socket.once('close', () => reject(new BenchError('mosquitto hung up')));
    this.#socket.write(packet);
    return inTime(promise, ANSWER_WITHIN_MS, 'mosquitto gave a packet no answer');
  }

  #take(packets: readonly Packet[]): void {
    const arrivedAtMs = machineMs();
    let acknowledged = 0;
    const received: number[] = [];
    for (const { type, body } of packets) {
      if (type === PUBACK) {
        acknowledged += 1;
      } else if ((type & ~PUBLISH_FLAGS) === PUBLISH) {
        const behindTopic = 2 + body.readUInt16BE(0);
        received.push(body.readUInt16BE(behindTopic));
        this.#start.message?.(body.subarray(behindTopic + 2), arrivedAtMs);
      } else {
        this.#answered.get(type)?.(body);
      }
    }
    if (received.length > 0) this.#socket.write(pubacksOf(received));
    if (acknowledged > 0) this.#start.acknowledged?.(acknowledged);
  }
}

/** As the standard writes one: its length in front. */
function stringOf(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([u16(bytes.length), bytes]);
}

function u16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
