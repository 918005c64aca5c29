/**
 * The lab as processes, whole and real, in a state folder and on ports of its own: brought up by the
 * commands that people use, harmed through its ground, and healed. One lab for all; each test leaves
 * it whole.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PORT_IN_COMPOSE } from '#lab/ground/ground.ts';
import { openGround } from '#lab/ground/open.ts';
import { ControlClient } from '#lab/ground/process/client.ts';
import { ProcessGround } from '#lab/ground/process/ground.ts';
import { markedWith } from '#lab/ground/process/proc.ts';
import { Link } from '#lab/link.ts';
import { Pipeline } from '#lab/pipeline.ts';
import { actOn } from '#lab/service-commands.ts';
import type { LabContext } from '#lab/setup.ts';
import { status } from '#lab/status.ts';
import { down } from '#lab/stop.ts';
import { up } from '#lab/up.ts';
import { labOfItsOwn } from './own-lab.ts';
import { until } from './until.ts';

interface Lab {
  readonly link: {
    readonly state: string;
    readonly details: readonly string[];
    readonly since: string;
  };
  readonly collector_page: string;
  readonly faults: readonly object[];
}

let context: LabContext;
let pipeline: Pipeline;
let ground: ProcessGround;
let printed: string[];

const print = (line: string) => printed.push(line);

beforeAll(async () => {
  printed = [];
  context = await labOfItsOwn();
  pipeline = new Pipeline(context.config);
  await up(context, print);
  ground = await ProcessGround.open(context.files);
});

afterAll(async () => {
  await down(context, print);
  expect(markedWith(context.files.process)).toEqual([]);
  rmSync(context.files.state, { recursive: true });
});

async function totals() {
  const audit = await pipeline.audit();
  return audit.ok ? audit.value[0]?.totals : undefined;
}

/** Everything that was captured so far is stored, and more comes. */
async function untilFramesArrive(): Promise<void> {
  const since = Date.now();
  await until('a frame that is captured from now on is stored', async () => {
    const newest = await pipeline.newestStoredMs();
    return newest.ok && newest.value !== null && newest.value > since;
  });
  expect(await totals()).toMatchObject({ missing: 0, declared: 0 });
}

const generations = () =>
  Promise.all(ground.services.map(async (one) => (await one.state()).generation));

async function supervisor() {
  const client = await ControlClient.connect(context.files.process);
  if (client === null) throw new Error('there is no supervisor');
  try {
    return await client.list();
  } finally {
    client.close();
  }
}

test('a second up starts nothing anew, and status finds all of it well', async () => {
  const before = await generations();
  await up(context, print);
  expect(await generations()).toEqual(before);
  expect(await status(context, print)).toBe(0);
});

test('a cut holds frames back, and a server that is killed meanwhile comes back to them', async () => {
  const link = new Link(context.config.toxiproxyPort);
  const server = ground.service('server');
  const before = await server.state();
  const killed = server.exits.length;
  await link.cut();
  await until('frames wait', async () => {
    const answer = await pipeline.collectorStatus();
    return answer.ok && (answer.value.queue?.frames ?? 0) >= 2;
  });
  await server.kill();
  expect(server.exits.slice(killed)).toMatchObject([
    { process: 'server', signal: 'SIGKILL', injected: true },
  ]);
  await link.restore();
  await untilFramesArrive();
  expect((await server.state()).generation).not.toBe(before.generation);
});

test('the API cuts the link, notes every fault, and tells it, over a restart too', async () => {
  const api = await ground.service('server').url(PORT_IN_COMPOSE.api);
  const link = new Link(context.config.toxiproxyPort);
  const lab = async () => (await fetch(`${api}/api/v1/lab`)).json() as Promise<Lab>;
  const order = async (body: object) => {
    const response = await fetch(`${api}/api/v1/lab/link`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(200);
    return response.json() as Promise<Lab['link']>;
  };
  const leaving = new AbortController();
  const events = await fetch(`${api}/api/v1/events`, { signal: leaving.signal });
  let told = '';
  const gathered = (async () => {
    for await (const chunk of events.body ?? []) told += Buffer.from(chunk).toString();
  })().catch(() => undefined);
  const before = (await lab()).faults.length;

  const cut = await order({ action: 'cut' });
  expect(cut).toMatchObject({ state: 'cut', error: null });
  expect((await link.read()).kind).toBe('cut');
  await until('frames wait', async () => {
    const answer = await pipeline.collectorStatus();
    return answer.ok && answer.value.state !== 'Ready' && (answer.value.queue?.frames ?? 0) > 0;
  });
  await until('the event', async () => told.includes(`event: link\ndata: ${JSON.stringify(cut)}`));
  leaving.abort();
  await gathered;

  await ground.service('server').kill();
  await until('the server is back, and knows', async () => {
    const answer = await lab().catch(() => undefined);
    return answer?.link.state === 'cut' && answer;
  });
  await link.restore(); // another hand
  const { faults, collector_page: page } = await until('it is seen', async () => {
    const answer = await lab();
    return answer.link.state === 'whole' && answer;
  });
  expect(faults).toHaveLength(before + 1);
  expect(faults.at(-1)).toMatchObject({ from: cut.since, to: expect.any(String), state: 'cut' });
  expect((await fetch(page)).status).toBe(200);
  expect(await order({ action: 'slow', latency_ms: 20 })).toMatchObject({
    state: 'slow',
    details: expect.arrayContaining(['+20 ms to the server', '64 kB/s to the server']),
  });
  expect(await order({ action: 'restore' })).toMatchObject({ state: 'whole', details: [] });
  await untilFramesArrive();
});

test('a link that leads elsewhere is told by the server, and led back by it', async () => {
  const api = await ground.service('server').url(PORT_IN_COMPOSE.api);
  const link = new Link(context.config.toxiproxyPort);
  await link.divert('127.0.0.1:1');
  await until('it is seen', async () => {
    const lab = (await (await fetch(`${api}/api/v1/lab`)).json()) as Lab;
    return lab.link.state === 'slow' && lab.link.details.includes('led to 127.0.0.1:1');
  });
  await fetch(`${api}/api/v1/lab/link`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"action":"restore"}',
  });
  await untilFramesArrive();
});

test('a service is killed, frozen and thawed as by the commands, and up thaws, too', async () => {
  const act = async (action: 'kill' | 'freeze' | 'thaw') => {
    const own = await openGround(context);
    try {
      await actOn('collector', action, own, print);
    } finally {
      await own.leave();
    }
  };
  const collector = ground.service('collector');
  const before = await collector.state();
  await act('freeze');
  expect(await collector.state()).toEqual({ ...before, frozen: true });
  await act('thaw');
  expect(await collector.state()).toEqual(before);
  await untilFramesArrive();
  await act('freeze');
  await up(context, print);
  expect(await collector.state()).toEqual(before);
  await act('kill');
  await until('it is back', async () => (await collector.state()).running);
  expect((await collector.state()).generation).not.toBe(before.generation);
  await untilFramesArrive();
});

test('a load source is launched beside the collector, on ports and data of its own', async () => {
  const host = mkdtempSync(join(tmpdir(), 'holdfast-ledger-'));
  const source = await ground.launch({
    name: 'source',
    command: ['node', 'chaos/source/main.ts'],
    environment: {
      HOLDFAST_SERVER: ground.linkEntrance,
      HOLDFAST_COLLECTOR_ID: 'source-1',
      HOLDFAST_QUEUE_PATH: '/queue',
      HOLDFAST_STATUS_HOST: '0.0.0.0',
      HOLDFAST_STATUS_PORT: '9464',
    },
    ports: [9464],
    networks: ['edge'],
    data: '/queue',
    folder: { host, variable: 'HOLDFAST_LEDGER_PATH', file: 'ledger.jsonl' },
    joins: true,
  });
  await until('its frames are stored', async () => {
    const audit = await pipeline.audit();
    return (
      audit.ok &&
      audit.value.some(
        ({ collector, totals: { stored } }) => collector === 'source-1' && stored > 0,
      )
    );
  });
  const answer = await fetch(`${await source.url(9464)}/status`);
  expect(await answer.json()).toMatchObject({ collector: 'source-1' });
  expect(new URL(await source.url(9464)).host).toBe(ground.address(source, 9464));
  expect(readFileSync(join(host, 'ledger.jsonl'), 'utf8')).not.toBe('');
  const usage = await source.usage();
  for (const value of Object.values(usage)) expect(value).toBeGreaterThan(0);
  expect(await source.log(new Date(0))).not.toEqual([]);
  expect(await source.log(new Date(Date.now() + 60_000))).toEqual([]);
  const { dataPath } = source;
  await ground.remove(source);
  expect(() => ground.service('source')).toThrow("'source'");
  expect(existsSync(dataPath ?? '')).toBe(false);
  rmSync(host, { recursive: true });
});

test('one that begins with a copy of the data of another has all of its files', async () => {
  const collector = ground.service('collector');
  const clone = await ground.launch({
    name: 'clone',
    command: ['sleep', '1000'],
    environment: {},
    ports: [],
    networks: ['edge'],
    data: '/queue',
    copyOf: 'collector',
  });
  const files = readdirSync(clone.dataPath ?? '');
  expect(files).toContain('collector-id');
  expect(new Set(readdirSync(collector.dataPath ?? ''))).toEqual(new Set(files));
  expect(await collector.state()).toMatchObject({ running: true, frozen: false });
  await ground.remove(clone);
});

test('a tool of a program runs with the settings of its service', async () => {
  const { exitCode, output } = await ground
    .service('server')
    .run(['node', 'server/main.ts', 'audit']);
  expect(output).toContain('nothing is missing');
  expect(exitCode).toBe(0);
});

test('calls on a file of the queue fail where strace can be had, until that is lifted', async () => {
  const collector = ground.service('collector');
  const files = readdirSync(collector.dataPath ?? '').sort();
  const segment = files.findLast((name) => name.startsWith('segment-')) ?? '';
  const fault = {
    path: join(collector.dataPath ?? '', segment),
    calls: ['fdatasync'],
    how: { delayMs: 5 },
  } as const;
  if (ground.cannot('trace') !== null) {
    await expect(collector.failCalls(fault)).rejects.toThrow('strace');
    return;
  }
  const inForce = await collector.failCalls(fault);
  await until('calls have been delayed', async () => inForce.count() > 0);
  await inForce.lift();
  expect(await ground.heal()).toEqual([]);
  await untilFramesArrive();
});

test('the limit on open files is lowered, and what it was when that is lifted', async () => {
  const server = ground.service('server');
  const limit = async () => {
    const { programs } = await supervisor();
    const { pid } = programs.find(({ spec }) => spec.name === 'server') ?? {};
    return /^Max open files\s+(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1];
  };
  const before = await limit();
  const inForce = await server.limitFiles(256);
  expect(await limit()).toBe('256');
  await inForce.lift();
  expect(await limit()).toBe(before);
});

test('with another secret the server turns the collector away, until that is lifted', async () => {
  const inForce = await ground.changeSecret();
  await until('the collector says that it is refused', async () => {
    const answer = await pipeline.collectorStatus();
    return answer.ok && answer.value.last_error?.code === 'bye_unauthorized';
  });
  await inForce.lift();
  // One that was turned away asks again only after half a minute; a new start at once.
  await ground.service('collector').kill();
  await untilFramesArrive();
});

test('what a runner that died left behind is healed by the next, which says what it was', async () => {
  await ground.launch({
    name: 'left',
    command: ['sleep', '1000'],
    environment: {},
    ports: [],
    networks: ['edge'],
  });
  await ground.changeSecret();
  await ground.service('collector').freeze();
  await ground.service('toxiproxy').stop();
  const next = await ProcessGround.open(context.files);
  expect(await next.heal()).toEqual([
    'removed left',
    'started server anew, as make up had made it',
    'started toxiproxy',
    'thawed collector',
  ]);
  expect(await next.heal()).toEqual([]);
  await next.close();
  await untilFramesArrive();
});

test('what it can not do it says, and refuses', async () => {
  for (const ability of ['unplug', 'traffic'] as const) {
    expect(ground.cannot(ability)).toContain('network of its own');
  }
  await expect(ground.service('server').unplug()).rejects.toThrow('network of its own');
  await expect(ground.service('server').traffic()).rejects.toThrow('network of its own');
});

test('a killed supervisor is no obstacle to the next up, and costs no frame', async () => {
  const { pid } = await supervisor();
  process.kill(pid, 'SIGKILL');
  await until('its end', async () => !existsSync(`/proc/${pid}`));
  printed = [];
  expect(await status(context, print)).toBe(1);
  expect(printed.join('\n')).toContain('supervisor killed');
  await up(context, print);
  ground = await ProcessGround.open(context.files);
  await untilFramesArrive();
});

test('with TLS the same services speak TLS 1.3, and without it plain again', async () => {
  printed = [];
  await up({ ...context, config: { ...context.config, tls: '1' } }, print);
  expect(printed.join('\n')).toContain('TLS 1.3');
  await untilFramesArrive();
  await up(context, print);
  await untilFramesArrive();
});
