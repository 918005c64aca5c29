/** A collector's half of the handshake, for connections that are made of the protocol alone. */
import type { MessageWriter } from '#protocol/envelope.ts';
import { type MacKey, macKeyOf, signHello, verifyWelcome } from '#protocol/handshake.ts';
import type { Epoch } from '#protocol/identity.ts';
import { NONCE_BYTES, PROTOCOL_VERSION } from '#protocol/limits.ts';

export interface Joiner {
  readonly token: string;
  readonly collector: string;
  /** Of the process: its newest connection takes the place of the one before. */
  readonly instance: string;
  /** The only one that is announced, without a frame that is still to be stored. */
  readonly epoch: Epoch;
  /** All of it up to this seq was stored over earlier connections; 0 when left out: a new one. */
  readonly storedTo?: number;
}

export class Joining {
  readonly #joiner: Joiner;
  readonly #key: MacKey;
  #greetingBody: Buffer | undefined;
  #helloBody: Buffer | undefined;

  constructor(joiner: Joiner) {
    this.#joiner = joiner;
    this.#key = macKeyOf(Buffer.from(joiner.token));
  }

  /** HELLO, to be written at once. */
  onGreeting(greetingBody: Buffer, writer: MessageWriter): Buffer {
    const { collector, instance, epoch, storedTo = 0 } = this.#joiner;
    const hello = signHello(this.#key, greetingBody, {
      kind: 'hello',
      version: PROTOCOL_VERSION,
      collector,
      instance,
      nonce: Buffer.alloc(NONCE_BYTES, epoch),
      more: false,
      epochs: [{ epoch, lowest: storedTo + 1, highest: storedTo, predecessor: undefined }],
    });
    const { bytes, body } = writer.write(hello);
    this.#greetingBody = greetingBody;
    this.#helloBody = body;
    return bytes;
  }

  /** True when it comes from a holder of the token, in answer to this very HELLO. */
  isProven(welcomeBody: Buffer): boolean {
    const [greeting, hello] = [this.#greetingBody, this.#helloBody];
    return greeting && hello ? verifyWelcome(this.#key, greeting, hello, welcomeBody) : false;
  }
}
