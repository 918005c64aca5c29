/** The server program as a process: how it starts, stops, refuses to start, and dies. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { issue, makeAuthority, validFor } from '#lab/certificates.ts';
import { Program } from './program.ts';
import { DEADLINE, stopServing, TestCollector } from './serving.ts';
import { EPOCH_A, epochOf, framesOf, stored } from './store-contract.ts';
import { filledStore, zeroPageOf } from './store-files.ts';
import { TOKEN } from './wire-client.ts';

/** A file, where a directory would have to be. */
const MAIN_TEST = fileURLToPath(import.meta.url);

let directory = '';
const programs: Program[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-main-'));
});

afterEach(async () => {
  await stopServing();
  for (const program of programs.splice(0)) {
    program.process.kill('SIGKILL');
    await program.exited();
  }
  rmSync(directory, { recursive: true });
});

function start(more: Record<string, string> = {}, ...args: string[]): Program {
  const environment = {
    HOLDFAST_STORE_PATH: join(directory, 'store'),
    HOLDFAST_TOKEN: TOKEN.toString(),
    HOLDFAST_INGEST_PORT: '0',
    HOLDFAST_API_PORT: '0',
    ...more,
  };
  const program = new Program(environment, ...args);
  programs.push(program);
  return program;
}

test('what was acknowledged is there after a SIGKILL, and the store is the same', async () => {
  const first = start();
  const before = await first.started();
  const collector = new TestCollector(before.port);
  const { storeId } = await collector.next('greeting').then((greeting) => {
    collector.wire.messages.push(greeting);
    return greeting;
  });
  await collector.join([epochOf(EPOCH_A, 1, 500)]);
  collector.send({ kind: 'frames', epochIndex: 0, frames: framesOf(EPOCH_A, 1, 500) });
  await collector.next('ack');
  first.process.kill('SIGKILL');
  await first.exited();
  const after = await start().started();
  const again = new TestCollector(after.port);
  expect((await again.join([epochOf(EPOCH_A, 1, 500)])).settled).toEqual([
    { epochIndex: 0, ...stored(1, 500) },
  ]);
  const readable = await fetch(`${after.api}/api/v1/audit`).then((answer) => answer.json());
  expect(readable).toMatchObject({ store_id: storeId, collectors: [{ totals: { stored: 500 } }] });
});

test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it in order', async (signal) => {
  const program = start({}, 'run');
  const { port, api } = await program.started();
  const collector = new TestCollector(port);
  await collector.join();
  const events = await fetch(`${api}/api/v1/events`);
  program.process.kill(signal);
  expect(await collector.next('bye')).toMatchObject({ reason: 'shutdown' });
  expect(await program.exited()).toBe(0);
  expect(program.logged.at(-1)).toMatchObject({ event: 'stopped', service: 'holdfast-server' });
  await events.body?.cancel();
});

test('bad settings are all named, nothing is started, and it ends with 2', async () => {
  const program = start({
    HOLDFAST_INGEST_PORT: 'ninety',
    HOLDFAST_TOKEN: 'short',
    HOLDFAST_LOG_LEVEL: 'loud',
  });
  expect(await program.exited()).toBe(2);
  for (const name of ['HOLDFAST_INGEST_PORT', 'HOLDFAST_TOKEN', 'HOLDFAST_LOG_LEVEL']) {
    expect(program.err).toContain(name);
  }
  expect(program.err).not.toContain('short');
  expect(program.err).not.toContain('    at ');
});

test('the time for a HELLO is the time for a TLS handshake before it, too', async () => {
  const ca = makeAuthority('a CA', validFor(1));
  const { cert, key } = issue(ca, 'server', ['127.0.0.1'], validFor(1));
  const [certPath, keyPath] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  writeFileSync(certPath, cert);
  writeFileSync(keyPath, key);
  const program = start({
    HOLDFAST_TLS_CERT_FILE: certPath,
    HOLDFAST_TLS_KEY_FILE: keyPath,
    HOLDFAST_HELLO_TIMEOUT_MS: '1000',
  });
  const socket = connect((await program.started()).port, '127.0.0.1').resume();
  let closed = false;
  socket.on('close', () => {
    closed = true;
  });
  await expect.poll(() => closed, DEADLINE).toBe(true);
});

test('an option that does not exist ends it with 2', async () => {
  const program = start({}, '--colour');
  expect(await program.exited()).toBe(2);
  expect(program.err).toContain('--colour');
});

test('the settings in force are printed with the secret masked', async () => {
  const program = start({}, '--print-config');
  expect(await program.exited()).toBe(0);
  expect(program.out).toContain('HOLDFAST_STORE_PATH');
  expect(program.out).not.toContain(TOKEN.toString());
});

test('a port that is taken is named with the variable that moves it', async () => {
  const other = createServer();
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const address = other.address();
  const port = typeof address === 'object' ? String(address?.port) : '';
  const program = start({ HOLDFAST_INGEST_PORT: port });
  expect(await program.exited()).toBe(2);
  expect(program.logged.at(-1)).toMatchObject({
    event: 'not_started',
    code: 'EADDRINUSE',
    msg: expect.stringContaining('HOLDFAST_INGEST_PORT'),
  });
  other.close();
});

test.each([
  [
    'an address that is not of this machine',
    { HOLDFAST_INGEST_HOST: '192.0.2.1' },
    'EADDRNOTAVAIL',
  ],
  ['a path below a file', { HOLDFAST_STORE_PATH: join(MAIN_TEST, 'store') }, 'path'],
])('%s keeps it from starting, and it ends with 2', async (_, settings, code) => {
  const program = start(settings);
  expect(await program.exited()).toBe(2);
  expect(program.logged.at(-1)).toMatchObject({ event: 'not_started', code });
});

test('a store that another server works on keeps it from starting, and it ends with 2', async () => {
  await start().started();
  const second = start();
  expect(await second.exited()).toBe(2);
  expect(second.logged.at(-1)).toMatchObject({ event: 'not_started', code: 'busy' });
});

test('a store that is damaged is nothing that was set wrong: it ends with 1', async () => {
  const path = await filledStore(directory, 10);
  zeroPageOf(path, 5);
  const program = start({ HOLDFAST_STORE_PATH: directory });
  expect(await program.exited()).toBe(1);
  expect(program.logged.at(-1)).toMatchObject({ event: 'not_started', code: 'corrupt' });
});

test('a file that is no store keeps it from starting, with what to do', async () => {
  writeFileSync(join(directory, 'holdfast.db'), 'not a database');
  const program = start({ HOLDFAST_STORE_PATH: directory });
  expect(await program.exited()).toBe(2);
  expect(program.logged.at(-1)).toMatchObject({
    event: 'not_started',
    code: 'foreign',
    msg: expect.stringContaining('HOLDFAST_STORE_PATH'),
  });
});
