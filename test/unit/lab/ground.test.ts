/** The parts of set-up that decide or keep something: refusals, ports, image tags, status lines. */
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '#lab/config.ts';
import { formatFindings } from '#lab/doctor.ts';
import { engineRefusal } from '#lab/engine.ts';
import { EXIT, explain, LabError } from '#lab/errors.ts';
import { describeTaken, isFree, refuseTakenPorts, takenPorts } from '#lab/ports.ts';
import { contentTag } from '#lab/staging.ts';
import { describeAudit, describeAudits, describeCollector } from '#lab/status.ts';

describe('an engine that a person has to see to', () => {
  test('a socket that may not be used is told apart from a missing engine', () => {
    const refusal = engineRefusal({ kind: 'denied', socket: '/var/run/docker.sock' });
    expect(refusal).toMatchObject({ code: 'engine_denied', exitCode: EXIT.usage });
    expect(refusal?.next.join(' ')).toContain('usermod -aG docker');
  });

  test('an engine elsewhere that does not answer is never replaced by a local one', () => {
    const elsewhere = 'DOCKER_HOST=tcp://127.0.0.1:1';
    const refusal = engineRefusal({ kind: 'silent', reason: 'connection refused', elsewhere });
    expect(refusal?.message).toContain(elsewhere);
    expect(refusal?.message).toContain('connection refused');
  });

  test('an engine that answers is no refusal', () => {
    const engine = {
      clientVersion: '28',
      version: '20.10',
      apiVersion: '1.41',
      arch: 'amd64',
      os: 'linux',
    };
    expect(engineRefusal({ kind: 'ready', engine })).toBeNull();
  });
});

describe('ports', () => {
  let server: Server;
  let port: number;

  beforeEach(async () => {
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });

  afterEach(() => server.close());

  const publisher = (name: string | null) => ({ publisherOf: async () => name });
  const config = () => readConfig({ HOLDFAST_STATUS_PORT: String(port) }, '/nonexistent');
  const statusPort = async (holder: string | null, own: string[]) => {
    const taken = await takenPorts(config(), publisher(holder), new Set(own));
    return taken.filter((one) => one.port === port);
  };

  test('a port that somebody listens on is not free, and free again afterwards', async () => {
    expect(await isFree(port)).toBe(false);
    server.close();
    await once(server, 'close');
    expect(await isFree(port)).toBe(true);
  });

  test('a taken port is named with who needs it, what moves it, and a free one', async () => {
    const [taken] = await statusPort(null, []);
    if (taken === undefined) throw new Error('the port counts as free');
    expect(taken).toMatchObject({ port, variable: 'HOLDFAST_STATUS_PORT', holder: null });
    expect(taken.instead).toBeGreaterThan(port);
    expect(() => refuseTakenPorts([taken])).toThrow(LabError);
    expect(describeTaken({ ...taken, holder: 'other_1' })).toContain('container other_1');
  });

  test('a port that this lab itself publishes is not taken', async () => {
    expect(await statusPort('holdfast_collector_1', ['holdfast_collector_1'])).toEqual([]);
    expect(await statusPort('other_1', ['holdfast_collector_1'])).toHaveLength(1);
  });
});

describe('the tag of the image', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-stage-'));
    mkdirSync(join(folder, 'server', 'store'), { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{}');
    writeFileSync(join(folder, 'server', 'main.ts'), 'one');
    writeFileSync(join(folder, 'server', 'store', 'store.ts'), 'two');
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const tag = () => contentTag(folder, 'sha256:base', 'amd64');

  test('is the same for the same content in another place', () => {
    const copy = mkdtempSync(join(tmpdir(), 'holdfast-stage-'));
    cpSync(folder, copy, { recursive: true });
    expect(contentTag(copy, 'sha256:base', 'amd64')).toBe(tag());
    rmSync(copy, { recursive: true });
  });

  test('changes with a source, a name, the base image and the platform', () => {
    const tags = [
      tag(),
      contentTag(folder, 'sha256:other', 'amd64'),
      contentTag(folder, 'sha256:base', 'arm64'),
    ];
    writeFileSync(join(folder, 'server', 'main.ts'), 'changed');
    tags.push(tag());
    writeFileSync(join(folder, 'server', 'new.ts'), '');
    tags.push(tag());
    expect(new Set(tags).size).toBe(tags.length);
  });

  test('does not change with what is not in the image', () => {
    const before = tag();
    mkdirSync(join(folder, 'test'));
    writeFileSync(join(folder, 'test', 'some.test.ts'), 'x');
    expect(tag()).toBe(before);
  });
});

describe('what people read', () => {
  test('an explanation has what happened, the details and what to do', () => {
    const error = new LabError({
      code: 'disk_full',
      message: 'the disk is full',
      details: ['/var has 0.1 GB left'],
      next: ['make room'],
    });
    expect(explain(error)).toEqual([
      '✗ the disk is full',
      '    /var has 0.1 GB left',
      '  → make room',
    ]);
  });

  test('doctor puts the mending under its finding', () => {
    const lines = formatFindings([
      { verdict: 'good', name: 'Node.js', found: '26.10.0', mend: [] },
      { verdict: 'bad', name: 'disk', found: 'full', mend: ['make room'] },
    ]);
    expect(lines).toEqual(['✓ Node.js  26.10.0', '✗ disk     full', '           → make room']);
  });

  test('status tells of a collector that has nothing yet, and of one in trouble', () => {
    expect(describeCollector({})).toEqual(['no id yet: unknown since unknown']);
    expect(
      describeCollector({
        collector: 'c1',
        state: 'Backoff',
        since: '2026-01-01T00:00:00.000000Z',
        next_retry_at: '2026-01-01T00:00:01.000000Z',
        last_error: { code: 'refused', message: 'nothing listens there', at: 'T' },
        queue: { frames: 3, bytes: 900, oldest_captured_at: '2026-01-01T00:00:00.000000Z' },
      }),
    ).toEqual([
      'c1: Backoff since 2026-01-01T00:00:00.000000Z',
      'next attempt at 2026-01-01T00:00:01.000000Z',
      'last error at T: nothing listens there',
      'queue: 3 waiting, the oldest captured at 2026-01-01T00:00:00.000000Z; 900 bytes on disk',
    ]);
  });

  test('status tells nothing of an error that is over', () => {
    const error = { code: 'closed', message: 'the connection was closed', at: 'T' };
    const lines = describeCollector({
      ...{ collector: 'c1', state: 'Ready', since: 'U', last_error: error },
      queue: { frames: 0, bytes: 64, oldest_captured_at: null },
    });
    expect(lines).toEqual(['c1: Ready since U', 'queue: 0 waiting; 64 bytes on disk']);
  });

  test('status tells since when a collector is silent', () => {
    const totals = { stored: 5, declared: 0, rejected: 0, pending: 2, missing: 1 };
    const audited = { collector: 'c1', connected: false, last_heard_at: 'T', totals };
    expect(describeAudit({ ...audited, silent_since: 'T' })).toBe(
      'c1: silent since T; stored 5, pending 2, missing 1, declared 0, rejected 0',
    );
  });

  test('status has one line for all sources of chaos runs that are over', () => {
    const totals = { stored: 5, declared: 0, rejected: 0, pending: 2, missing: 1 };
    const of = (collector: string, silent_since: string | null) => ({
      ...{ collector, connected: silent_since === null, last_heard_at: 'T', silent_since, totals },
    });
    const [now, over, more] = ['09-swarm', '01-cut', '02-slow'].map(
      (name) => `chaos-20260131081500-${name}-source`,
    );
    expect(
      describeAudits([of('c1', 'T'), of(`${now}`, null), of(`${over}`, 'T'), of(`${more}`, 'T')]),
    ).toEqual([
      'c1: silent since T; stored 5, pending 2, missing 1, declared 0, rejected 0',
      `${now}: connected; stored 5, pending 2, missing 1, declared 0, rejected 0`,
      'sources of chaos runs that are over: 2; stored 10, pending 4, missing 2, declared 0, rejected 0',
    ]);
  });
});
