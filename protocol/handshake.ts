/**
 * The proofs of the handshake: each end shows that it holds the token, over everything that both
 * have said so far, without sending it. PROTOCOL.md defines what the MACs cover.
 *
 * The MACs are made with a key that is derived from the token, so that a server can keep the keys
 * of its collectors and no token. Whoever has a key can pass for its collector all the same.
 *
 * The MACs protect the handshake, not what follows: without TLS a man in the middle can wait for a
 * right handshake and then forge.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { encodeBody } from './codec.ts';
import { MAC_BYTES, MAC_KEY_BYTES } from './limits.ts';
import type { Hello, Welcome } from './messages.ts';

const KEY_LABEL = 'holdfast/2 key';
const HELLO_LABEL = 'holdfast/2 collector';
const WELCOME_LABEL = 'holdfast/2 server';

declare const macKey: unique symbol;
/** What the MACs are made with; a type of its own, so that no token is taken for one. */
export type MacKey = Buffer & { readonly [macKey]: true };

/** MAC_KEY_BYTES bytes, from which the token can't be had back. */
export function macKeyOf(token: Uint8Array): MacKey {
  return createHmac('sha256', token).update(KEY_LABEL).digest() as MacKey;
}

/** A key as it was written down; undefined when that is not MAC_KEY_BYTES bytes in hex. */
export function macKeyFromHex(text: string): MacKey | undefined {
  return HEX_KEY.test(text) ? (Buffer.from(text, 'hex') as MacKey) : undefined;
}

const HEX_KEY = new RegExp(`^[0-9a-f]{${2 * MAC_KEY_BYTES}}$`);

function mac(key: MacKey, label: string, parts: readonly Buffer[]): Buffer {
  const hmac = createHmac('sha256', key).update(`${label}\0`);
  for (const part of parts) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    hmac.update(length).update(part);
  }
  return hmac.digest();
}

/** The part of a HELLO or WELCOME body that stands before its MAC. */
function unsigned(body: Buffer): Buffer {
  return body.subarray(0, body.length - MAC_BYTES);
}

function verify(expected: Buffer, body: Buffer): boolean {
  const given = body.subarray(body.length - MAC_BYTES);
  return given.length === MAC_BYTES && timingSafeEqual(expected, given);
}

/** Adds the collector's proof. `greetingBody` is the body of the GREETING as it was received. */
export function signHello(key: MacKey, greetingBody: Buffer, hello: Omit<Hello, 'mac'>): Hello {
  const blank: Hello = { ...hello, mac: Buffer.alloc(MAC_BYTES) };
  return {
    ...blank,
    mac: mac(key, HELLO_LABEL, [greetingBody, unsigned(encodeBody(blank).body)]),
  };
}

/** True when a HELLO's body was made by a holder of the key for this very GREETING. */
export function verifyHello(key: MacKey, greetingBody: Buffer, helloBody: Buffer): boolean {
  return verify(mac(key, HELLO_LABEL, [greetingBody, unsigned(helloBody)]), helloBody);
}

/** Adds the server's proof, over the whole handshake with the collector's MAC in it. */
export function signWelcome(
  key: MacKey,
  greetingBody: Buffer,
  helloBody: Buffer,
  welcome: Omit<Welcome, 'mac'>,
): Welcome {
  const blank: Welcome = { ...welcome, mac: Buffer.alloc(MAC_BYTES) };
  const body = unsigned(encodeBody(blank).body);
  return { ...blank, mac: mac(key, WELCOME_LABEL, [greetingBody, helloBody, body]) };
}

/** True when a WELCOME's body was made by a holder of the key for this very handshake. */
export function verifyWelcome(
  key: MacKey,
  greetingBody: Buffer,
  helloBody: Buffer,
  welcomeBody: Buffer,
): boolean {
  const expected = mac(key, WELCOME_LABEL, [greetingBody, helloBody, unsigned(welcomeBody)]);
  return verify(expected, welcomeBody);
}
