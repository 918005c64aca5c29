/**
 * A collector made for tests, on the codec alone: makes messages as bytes and reads what comes.
 * Knows no sockets; the session's tests hand it bytes, the ingest's tests a socket's.
 */
import { decodeBody, encodeBody } from '#protocol/codec.ts';
import { nextCounter, sealEnvelope } from '#protocol/envelope.ts';
import { Framer } from '#protocol/framer.ts';
import { type MacKey, macKeyOf, signHello, verifyWelcome } from '#protocol/handshake.ts';
import { NONCE_BYTES, PROTOCOL_VERSION } from '#protocol/limits.ts';
import { type EpochAnnouncement, type Hello, KINDS, type Message } from '#protocol/messages.ts';

export const TOKEN = Buffer.from('0123456789abcdef');
export const INSTANCE = '11111111-1111-4111-8111-111111111111';

export class WireClient {
  /** Everything that came and was not taken yet. */
  readonly messages: Message[] = [];
  /** True once a WELCOME came whose MAC is right. */
  welcomed = false;
  readonly #key: MacKey;
  readonly #framer = new Framer();
  /** That of the next message. */
  #counter = 0;
  #greetingBody: Buffer | undefined;
  #helloBody: Buffer | undefined;

  constructor(token: Uint8Array = TOKEN) {
    this.#key = macKeyOf(token);
    this.#framer.liftLimit();
  }

  /** What the server greeted with. */
  get greetingBody(): Buffer | undefined {
    return this.#greetingBody;
  }

  onBytes(bytes: Buffer): void {
    this.#framer.push(bytes);
    for (let raw = this.#framer.next(); raw; raw = this.#framer.next()) {
      const message = decodeBody(raw.kind, raw.flags, raw.body);
      if (message.kind === 'greeting') this.#greetingBody = raw.body;
      if (message.kind === 'welcome' && this.#greetingBody && this.#helloBody) {
        this.welcomed = verifyWelcome(this.#key, this.#greetingBody, this.#helloBody, raw.body);
      }
      this.messages.push(message);
    }
  }

  /** Takes the messages of a kind out. */
  take<K extends Message['kind']>(kind: K): (Message & { kind: K })[] {
    const taken = this.messages.filter(
      (message): message is Message & { kind: K } => message.kind === kind,
    );
    for (const message of taken) this.messages.splice(this.messages.indexOf(message), 1);
    return taken;
  }

  hello(epochs: readonly EpochAnnouncement[], more: Partial<Omit<Hello, 'mac'>> = {}): Buffer {
    if (!this.#greetingBody) throw new Error('no GREETING came');
    const hello = signHello(this.#key, this.#greetingBody, {
      kind: 'hello',
      version: PROTOCOL_VERSION,
      collector: 'c1',
      instance: INSTANCE,
      nonce: Buffer.alloc(NONCE_BYTES, 7),
      more: false,
      epochs,
      ...more,
    });
    this.#helloBody = encodeBody(hello).body;
    return this.bytesOf(hello);
  }

  bytesOf(message: Message): Buffer {
    const { kind, flags, body } = encodeBody(message);
    return this.sealed(KINDS[kind], flags, body);
  }

  /** Any body as the next message. */
  sealed(kind: number, flags: number, body: Buffer): Buffer {
    const bytes = sealEnvelope(kind, flags, this.#counter, body);
    this.#counter = nextCounter(this.#counter);
    return bytes;
  }
}

export function ping(id: number, highest?: { epochIndex: number; seq: number }): Message {
  return { kind: 'ping', id, bytesReceived: 0, highest };
}
