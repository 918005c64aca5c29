/** Tokens of single collectors: the command that makes them, and the server that takes them up. */
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { endingOf } from '#server/commands/command.ts';
import { addTokenCommands } from '#server/commands/token.ts';
import { Program } from './program.ts';
import { DEADLINE, stopServing, TestCollector } from './serving.ts';
import { TOKEN } from './wire-client.ts';

let directory = '';
let tokensFile = '';
const programs: Program[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-tokens-'));
  tokensFile = join(directory, 'tokens');
});

afterEach(async () => {
  await stopServing();
  for (const program of programs.splice(0)) {
    program.process.kill('SIGKILL');
    await program.exited();
  }
  rmSync(directory, { recursive: true });
});

function program(environment: Record<string, string>, ...args: string[]): Program {
  const started = new Program({ HOLDFAST_TOKENS_FILE: tokensFile, ...environment }, ...args);
  programs.push(started);
  return started;
}

/** Runs `server token …` to its end, in this process: a hundred starts of another take long. */
async function command(...args: string[]) {
  const said = { out: '', err: '' };
  const log = vi.spyOn(console, 'log').mockImplementation((text) => {
    said.out += `${text}\n`;
  });
  const error = vi.spyOn(console, 'error').mockImplementation((text) => {
    said.err += `${text}\n`;
  });
  const server = new Command().exitOverride();
  addTokenCommands(server, {
    environment: { HOLDFAST_TOKENS_FILE: tokensFile },
    readFile: () => '',
  });
  try {
    await server.parseAsync(['token', ...args], { from: 'user' });
    return { ...said, exitCode: 0 };
  } catch (failure) {
    const ending = endingOf(failure);
    if (ending === undefined) throw failure;
    return { out: said.out, err: `${said.err}${ending.message}`, exitCode: ending.exitCode };
  } finally {
    log.mockRestore();
    error.mockRestore();
  }
}

async function newToken(collector: string): Promise<Buffer> {
  const { exitCode, out, err } = await command('add', collector);
  expect(exitCode, err).toBe(0);
  expect(out).toMatch(/^[\w-]{43}\n$/);
  return Buffer.from(out.trim());
}

function serve(environment: Record<string, string> = {}): Program {
  return program({
    HOLDFAST_STORE_PATH: join(directory, 'store'),
    HOLDFAST_INGEST_PORT: '0',
    HOLDFAST_API_PORT: '0',
    ...environment,
  });
}

async function comesIn(port: number, collector: string, token: Uint8Array) {
  const client = new TestCollector(port, token);
  await client.hello([], { collector });
  const { messages } = client.wire;
  const answer = () => messages.find(({ kind }) => kind === 'welcome' || kind === 'bye');
  await expect.poll(answer, DEADLINE).toBeDefined();
  return { client, answer: answer(), welcomed: answer()?.kind === 'welcome' };
}

const eventOf = (server: Program, event: string) => () =>
  server.logged.filter((line) => line.event === event).at(-1);

describe('the command', () => {
  test('prints a token once and keeps a key of it, in a file for its owner alone', async () => {
    const token = await newToken('edge-1');
    const text = readFileSync(tokensFile, 'utf8');
    expect(text).toMatch(/^# .*\nedge-1 [0-9a-f]{64}\n$/);
    expect(text).not.toContain(token.toString());
    expect(text).not.toContain(token.toString('hex'));
    expect(statSync(tokensFile).mode & 0o777).toBe(0o600);
  });

  test('adds, lists and removes; two tokens for each and no third', async () => {
    await newToken('edge-1');
    await newToken('edge-1');
    const listed = (await command('list')).out.trim().split('\n');
    expect(listed).toHaveLength(2);
    const [, first = ''] = listed[0]?.split(/\s+/) ?? [];
    const third = await command('add', 'edge-1');
    expect(third).toMatchObject({ exitCode: 1, out: '' });
    expect(third.err).toContain(`token remove edge-1 --fingerprint ${first}`);
    expect(await command('remove', 'edge-1', '--fingerprint', first)).toMatchObject({
      exitCode: 0,
      err: 'edge-1 comes in with its other token only\n',
    });
    expect((await command('list')).out).toBe(`${listed[1]}\n`);
    expect(await command('remove', 'edge-1')).toMatchObject({
      exitCode: 0,
      err: 'edge-1 does not come in any more\n',
    });
    expect((await command('remove', 'edge-1')).exitCode).toBe(1);
    expect(await command('list')).toMatchObject({ exitCode: 0, out: '' });
  });

  test('says what is wrong with what it was given, and leaves the file as it is', async () => {
    const missing = program({ HOLDFAST_TOKENS_FILE: '' }, 'token', 'list');
    expect(await missing.exited()).toBe(2);
    expect(missing.err).toContain('HOLDFAST_TOKENS_FILE must name the tokens file');
    const unmade = await command('list');
    expect(unmade).toMatchObject({ exitCode: 2, out: '' });
    expect(unmade.err).toMatch(/is not there: .*server token add/);
    expect(unmade.err).not.toContain('ENOENT');
    expect(await command('add', 'Edge 1')).toMatchObject({ exitCode: 2, out: '' });
    writeFileSync(tokensFile, 'edge-1 hunter2\n');
    const broken = await command('add', 'edge-2');
    expect(broken).toMatchObject({ exitCode: 2, out: '' });
    expect(broken.err).toMatch(/can't be used:\n {2}line 1 must be/);
    expect(broken.err).not.toMatch(/hunter2|at .*\.ts/);
    expect(readFileSync(tokensFile, 'utf8')).toBe('edge-1 hunter2\n');
    writeFileSync(`${tokensFile}.new`, '');
    expect((await command('add', 'edge-2')).err).toContain('another command is changing');
  });

  test('takes a token that is there, for the way from a shared one', async () => {
    writeFileSync(join(directory, 'shared'), `${TOKEN}\n`);
    const added = await command('add', 'edge-1', '--token-file', join(directory, 'shared'));
    expect(added).toMatchObject({ exitCode: 0, out: '' });
    const { port } = await serve().started();
    expect(await comesIn(port, 'edge-1', TOKEN)).toMatchObject({ welcomed: true });
  });
});

describe('a server with a tokens file', () => {
  test('lets each collector in by its own tokens, and nobody as another', async () => {
    const one = await newToken('edge-1');
    const other = await newToken('edge-2');
    const next = await newToken('edge-2');
    const server = serve({ HOLDFAST_TOKEN: TOKEN.toString() });
    const { port, api } = await server.started();
    expect(eventOf(server, 'shared_token_ignored')()).toMatchObject({ level: 'warn' });
    for (const [collector, token] of [
      ['edge-1', one],
      ['edge-2', other],
      ['edge-2', next],
    ] as const) {
      const { client, welcomed } = await comesIn(port, collector, token);
      expect(welcomed, collector).toBe(true);
      expect(client.wire.welcomed, 'the server proves the same token').toBe(true);
      client.socket.destroy();
    }
    const refused = [
      ['edge-1', other],
      ['edge-2', one],
      ['edge-1', TOKEN],
      ['edge-3', one],
    ] as const;
    const answers = [];
    for (const [collector, token] of refused) {
      answers.push((await comesIn(port, collector, token)).answer);
    }
    const no = { kind: 'bye', reason: 'unauthorized', retryAfterMs: 0, text: '' };
    expect(answers, 'one answer for all').toEqual([no, no, no, no]);
    const metrics = await fetch(`${api}/metrics`).then((answer) => answer.text());
    expect(metrics).toContain('attempts_total{reason="wrong_token"} 3');
    expect(metrics).toContain('attempts_total{reason="unknown_collector"} 1');
    const audit = await fetch(`${api}/api/v1/collectors`).then((answer) => answer.text());
    expect(audit).not.toContain('edge-3');
  });

  test('takes a change up by itself: the added comes in, the removed one is ended', async () => {
    const one = await newToken('edge-1');
    const other = await newToken('edge-2');
    const server = serve();
    const { port } = await server.started();
    const removed = await comesIn(port, 'edge-1', one);
    const stays = await comesIn(port, 'edge-2', other);
    expect([removed.welcomed, stays.welcomed]).toEqual([true, true]);
    expect((await command('remove', 'edge-1')).exitCode).toBe(0);
    await removed.client.next('bye').then((bye) => {
      expect(bye).toMatchObject({ reason: 'unauthorized', text: 'its token was withdrawn' });
    });
    await removed.client.untilClosed();
    expect((await comesIn(port, 'edge-1', one)).welcomed).toBe(false);
    const added = await newToken('edge-3');
    await expect.poll(eventOf(server, 'tokens_loaded'), DEADLINE).toMatchObject({ collectors: 2 });
    expect((await comesIn(port, 'edge-3', added)).welcomed).toBe(true);
    stays.client.send({ kind: 'ping', id: 1, bytesReceived: 0, highest: undefined });
    await stays.client.next('pong');
  });

  test('rotates a token under a connection: the new one counts before the old one goes', async () => {
    const old = await newToken('edge-1');
    const server = serve();
    const { port } = await server.started();
    const before = await comesIn(port, 'edge-1', old);
    const fresh = await newToken('edge-1');
    server.process.kill('SIGHUP');
    await expect
      .poll(() => server.logged.filter(({ event }) => event === 'tokens_loaded').length, DEADLINE)
      .toBeGreaterThan(1);
    before.client.send({ kind: 'ping', id: 1, bytesReceived: 0, highest: undefined });
    await before.client.next('pong');
    const after = await comesIn(port, 'edge-1', fresh);
    expect(after.welcomed).toBe(true);
    const fingerprint = (await command('list')).out.split(/\s+/)[1] ?? '';
    await command('remove', 'edge-1', '--fingerprint', fingerprint);
    await expect
      .poll(async () => (await comesIn(port, 'edge-1', old)).welcomed, DEADLINE)
      .toBe(false);
  });

  test.each([
    ['broken', 'edge-2 hunter2\n', /line 3 must be a collector id, a blank, and a key/],
    ['empty', '', /it is empty/],
  ])('keeps what was in force when the file is %s, and says so', async (_, text, words) => {
    const one = await newToken('edge-1');
    const whole = readFileSync(tokensFile, 'utf8');
    const server = serve();
    const { port, api } = await server.started();
    const connected = await comesIn(port, 'edge-1', one);
    if (text === '') writeFileSync(tokensFile, '');
    else appendFileSync(tokensFile, text);
    await expect.poll(eventOf(server, 'reload_refused'), DEADLINE).toMatchObject({
      level: 'error',
      msg: expect.stringMatching(words),
    });
    expect(eventOf(server, 'reload_refused')()?.msg).toContain('stays in force');
    expect(server.out).not.toContain('hunter2');
    const metrics = () => fetch(`${api}/metrics`).then((answer) => answer.text());
    expect(await metrics()).toContain('last_reload_successful{what="tokens"} 0');
    connected.client.send({ kind: 'ping', id: 1, bytesReceived: 0, highest: undefined });
    await connected.client.next('pong');
    connected.client.socket.destroy();
    expect((await comesIn(port, 'edge-1', one)).welcomed).toBe(true);
    writeFileSync(tokensFile, whole);
    await expect.poll(metrics, DEADLINE).toContain('last_reload_successful{what="tokens"} 1');
  });

  test.each([
    ['is not there', undefined, /is not there: .*server token add/],
    ['is broken', 'edge-1 x\n', /line 1 must be/],
  ])('does not start when it %s, and ends with 2', async (_, text, words) => {
    if (text !== undefined) writeFileSync(tokensFile, text);
    const server = serve();
    expect(await server.exited()).toBe(2);
    expect(server.logged.at(-1)).toMatchObject({
      level: 'fatal',
      code: 'access_file',
      msg: expect.stringMatching(words),
    });
  });

  test('starts with one, or with a shared token, and not with neither', async () => {
    const server = serve({ HOLDFAST_TOKENS_FILE: '' });
    expect(await server.exited()).toBe(2);
    expect(server.err).toContain('HOLDFAST_TOKEN must be at least 16 bytes');
    expect(server.err).toContain('or HOLDFAST_TOKENS_FILE be given; got neither');
  });
});

test('while others try tokens by the hundred a collector is served', async () => {
  const token = await newToken('edge-1');
  const server = serve();
  const { port } = await server.started();
  const { client } = await comesIn(port, 'edge-1', token);
  const intruders = Array.from({ length: 200 }, (_, n) =>
    comesIn(port, n % 2 ? 'edge-1' : `edge-${n}`, Buffer.from(`a guessed token ${n}`)),
  );
  for (let id = 1; id <= 20; id += 1) {
    client.send({ kind: 'ping', id, bytesReceived: 0, highest: undefined });
    expect(await client.next('pong')).toMatchObject({ id });
  }
  const answers = await Promise.all(intruders);
  expect(answers.filter(({ welcomed }) => welcomed)).toEqual([]);
  const lines = server.logged.filter(({ event }) => event === 'attempt_failed');
  expect(lines, 'all from one address').toHaveLength(3);
});
