/**
 * The codec against the golden vectors: data files that were checked once against an independent
 * reading of PROTOCOL.md, and that other implementations are checked against.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeBody } from '#protocol/codec.ts';
import { MessageWriter } from '#protocol/envelope.ts';
import { Framer } from '#protocol/framer.ts';
import { macKeyOf, verifyHello, verifyWelcome } from '#protocol/handshake.ts';
import { frameCrc } from '#protocol/identity.ts';
import type { Message } from '#protocol/messages.ts';

interface Vector {
  name: string;
  message: Record<string, unknown>;
  bytes: string;
}

function load(name: string) {
  const path = new URL(`../../../protocol/vectors/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8'));
}

const BYTE_FIELDS = new Set(['nonce', 'mac', 'payload']);

/** A vector's value with its hex fields as bytes. */
function toMessage(value: unknown): Message {
  return JSON.parse(JSON.stringify(value), (key, field) =>
    BYTE_FIELDS.has(key) ? Buffer.from(field, 'hex') : field,
  );
}

/** A message without its absent fields, as the vectors have it. */
function present(message: Message): unknown {
  return toMessage(
    JSON.parse(
      JSON.stringify(message, (key, field) =>
        BYTE_FIELDS.has(key) ? Buffer.from(field.data ?? field).toString('hex') : field,
      ),
    ),
  );
}

const vectors = load('messages') as Record<'collector' | 'server', Vector[]>;

describe.each(['collector', 'server'] as const)("the %s's golden messages", (side) => {
  test('are what encoding makes, message by message', () => {
    const writer = new MessageWriter();
    for (const { name, message, bytes } of vectors[side]) {
      expect(writer.write(toMessage(message)).bytes.toString('hex'), name).toBe(bytes);
    }
  });

  test('are what decoding reads', () => {
    const framer = new Framer();
    for (const { name, message, bytes } of vectors[side]) {
      framer.push(Buffer.from(bytes, 'hex'));
      const raw = framer.next();
      if (raw === undefined) throw new Error(`${name} is not a whole message`);
      const decoded = decodeBody(raw.kind, raw.flags, raw.body);
      expect(present(decoded), name).toEqual(toMessage(message));
    }
  });
});

test('frame CRCs are those of the vectors', () => {
  for (const { payload, crc, ...frame } of load('frame-crc').frames) {
    const made = frameCrc({ ...frame, payload: Buffer.from(payload, 'hex') });
    expect(made.toString(16).padStart(8, '0')).toBe(crc);
  }
});

describe('the handshake of the vectors', () => {
  const hex = load('handshake');
  const [token, greeting, hello, welcome] = [
    hex.token,
    hex.greetingBody,
    hex.helloBody,
    hex.welcomeBody,
  ].map((text) => Buffer.from(text, 'hex')) as [Buffer, Buffer, Buffer, Buffer];
  const key = macKeyOf(token);

  test('has the key that is made from its token', () => {
    expect(key.toString('hex')).toBe(hex.key);
  });

  test('is proven on both sides', () => {
    expect(verifyHello(key, greeting, hello)).toBe(true);
    expect(verifyWelcome(key, greeting, hello, welcome)).toBe(true);
  });

  test('is not proven by another token', () => {
    const other = macKeyOf(Buffer.from('another token of 32 characters..'));
    expect(verifyHello(other, greeting, hello)).toBe(false);
    expect(verifyWelcome(other, greeting, hello, welcome)).toBe(false);
  });

  test('is not proven when any bit of what both said was changed', () => {
    const flip = (bytes: Buffer, at: number): Buffer => {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      return flipped;
    };
    for (let at = 0; at < greeting.length; at += 1) {
      expect(verifyHello(key, flip(greeting, at), hello)).toBe(false);
      expect(verifyWelcome(key, flip(greeting, at), hello, welcome)).toBe(false);
    }
    for (let at = 0; at < hello.length; at += 1) {
      expect(verifyHello(key, greeting, flip(hello, at))).toBe(false);
      expect(verifyWelcome(key, greeting, flip(hello, at), welcome)).toBe(false);
    }
    for (let at = 0; at < welcome.length; at += 1) {
      expect(verifyWelcome(key, greeting, hello, flip(welcome, at))).toBe(false);
    }
  });
});
