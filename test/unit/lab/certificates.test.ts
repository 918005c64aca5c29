/** Certificates made here are X.509 as others read it. TLS with them: test/unit/server/tls.test.ts. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { issue, makeAuthority, validFor } from '#lab/certificates.ts';

const CA = makeAuthority('a CA', validFor(30));
const OTHER = makeAuthority('a CA', validFor(30));

describe('a certificate', () => {
  test('is signed by its CA, for its names, its purpose and its time', () => {
    const validity = {
      from: new Date('2026-01-02T03:04:05Z'),
      to: new Date('2049-12-31T23:59:59Z'),
    };
    const { cert, key } = issue(CA, 'server', ['server', 'a.example', '10.0.255.1'], validity);
    const read = new X509Certificate(cert);
    const ca = new X509Certificate(CA.cert);
    expect(read.verify(ca.publicKey)).toBe(true);
    expect(read.checkIssued(ca)).toBe(true);
    expect(read.verify(new X509Certificate(OTHER.cert).publicKey)).toBe(false);
    expect(read.ca).toBe(false);
    expect(ca.ca).toBe(true);
    expect(read.subject).toBe('CN=server');
    expect(read.issuer).toBe('CN=a CA');
    expect(read.subjectAltName).toBe('DNS:server, DNS:a.example, IP Address:10.0.255.1');
    expect(read.checkHost('a.example')).toBe('a.example');
    expect(read.checkHost('b.example')).toBeUndefined();
    expect(read.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(read.validFromDate).toEqual(validity.from);
    expect(read.validToDate).toEqual(validity.to);
    expect(key).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
  });

  test('has a serial number of its own, and is long enough for a two-byte length', () => {
    const names = Array.from({ length: 20 }, (_, n) => `name-${n}.example`);
    const many = issue(CA, 'client', ['x', ...names], validFor(1));
    expect(new X509Certificate(many.cert).subjectAltName).toContain('DNS:name-19.example');
    const serials = [1, 2, 3].map(
      () => new X509Certificate(issue(CA, 'client', ['x'], validFor(1)).cert).serialNumber,
    );
    expect(new Set(serials).size).toBe(3);
  });
});

/** Where there is an openssl: its strict reading of the standard is another than Node's. */
const openssl = ((): boolean => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

test('is right to the letter for openssl, too', () => {
  if (!openssl) return;
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-certificates-'));
  try {
    const { cert } = issue(CA, 'server', ['server'], validFor(1));
    writeFileSync(join(folder, 'ca.pem'), CA.cert);
    writeFileSync(join(folder, 'cert.pem'), cert);
    const args = ['-x509_strict', '-purpose', 'sslserver', '-CAfile', 'ca.pem', 'cert.pem'];
    const said = execFileSync('openssl', ['verify', ...args], { cwd: folder, encoding: 'utf8' });
    expect(said).toBe('cert.pem: OK\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
