/**
 * The proofs of the handshake: each end shows that it holds the token, over everything that both
 * have said so far, without sending it. PROTOCOL.md defines what the MACs cover.
 *
 * The MACs protect the handshake, not what follows: without TLS a man in the middle can wait for a
 * right handshake and then forge.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { encodeBody } from './codec.ts';
import { MAC_BYTES } from './limits.ts';
import type { Hello, Welcome } from './messages.ts';

const HELLO_LABEL = 'holdfast/2 collector';
const WELCOME_LABEL = 'holdfast/2 server';

function mac(token: Uint8Array, label: string, parts: readonly Buffer[]): Buffer {
  const hmac = createHmac('sha256', token).update(`${label}\0`);
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
export function signHello(
  token: Uint8Array,
  greetingBody: Buffer,
  hello: Omit<Hello, 'mac'>,
): Hello {
  const blank: Hello = { ...hello, mac: Buffer.alloc(MAC_BYTES) };
  return {
    ...blank,
    mac: mac(token, HELLO_LABEL, [greetingBody, unsigned(encodeBody(blank).body)]),
  };
}

/** True when a HELLO's body was made by a holder of the token for this very GREETING. */
export function verifyHello(token: Uint8Array, greetingBody: Buffer, helloBody: Buffer): boolean {
  return verify(mac(token, HELLO_LABEL, [greetingBody, unsigned(helloBody)]), helloBody);
}

/** Adds the server's proof, over the whole handshake with the collector's MAC in it. */
export function signWelcome(
  token: Uint8Array,
  greetingBody: Buffer,
  helloBody: Buffer,
  welcome: Omit<Welcome, 'mac'>,
): Welcome {
  const blank: Welcome = { ...welcome, mac: Buffer.alloc(MAC_BYTES) };
  const body = unsigned(encodeBody(blank).body);
  return { ...blank, mac: mac(token, WELCOME_LABEL, [greetingBody, helloBody, body]) };
}

/** True when a WELCOME's body was made by a holder of the token for this very handshake. */
export function verifyWelcome(
  token: Uint8Array,
  greetingBody: Buffer,
  helloBody: Buffer,
  welcomeBody: Buffer,
): boolean {
  const expected = mac(token, WELCOME_LABEL, [greetingBody, helloBody, unsigned(welcomeBody)]);
  return verify(expected, welcomeBody);
}
