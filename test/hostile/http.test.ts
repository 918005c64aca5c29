/** Hostile input over HTTP, against the API of a real server and the status of a real collector. */

import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BARE_ENVIRONMENT } from '#test/unit/environment.ts';
import { EPOCH_A, epochOf, framesOf } from '../unit/server/store-contract.ts';
import { TOKEN } from '../unit/server/wire-client.ts';
import { HTTP_CASES, type HttpCase, type HttpTarget } from './http-cases.ts';
import { Peer } from './peer.ts';
import { HOLDFAST } from './server-process.ts';
import { Stage } from './stage.ts';
import { AT_ONCE_MS, until } from './until.ts';
import { messageOf } from './wire-cases.ts';

/** The longest deadline of the two, and what a busy machine takes. */
const ANSWER_MS = 12_000 + AT_ONCE_MS;

let stage: Stage;
let endCollector: () => void;
const ports: Record<HttpTarget, number> = { api: 0, status: 0 };

beforeAll(async () => {
  stage = await Stage.open();
  ports.api = Number(new URL(stage.server.api).port);
  const collector = spawn(HOLDFAST, ['collector', 'run'], {
    env: {
      ...BARE_ENVIRONMENT,
      HOLDFAST_SERVER: `127.0.0.1:${stage.server.port}`,
      HOLDFAST_TOKEN: TOKEN.toString(),
      HOLDFAST_QUEUE_PATH: join(stage.server.directory, 'queue'),
      HOLDFAST_STATUS_PORT: '0',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  endCollector = () => collector.kill('SIGKILL');
  createInterface(collector.stdout).on('line', (line) => {
    const { event, port } = JSON.parse(line) as { event: string; port: number };
    if (event === 'status_listening') ports.status = port;
  });
  await until('the collector listens', () => ports.status > 0);
});

afterAll(async () => {
  endCollector();
  await stage.close();
});

/** All that comes back until the connection ends. */
async function exchange(port: number, send: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  let isClosed = false;
  socket.setEncoding('latin1');
  socket.on('error', () => {});
  socket.on('close', () => {
    isClosed = true;
  });
  socket.on('data', (text) => {
    answer += text;
  });
  socket.write(Buffer.from(send, 'latin1'));
  await until('the connection ends', () => isClosed, ANSWER_MS);
  return answer;
}

async function judge(one: HttpCase, target: HttpTarget): Promise<void> {
  const answer = await exchange(ports[target], one.send);
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);
  expect(one.status, answer.slice(0, 300)).toContain(status);
  if (one.without !== undefined) expect(answer).not.toMatch(one.without);
  // No internals, whatever the answer.
  expect(answer).not.toMatch(/ {4}at |node_modules|node:internal/);
  await stage.proveHealthy();
  for (const port of Object.values(ports)) {
    expect(await exchange(port, 'GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n')).toContain(
      ' 200 ',
    );
  }
}

const rows = HTTP_CASES.flatMap((one) => one.on.map((target) => ({ ...one, target })));

test.each(rows.filter(({ isSlow }) => isSlow !== true))('$id $target: $name', (one) =>
  judge(one, one.target),
);

describe.concurrent('waiting', () => {
  test.each(rows.filter(({ isSlow }) => isSlow === true))('$id $target: $name', (one) =>
    judge(one, one.target),
  );
});

test('H24 readers of events past the cap get 503, and the others their answers', async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const answers = await Promise.all(
    Array.from({ length: 110 }, () => fetch(`${stage.server.api}/api/v1/events`, { signal })),
  );
  const taken = answers.filter(({ status }) => status === 200);
  expect(taken).toHaveLength(100);
  expect(answers.filter(({ status }) => status === 503)).toHaveLength(10);
  await stage.apiMustAnswer('healthy');
  await stage.proveHealthy();
  controller.abort();
});

test('H27 with its database held by another the server is alive, not ready, and heals', async () => {
  const other = await Stage.open();
  const { server } = other;
  const status = async (path: string) => (await fetch(`${server.api}${path}`)).status;
  const peer = await Peer.joined(server, 'waits', [epochOf(EPOCH_A, 1, 3)]);
  const database = new DatabaseSync(join(server.directory, 'store', 'holdfast.db'));
  database.exec('BEGIN IMMEDIATE');
  peer.send(messageOf(framesOf(EPOCH_A, 1, 3)));
  expect(await peer.next('bye')).toMatchObject({ reason: 'store_unavailable' });
  expect(await status('/healthz')).toBe(200);
  expect(await status('/readyz')).toBe(503);
  database.exec('ROLLBACK');
  database.close();
  const again = await Peer.joined(server, 'waits', [epochOf(EPOCH_A, 1, 3)]);
  again.send(messageOf(other.vouch('waits', EPOCH_A, framesOf(EPOCH_A, 1, 3))));
  await again.acked(3);
  expect(await status('/readyz')).toBe(200);
  await other.mustHoldWhatWasSent('waits');
  await other.close();
});

test('H27 a server that is frozen answers nobody, and all of them when it goes on', async () => {
  const { server } = stage;
  server.process.kill('SIGSTOP');
  const asked = fetch(`${server.api}/healthz`);
  const late = Peer.joined(server, 'late', [epochOf(EPOCH_A, 1, 3)]);
  server.process.kill('SIGCONT');
  expect((await asked).status).toBe(200);
  expect((await late).isClosed).toBe(false);
});
