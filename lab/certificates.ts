/**
 * Certificates made on the spot, for the lab and for tests: a CA, and what it signs. Node makes keys
 * and signatures and reads X.509, but doesn't write it; so here is as much of DER (X.690) and of RFC
 * 5280 as these few certificates need. Not for production: use the CA that you have.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** A certificate and its key, in PEM. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

/** Signs others. */
export interface Authority extends Identity {
  readonly name: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export interface Validity {
  readonly from: Date;
  readonly to: Date;
}

/** What a certificate is for: the ends of a connection. */
export type Purpose = 'server' | 'client';

/** Clocks of machines that talk to each other differ. */
const CLOCK_MS = 300_000;

/** From a moment ago. */
export function validFor(days: number, now = Date.now()): Validity {
  return { from: new Date(now - CLOCK_MS), to: new Date(now + days * 86_400_000) };
}

export function makeAuthority(name: string, validity: Validity): Authority {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const extensions = [
    extension(OID.basicConstraints, true, sequence(BOOLEAN_TRUE)),
    // keyCertSign and cRLSign: bits 5 and 6.
    extension(OID.keyUsage, true, bitString(Buffer.from([0x06]), 1)),
    extension(OID.subjectKeyId, false, octetString(keyId(publicKey))),
  ];
  const issuer = { name, privateKey, publicKey };
  const cert = certificate({ issuer, name, publicKey, validity, extensions });
  return { ...issuer, cert, key: pemOf(privateKey) };
}

/** `names` are DNS names and IPv4 addresses; the first is the subject's name as well. */
export function issue(
  issuer: Pick<Authority, 'name' | 'privateKey' | 'publicKey'>,
  purpose: Purpose,
  names: readonly [string, ...string[]],
  validity: Validity,
): Identity {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const usage = purpose === 'server' ? OID.serverAuth : OID.clientAuth;
  const extensions = [
    extension(OID.basicConstraints, true, sequence()),
    // digitalSignature: bit 0.
    extension(OID.keyUsage, true, bitString(Buffer.from([0x80]), 7)),
    extension(OID.extendedKeyUsage, false, sequence(objectId(usage))),
    extension(OID.subjectAltName, false, sequence(...names.map(generalName))),
    extension(OID.subjectKeyId, false, octetString(keyId(publicKey))),
    extension(OID.authorityKeyId, false, sequence(tagged(0x80, keyId(issuer.publicKey)))),
  ];
  const cert = certificate({ issuer, name: names[0], publicKey, validity, extensions });
  return { cert, key: pemOf(privateKey) };
}

const OID = {
  commonName: '2.5.4.3',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  subjectKeyId: '2.5.29.14',
  authorityKeyId: '2.5.29.35',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
} as const;

interface Content {
  readonly issuer: Pick<Authority, 'name' | 'privateKey'>;
  readonly name: string;
  readonly publicKey: KeyObject;
  readonly validity: Validity;
  readonly extensions: readonly Buffer[];
}

function certificate({ issuer, name, publicKey, validity, extensions }: Content): string {
  const algorithm = sequence(objectId(OID.ecdsaWithSha256));
  const toBeSigned = sequence(
    tagged(0xa0, integer(Buffer.from([2]))), // version 3
    integer(serialNumber()),
    algorithm,
    distinguishedName(issuer.name),
    sequence(time(validity.from), time(validity.to)),
    distinguishedName(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions)),
  );
  const signature = sign('sha256', toBeSigned, issuer.privateKey);
  const der = sequence(toBeSigned, algorithm, bitString(signature, 0));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function pemOf(key: KeyObject): string {
  return String(key.export({ type: 'pkcs8', format: 'pem' }));
}

/** Positive, and not guessable. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 20);
}

function distinguishedName(name: string): Buffer {
  const attribute = sequence(objectId(OID.commonName), tagged(0x0c, Buffer.from(name)));
  return sequence(tagged(0x31, attribute));
}

function generalName(name: string): Buffer {
  const parts = name.split('.').map(Number);
  const isAddress = parts.length === 4 && parts.every((part) => part >= 0 && part <= 255);
  return isAddress ? tagged(0x87, Buffer.from(parts)) : tagged(0x82, Buffer.from(name));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectId(id), critical ? BOOLEAN_TRUE : Buffer.alloc(0), octetString(value));
}

// --- DER: a tag, the length of what follows, the content ----------------------------------------

function tagged(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content.length)]), content]);
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  if (length < 0x1_00) return [0x81, length];
  return [0x82, length >> 8, length & 0xff];
}

const BOOLEAN_TRUE = tagged(0x01, Buffer.from([0xff]));

function sequence(...items: readonly Uint8Array[]): Buffer {
  return tagged(0x30, ...items);
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes);
}

function octetString(bytes: Buffer): Buffer {
  return tagged(0x04, bytes);
}

function bitString(bytes: Buffer, unusedBits: number): Buffer {
  return tagged(0x03, Buffer.from([unusedBits]), bytes);
}

function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return tagged(0x06, Buffer.from([40 * first + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const low = value & 0x7f;
  return value < 0x80 ? [low] : [...base128(value >> 7).map((byte) => byte | 0x80), low];
}

/** GeneralizedTime would be for 2050 and later; none of ours lives that long. */
function time(date: Date): Buffer {
  const [day, clock] = date.toISOString().slice(2, 19).split('T');
  return tagged(0x17, Buffer.from(`${day}${clock}Z`.replace(/[-:]/g, '')));
}
