/** TLS of the link as settings, and the collector program with it against the server program. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TLS_SETTINGS, tlsOf } from '#collector/tls.ts';
import { issue, makeAuthority, validFor } from '#lab/certificates.ts';
import { type Environment, readSettings } from '#protocol/settings.ts';
import { BARE_ENVIRONMENT } from '#test/unit/environment.ts';
import { Relay } from '../producer/relay.ts';

const readText = (path: string) => readFileSync(path, 'utf8');

describe('settings', () => {
  const tls = (environment: Environment, readFile = readText) =>
    tlsOf(readSettings(TLS_SETTINGS, environment, readFile), readFile);

  test('that leave TLS off leave it out', () => {
    expect(tls({})).toBeUndefined();
    expect(tls({ HOLDFAST_TLS: 'off', HOLDFAST_TLS_CA_FILE: '' })).toBeUndefined();
  });

  test('name files, which are read anew for each dial', () => {
    let version = 1;
    const source = tls(
      {
        HOLDFAST_TLS: 'on',
        HOLDFAST_TLS_CA_FILE: 'ca',
        HOLDFAST_TLS_SERVERNAME: 'server',
        HOLDFAST_TLS_CERT_FILE: 'cert',
        HOLDFAST_TLS_KEY_FILE: 'key',
      },
      (path) => `${path} ${version}`,
    );
    expect(source?.()).toEqual({ ca: 'ca 1', servername: 'server', cert: 'cert 1', key: 'key 1' });
    version = 2;
    expect(source?.()).toMatchObject({ ca: 'ca 2', cert: 'cert 2', key: 'key 2' });
  });

  test.each([
    [{ HOLDFAST_TLS_CA_FILE: 'ca' }, 'HOLDFAST_TLS must be on where another'],
    [
      { HOLDFAST_TLS: 'on', HOLDFAST_TLS_CERT_FILE: 'cert' },
      'HOLDFAST_TLS_KEY_FILE must be given too',
    ],
    [
      { HOLDFAST_TLS: 'on', HOLDFAST_TLS_KEY_FILE: 'key' },
      'HOLDFAST_TLS_CERT_FILE must be given too',
    ],
    [{ HOLDFAST_TLS: 'yes' }, 'HOLDFAST_TLS must be one of on, off'],
    [{ HOLDFAST_TLS: 'on', HOLDFAST_TLS_SERVERNAME: '10.0.0.1' }, 'must be a host name'],
  ])('that contradict each other are refused: %o', (environment, words) => {
    expect(() => tls(environment)).toThrow(words);
  });
});

interface Audit {
  readonly collectors: readonly { readonly totals: { readonly stored: number } }[];
}

describe('the programs', () => {
  let directory = '';
  const running: ChildProcess[] = [];
  const undo: (() => void)[] = [];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
  });

  afterEach(async () => {
    for (const step of undo.splice(0)) step();
    for (const child of running.splice(0)) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
    }
    rmSync(directory, { recursive: true });
  });

  function write(name: string, text: string): string {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  }

  function run(program: 'server' | 'collector', environment: Record<string, string>) {
    const main = fileURLToPath(new URL(`../../../${program}/main.ts`, import.meta.url));
    const path = join(directory, program);
    mkdirSync(path, { recursive: true });
    const child = spawn(process.execPath, [main], {
      env: {
        ...BARE_ENVIRONMENT,
        HOLDFAST_TOKEN: 'a token of this test',
        HOLDFAST_STORE_PATH: join(path, 'store'),
        HOLDFAST_QUEUE_PATH: join(path, 'queue'),
        HOLDFAST_INGEST_PORT: '0',
        HOLDFAST_API_PORT: '0',
        HOLDFAST_STATUS_PORT: '0',
        HOLDFAST_SAMPLE_INTERVAL_MS: '100',
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    running.push(child);
    let out = '';
    child.stdout?.on('data', (text) => {
      out += text;
    });
    const logged = () =>
      out
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    const event = (name: string) => () => logged().findLast((line) => line.event === name);
    return { logged, event };
  }

  const DEADLINE = { timeout: 20_000, interval: 50 };

  test('are proven to each other by certificates, which both take up as they are renewed', async () => {
    const ca = makeAuthority('a CA', validFor(30));
    const server = issue(ca, 'server', ['server'], validFor(30));
    const client = issue(ca, 'client', ['collector'], validFor(30));
    const files = {
      HOLDFAST_TLS_CERT_FILE: write('server.pem', server.cert),
      HOLDFAST_TLS_KEY_FILE: write('server.key', server.key),
    };
    const ours = write('ca.pem', ca.cert);
    const serving = run('server', { ...files, HOLDFAST_TLS_CLIENT_CA_FILE: ours });
    await expect.poll(serving.event('started'), DEADLINE).toBeDefined();
    const { ingest, api } = serving.event('started')() ?? {};
    const way = new Relay();
    undo.push(() => way.close());
    way.upstreamPort = Number(String(ingest).split(':').at(-1));
    const [, wayPort] = (await way.listen()).split(':');
    const trusted = write('trusted.pem', ca.cert);
    const collector = run('collector', {
      // This machine by an address that does not say so: without TLS there would be a warning.
      HOLDFAST_SERVER: `0.0.0.0:${wayPort}`,
      HOLDFAST_TLS: 'on',
      HOLDFAST_TLS_CA_FILE: trusted,
      HOLDFAST_TLS_SERVERNAME: 'server',
      HOLDFAST_TLS_CERT_FILE: write('client.pem', client.cert),
      HOLDFAST_TLS_KEY_FILE: write('client.key', client.key),
    });
    const stored = async (): Promise<number> => {
      const answer = await fetch(`${api}/api/v1/audit`).then((response) => response.json());
      return (answer as Audit).collectors[0]?.totals.stored ?? 0;
    };
    await expect.poll(stored, DEADLINE).toBeGreaterThan(2);

    // Another CA for the server: first its key, for a moment without its certificate.
    const nextCa = makeAuthority('the next CA', validFor(30));
    const next = issue(nextCa, 'server', ['server'], validFor(30));
    write('server.key', next.key);
    await expect.poll(serving.event('reload_refused'), DEADLINE).toMatchObject({
      what: 'tls',
      msg: expect.stringContaining('not that of the certificate'),
    });
    write('server.pem', next.cert);
    await expect
      .poll(
        () => serving.logged().filter(({ event }) => event === 'certificate_loaded').length,
        DEADLINE,
      )
      .toBe(2);
    const before = await stored();
    await expect.poll(stored, DEADLINE).toBeGreaterThan(before);

    // The connection that is there stays; the next one meets the new certificate, with the new CA.
    write('trusted.pem', nextCa.cert);
    const { upstreamPort } = way;
    way.cut();
    way.upstreamPort = upstreamPort;
    const whileBroken = await stored();
    await expect.poll(stored, DEADLINE).toBeGreaterThan(whileBroken + 2);
    expect(collector.event('link_backoff')()?.code).not.toMatch(/^tls/);
    expect(collector.event('link_unprotected')()).toBeUndefined();
  }, 60_000);
});
