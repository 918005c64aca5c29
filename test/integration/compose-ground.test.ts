/**
 * The Compose lab as a ground, on a lab of its own beside whatever runs here: each thing that can be
 * done to a service is done once, and seen to have happened and to be undone.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '#chaos/observe/wait.ts';
import { callCompose, findCompose } from '#lab/compose.ts';
import { type LabConfig, readConfig } from '#lab/config.ts';
import { Docker } from '#lab/docker.ts';
import { mend } from '#lab/ground/compose/mend.ts';
import { ComposeGround } from '#lab/ground/compose.ts';
import type { Launch, Service } from '#lab/ground/ground.ts';
import { Programs } from '#lab/process.ts';
import { TEST_PROJECT } from '#lab/stop.ts';

const COMPOSE_MS = 120_000;
const WAL = '/store/holdfast.db-wal';

const programs = new Programs(new AbortController().signal);
const docker = new Docker(programs);
let folder: string;
let config: LabConfig;
let ground: ComposeGround;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-ground-'));
  const names = ['API', 'STATUS', 'LINK', 'TOXIPROXY'].map((name) => `HOLDFAST_${name}_PORT`);
  const ports = await freePorts(names.length);
  const environment = {
    HOLDFAST_PROJECT: TEST_PROJECT,
    ...Object.fromEntries(names.map((name, index) => [name, String(ports[index])])),
  };
  config = readConfig(environment, '/nonexistent');
  await compose(['up', '--detach'], environment);
  ground = await ComposeGround.open({ config });
  await stored();
});

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await ground.heal(); // so that it spoils no other
});

afterAll(async () => {
  await ground?.close();
  await compose(['down', '--volumes', '--remove-orphans'], {});
  rmSync(folder, { recursive: true, force: true });
});

async function compose(args: string[], env: Record<string, string>): Promise<void> {
  const program = await findCompose(programs);
  if (program === null) throw new Error('there is no Compose');
  const options = { env, timeoutMs: COMPOSE_MS };
  const result = await callCompose(programs, program, TEST_PROJECT, args, options);
  if (result.exitCode !== 0) throw new Error(result.lastLines.join('\n'));
}

/** Held all at once, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  for (const server of servers) server.close();
  return ports;
}

async function ask(service: Service, port: number, path: string): Promise<unknown> {
  const answer = await fetch(`${await service.url(port)}${path}`, {
    signal: AbortSignal.timeout(2_000),
  });
  return answer.json();
}

/** Frames of all collectors in the store. */
async function total(): Promise<number> {
  const audit = (await ask(ground.service('server'), 8080, '/api/v1/audit')) as {
    collectors: { totals: { stored: number } }[];
  };
  return audit.collectors.reduce((sum, { totals }) => sum + totals.stored, 0);
}

/** More frames get stored: the whole way works. */
async function stored(): Promise<void> {
  let before: number | undefined;
  await waitUntil('a frame is stored', async () => {
    const now = await total();
    before ??= now;
    return now > before;
  });
}

async function link(): Promise<{ state: string; code: string | undefined }> {
  const status = (await ask(ground.service('collector'), 9464, '/status')) as {
    state: string;
    last_error: { code: string } | null;
  };
  return { state: status.state, code: status.last_error?.code };
}

const runs = async (service: Service) => (await service.state()).running;

/** The generation it has, once it runs and has another than that. */
async function startedAfter(service: Service, generation: string): Promise<void> {
  await waitUntil(`${service.name} runs again`, async () => {
    const state = await service.state();
    return state.running && state.generation !== generation;
  });
}

test('it has the three services, where they are reached, and no other', async () => {
  expect(ground.services.map(({ name }) => name)).toEqual(['server', 'toxiproxy', 'collector']);
  expect(() => ground.service('mangler')).toThrow(/no service mangler; it has server/);
  expect(ground.toxiproxyUrl).toBe(await ground.service('toxiproxy').url(8474));
  await expect(ground.service('toxiproxy').url(80)).rejects.toThrow(/publishes no port 80/);
  expect(
    ['trace', 'limit_files', 'unplug', 'traffic'].map((one) => ground.cannot(one as never)),
  ).toEqual([null, null, null, null]);
});

test('what is killed is brought back', async () => {
  const before = await Promise.all(ground.services.map((service) => service.state()));
  await Promise.all(ground.services.map((service) => service.kill()));
  for (const [index, service] of ground.services.entries()) {
    expect(service.exits).toMatchObject([
      { process: service.name, code: 137, signal: 'SIGKILL', injected: true },
    ]);
    await startedAfter(service, before[index]?.generation ?? '');
  }
  await stored();
});

test('a frozen service is killed like any other', async () => {
  const service = ground.service('server');
  const { generation } = await service.state();
  await service.freeze();
  expect(await service.state()).toMatchObject({ running: true, frozen: true });
  await service.kill();
  expect(service.exits.at(-1)).toMatchObject({ code: 137, injected: true });
  await startedAfter(service, generation);
  await service.thaw();
  await stored();
});

test('SIGTERM ends it with 0, and the restart policy brings it back', async () => {
  const service = ground.service('collector');
  const { generation } = await service.state();
  await service.signal('TERM');
  expect(service.exits.at(-1)).toMatchObject({ code: 0, signal: null, injected: true });
  await startedAfter(service, generation);
});

test('an end that nobody ordered is told as such', async () => {
  const service = ground.service('collector');
  const { generation } = await service.state();
  const before = service.exits.length;
  await docker.must(['exec', service.container, 'sh', '-c', 'kill -s KILL -- -1'], 'kill it');
  await waitUntil('the end is told', () => service.exits.length > before);
  expect(service.exits.at(-1)).toMatchObject({ code: 137, injected: false });
  await startedAfter(service, generation);
});

test('frozen, it answers nothing, and its kernel takes what comes; thawed, it goes on', async () => {
  const server = ground.service('server');
  await server.freeze();
  const before = await server.traffic();
  await waitUntil('packets reach it', async () => {
    return (await server.traffic()).rxPackets > before.rxPackets;
  });
  await expect(ask(server, 8080, '/healthz')).rejects.toThrow();
  expect((await server.usage()).open_files).toBeGreaterThan(10);
  await server.thaw();
  await stored();
});

test('stopped, it stays down, its files can be looked at; started, it goes on', async () => {
  const server = ground.service('server');
  await server.stop();
  expect(await runs(server)).toBe(false);
  await expect(server.url(8080)).rejects.toThrow(/does not run/);
  expect(server.exits.at(-1)).toMatchObject({ code: 0, injected: true });
  const checked = await server.run(['node', 'server/main.ts', 'store', 'check']);
  expect(checked).toMatchObject({ exitCode: 0 });
  expect((await server.usage()).disk_bytes).toBeGreaterThan(4_096);
  await server.start();
  await stored();
});

test('a command runs where its files are, as its user, in its environment', async () => {
  const script = 'console.log(process.getuid(), process.env.HOLDFAST_QUEUE_PATH)';
  const { exitCode, output } = await ground.service('collector').run(['node', '-e', script]);
  expect({ exitCode, output }).toEqual({ exitCode: 0, output: '1000 /queue\n' });
  const failed = await ground.service('collector').run(['node', '-e', 'process.exit(3)']);
  expect(failed.exitCode).toBe(3);
});

test('the log is told since a time', async () => {
  const server = ground.service('server');
  const all = await server.log(new Date(0));
  expect(all.some((line) => line.includes('"event":"started"'))).toBe(true);
  expect(await server.log(new Date())).toEqual([]);
});

test('what it takes is what its own processes take', async () => {
  for (const name of ['server', 'collector']) {
    const usage = await ground.service(name).usage();
    expect(usage.resident_bytes).toBeGreaterThan(30_000_000);
    expect(usage.open_files).toBeGreaterThan(10);
    expect(usage.disk_bytes).toBeGreaterThan(4_096);
  }
  const toxiproxy = await ground.service('toxiproxy').usage();
  expect(toxiproxy.resident_bytes).toBeGreaterThan(1_000_000);
  expect(toxiproxy.disk_bytes).toBe(0);
});

test('a store without room: calls fail, the program lives, and goes on when it is lifted', async () => {
  const server = ground.service('server');
  const before = await server.state();
  const full = await server.failCalls({
    path: WAL,
    calls: ['pwrite64', 'write'],
    how: { error: 'ENOSPC' },
  });
  await waitUntil('writes fail', () => full.count() > 2);
  const since = await total();
  expect(await total()).toBe(since);
  await full.lift();
  await stored();
  expect(await server.state()).toEqual(before);
});

test('a queue whose disk is slow, then full: calls wait, then fail, and the program lives', async () => {
  const collector = ground.service('collector');
  const before = await collector.state();
  const files = await collector.run(['sh', '-c', 'ls /queue/segment-*.log | tail -n 1']);
  const path = files.output.trim();
  const slow = await collector.failCalls({ path, calls: ['fdatasync'], how: { delayMs: 300 } });
  await waitUntil('syncs wait', () => slow.count() > 0);
  await slow.lift();
  const full = await collector.failCalls({ path, calls: ['write'], how: { error: 'ENOSPC' } });
  await waitUntil('writes fail', () => full.count() > 0);
  await full.lift();
  await stored();
  expect(await collector.state()).toEqual(before);
});

test('a store that fails its sync ends the server, which is no end by itself', async () => {
  const server = ground.service('server');
  const { generation } = await server.state();
  const before = server.exits.length;
  const broken = await server.failCalls({
    path: WAL,
    calls: ['fsync', 'fdatasync'],
    how: { error: 'EIO' },
  });
  await waitUntil('the server ends', () => server.exits.length > before);
  expect(server.exits.at(-1)).toMatchObject({ code: 1, signal: null, injected: true });
  await broken.lift();
  await startedAfter(server, generation);
  await stored();
});

test('its open files are limited, frozen or not, and no more when it is lifted', async () => {
  const server = ground.service('server');
  const limits = async () => {
    const script = 'read -r pid _ < /proc/1/task/1/children; grep files "/proc/$pid/limits"';
    const { stdout } = await docker.must(['exec', server.container, 'sh', '-c', script], 'ask');
    return stdout.split(/ +/)[3];
  };
  const before = await limits();
  await server.freeze();
  const limited = await server.limitFiles(1_024);
  await server.thaw();
  expect(await limits()).toBe('1024');
  await limited.lift();
  expect(await limits()).toBe(before);
});

test('unplugged, its name is gone for the collector; plugged in, frames flow', async () => {
  const toxiproxy = ground.service('toxiproxy');
  await toxiproxy.unplug();
  expect(await ask(toxiproxy, 8474, '/proxies')).toHaveProperty('link');
  await waitUntil(
    'the collector cannot resolve it',
    async () => {
      const { state, code } = await link();
      return state === 'Backoff' && code === 'dns';
    },
    { describe: link },
  );
  await toxiproxy.plug();
  await stored();
  await expect(ground.service('server').unplug()).rejects.toThrow(/is not in the network/);
});

test('a collector that was unplugged is reached where it was before', async () => {
  const collector = ground.service('collector');
  const url = await collector.url(9464);
  await collector.unplug();
  await expect(collector.url(9464)).rejects.toThrow(/publishes no port/);
  expect((await collector.usage()).open_files).toBeGreaterThan(10);
  expect(await collector.traffic()).toEqual({ rxBytes: 0, rxPackets: 0 });
  await collector.plug();
  expect(await collector.url(9464)).toBe(url);
  await stored();
});

test('another secret keeps the collector out until the right one is back', async () => {
  const changed = await ground.changeSecret();
  await waitUntil('the collector is refused', async () => (await link()).state === 'Backoff', {
    describe: link,
  });
  await changed.lift();
  await waitUntil('the collector is let in', async () => (await link()).state === 'Ready');
  expect(ground.service('server').exits.every(({ injected }) => injected)).toBe(true);
});

test('a program is launched beside the others, with its data, its secret and its folder', async () => {
  const source: Launch = {
    name: 'source',
    command: ['node', 'chaos/source/main.ts'],
    environment: {
      HOLDFAST_SERVER: ground.linkEntrance,
      HOLDFAST_COLLECTOR_ID: 'launched',
      HOLDFAST_QUEUE_PATH: '/queue',
      HOLDFAST_STATUS_HOST: '0.0.0.0',
    },
    ports: [9464],
    networks: ['edge', 'central'],
    data: '/queue',
    folder: { host: folder, variable: 'HOLDFAST_LEDGER_PATH', file: 'ledger.jsonl' },
    joins: true,
  };
  const service = await ground.launch(source);
  await waitUntil('it is connected', async () => {
    const status = (await ask(service, 9464, '/status')) as { state: string };
    return status.state === 'Ready';
  });
  expect(readFileSync(join(folder, 'ledger.jsonl'), 'utf8')).not.toBe('');
  const { generation } = await service.state();
  await service.kill();
  await startedAfter(service, generation);
  // The engine gives it another port at each start.
  await waitUntil('it answers again', async () => (await ask(service, 9464, '/status')) !== null);
  await service.stop();
  const clone = await ground.launch({ ...source, name: 'clone', copyOf: 'source' });
  const id = 'cat /queue/collector-id 2>/dev/null; ls /queue';
  expect((await clone.run(['sh', '-c', id])).output).toMatch(/segment-/);
  expect(ground.address(clone, 9464)).toBe('clone:9464');
  await ground.remove(clone);
  await ground.remove(service);
  expect(ground.services).toHaveLength(3);
});

test('where all was lifted there is nothing to mend', async () => {
  expect(await ground.heal()).toEqual([]);
});

test('what a runner that died has left is mended by the next, and is told', async () => {
  await ground.service('toxiproxy').unplug();
  await ground.service('collector').stop();
  await ground.service('server').limitFiles(100);
  await ground.changeSecret();
  await ground.service('server').freeze();
  await ground.launch({
    ...{ name: 'left', command: ['node', '-e', 'setInterval(() => {}, 1e6)'] },
    ...{ environment: {}, ports: [], networks: ['edge'] },
  });
  const mended = await mend({ docker, project: TEST_PROJECT, starts: true });
  expect(mended).toEqual([
    `removed the container ${TEST_PROJECT}-left`,
    'thawed server',
    `plugged toxiproxy into the network ${TEST_PROJECT}_edge again`,
    'started collector',
    'gave the server the right secret again, and started it anew',
  ]);
  await stored();
  await ground.heal();
});
