/**
 * As much of MQTT 3.1.1 as it takes to publish to a topic and to subscribe to one, both at QoS 1. No
 * pings and no reconnecting: a connection that ends has failed.
 */
import type { Socket } from 'node:net';
import { BenchError } from '../errors.ts';
import { dial } from './dial.ts';

const CONNECT = 0x10;
const CONNACK = 0x20;
/** At QoS 1. */
const PUBLISH = 0x32;
/** Where DUP and RETAIN are told. */
const PUBLISH_FLAGS = 0x09;
const PUBACK = 0x40;
const SUBSCRIBE = 0x82;
const SUBACK = 0x90;

const LEVEL = 4;
const CLEAN_SESSION = 0x02;
const QOS = 1;
const PACKET_IDS = 65_535;

interface Packet {
  readonly type: number;
  /** Behind the fixed header; shares memory with what came. */
  readonly body: Buffer;
}

/** Takes a stream of bytes apart; a chunk may end anywhere. */
export class PacketReader {
  #kept: Buffer = Buffer.alloc(0);

  /** The packets that are whole by now. */
  *read(chunk: Buffer): Generator<Packet> {
    this.#kept = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    for (let first = firstOf(this.#kept); first !== undefined; first = firstOf(this.#kept)) {
      this.#kept = this.#kept.subarray(first.length);
      yield first;
    }
  }
}

function firstOf(bytes: Buffer): (Packet & { readonly length: number }) | undefined {
  let [size, factor, at] = [0, 1, 1];
  for (let digit = 0x80; digit >= 0x80; at += 1, factor *= 0x80) {
    if (at >= bytes.length) return undefined;
    digit = bytes.readUInt8(at);
    size += (digit % 0x80) * factor;
  }
  const length = at + size;
  if (bytes.length < length) return undefined;
  return { type: bytes.readUInt8(0), body: bytes.subarray(at, length), length };
}

export function packetOf(type: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const header = [type];
  for (let left = body.length; ; left = Math.floor(left / 0x80)) {
    const isLast = left < 0x80;
    header.push((left % 0x80) + (isLast ? 0 : 0x80));
    if (isLast) return Buffer.concat([Buffer.from(header), body]);
  }
}

interface Start {
  readonly port: number;
  readonly client: string;
  /** Whether the broker forgets the client when it goes. */
  readonly clean: boolean;
  /** Told of how many acknowledgements came together. */
  readonly acknowledged?: (count: number) => void;
  /** Told of what was published to what is subscribed. */
  readonly message?: (payload: Buffer) => void;
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
    const about = [textOf('MQTT'), Buffer.from([LEVEL, flags, 0, 0]), textOf(start.client)];
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
    const packet = packetOf(SUBSCRIBE, [u16(1), textOf(topic), Buffer.from([QOS])]);
    const granted = (await this.#ask(packet, SUBACK))[2];
    if (granted !== QOS) throw new BenchError(`mosquitto refused to deliver ${topic} at QoS 1`);
  }

  /** `first` makes the packets' ids: of those under way at a time no two may share one. */
  publish(topic: string, payloads: readonly Buffer[], first: number): void {
    const packets = payloads.map((payload, i) =>
      packetOf(PUBLISH, [textOf(topic), u16(((first + i) % PACKET_IDS) + 1), payload]),
    );
    this.#socket.write(Buffer.concat(packets));
  }

  close(): void {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }

  #ask(packet: Buffer, answer: number): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#answered.set(answer, resolve);
    this.#socket.once('close', () => reject(new BenchError('mosquitto hung up')));
    this.#socket.write(packet);
    return promise;
  }

  #take(packets: Iterable<Packet>): void {
    let acknowledged = 0;
    const replies: Buffer[] = [];
    for (const { type, body } of packets) {
      if (type === PUBACK) {
        acknowledged += 1;
      } else if ((type & ~PUBLISH_FLAGS) === PUBLISH) {
        const behindTopic = 2 + body.readUInt16BE(0);
        replies.push(packetOf(PUBACK, [body.subarray(behindTopic, behindTopic + 2)]));
        this.#start.message?.(body.subarray(behindTopic + 2));
      } else {
        this.#answered.get(type)?.(body);
      }
    }
    if (replies.length > 0) this.#socket.write(Buffer.concat(replies));
    if (acknowledged > 0) this.#start.acknowledged?.(acknowledged);
  }
}

function textOf(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([u16(bytes.length), bytes]);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
