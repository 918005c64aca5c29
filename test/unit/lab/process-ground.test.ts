/**
 * The parts of the processes' lab that decide or keep something: which ground a command means, what
 * a launch becomes on this machine, logs that are bounded, which Toxiproxy is taken.
 */
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '#lab/config.ts';
import { Docker } from '#lab/docker.ts';
import { LabError } from '#lab/errors.ts';
import { groundThatIsThere, groundToSetUp, hinted, noteGround } from '#lab/ground/choose.ts';
import type { Launch } from '#lab/ground/ground.ts';
import { orderLink } from '#lab/ground/link-of-lab.ts';
import { openGround } from '#lab/ground/open.ts';
import { throughFolder } from '#lab/ground/process/control-server.ts';
import { launchedSpec } from '#lab/ground/process/launch.ts';
import { LogFile, LogFollower, readLog } from '#lab/ground/process/log-file.ts';
import { serviceLines } from '#lab/ground/process/look.ts';
import { lockPath } from '#lab/ground/process/place.ts';
import { placeOfServices, writeServices } from '#lab/ground/process/services.ts';
import { tryHold } from '#lab/lock.ts';
import { type LabFiles, labFiles, PATHS } from '#lab/paths.ts';
import { Programs } from '#lab/process.ts';
import { status } from '#lab/status.ts';
import { toxiproxyHere } from '#lab/toxiproxy-program.ts';

let files: LabFiles;

beforeEach(() => {
  files = labFiles(mkdtempSync(join(tmpdir(), 'holdfast-ground-')));
  mkdirSync(files.process);
});

afterEach(() => rmSync(files.state, { recursive: true }));

describe('which ground is meant', () => {
  test('containers, until an up has chosen processes; and what is named before all', () => {
    expect(groundThatIsThere(undefined, files)).toBe('compose');
    noteGround(files, 'process');
    expect(groundThatIsThere(undefined, files)).toBe('process');
    expect(groundThatIsThere('compose', files)).toBe('compose');
  });

  test('processes while a supervisor works here, whatever was chosen', () => {
    noteGround(files, 'compose');
    const supervisor = tryHold(lockPath(files.process));
    expect(groundThatIsThere(undefined, files)).toBe('process');
    supervisor?.release();
    expect(groundThatIsThere(undefined, files)).toBe('compose');
  });

  const context = (environment: Record<string, string>) => {
    const signal = new AbortController().signal;
    const programs = new Programs(signal);
    const config = readConfig(environment, '/nonexistent');
    return { config, programs, docker: new Docker(programs), files, signal };
  };

  test('an up goes on as the last one, and says how to change that', async () => {
    noteGround(files, 'process');
    const printed: string[] = [];
    expect(await groundToSetUp(context({}), (line) => printed.push(line))).toBe('process');
    expect(printed.join('\n')).toContain('HOLDFAST_GROUND=compose make up');
  });

  test('containers are refused while processes run', async () => {
    const supervisor = tryHold(lockPath(files.process));
    const refused = groundToSetUp(context({ HOLDFAST_GROUND: 'compose' }), () => undefined);
    await expect(refused).rejects.toMatchObject({ code: 'ground_busy', exitCode: 2 });
    supervisor?.release();
  });

  test('that nothing runs is what a person changes first, whatever was asked for', async () => {
    const nobody = { HOLDFAST_GROUND: 'process', HOLDFAST_TOXIPROXY_PORT: '1' };
    const missing = { code: 'lab_missing', exitCode: 2 };
    await expect(status(context(nobody), () => undefined)).rejects.toMatchObject(missing);
    const cut = orderLink(context(nobody), (link) => link.cut());
    await expect(cut).rejects.toMatchObject(missing);
    const killed = openGround(context(nobody));
    await expect(killed).rejects.toMatchObject(missing);
  });

  test('of a supervisor that stands still status says so, after some seconds', async () => {
    const silent = createServer();
    const through = throughFolder(files.process);
    silent.listen(through.path);
    await once(silent, 'listening');
    const lines = await serviceLines(files, 20);
    silent.close();
    through.close();
    expect(lines).toEqual([
      {
        service: 'supervisor',
        running: false,
        words: expect.stringContaining('says nothing of the services within 0.02 s: it is frozen'),
      },
    ]);
  });

  test('a ground that there is not is a bad setting', () => {
    const read = () => readConfig({ HOLDFAST_GROUND: 'kubernetes' }, '/nonexistent');
    expect(read).toThrow(expect.objectContaining({ code: 'bad_configuration' }));
  });

  test('an engine that does not come leads to the ground that needs none', () => {
    const error = new LabError({ code: 'engine_silent', message: 'no answer', next: ['wait'] });
    expect(hinted(error).next).toEqual([
      'wait',
      'Without an engine: HOLDFAST_GROUND=process make up',
    ]);
    const other = new LabError({ code: 'disk_full', message: 'full' });
    expect(hinted(other)).toBe(other);
  });
});

describe('the services as docker-compose.yml has them', () => {
  interface InCompose {
    readonly command: readonly string[];
    readonly environment: Readonly<Record<string, string>>;
    readonly stop_grace_period: string;
  }
  const text = (path: string) => readFileSync(join(PATHS.root, path), 'utf8');
  const compose: Readonly<Record<string, InCompose>> = parse(text('docker-compose.yml'), {
    merge: true,
  }).services;
  const specOf = (name: string) => {
    const config = readConfig({ TLS: '1' }, '/nonexistent');
    const rest = { ingestPort: 9000, toxiproxy: '/toxiproxy', sources: '' };
    const spec = writeServices({ config, files, ...rest }).find((one) => one.name === name);
    if (spec === undefined) throw new Error(`there is no ${name}`);
    return spec;
  };
  /** Set by the image, and the name by which containers find each other. */
  const OF_CONTAINERS = new Set(['NODE_ENV', 'HOLDFAST_API_HOSTS']);
  const settings = (values: Readonly<Record<string, string>> = {}) =>
    Object.entries(values).filter(([name]) => !OF_CONTAINERS.has(name));
  /** Places are others here, and TLS is off in the file as it stands. */
  const DIFFERS = /_(PORT|HOST|PATH|FILE|TLS|SERVER|SERVERNAME|TOXIPROXY|EXIT|PAGE)$/;

  test.each(['server', 'toxiproxy', 'collector'])(
    'the %s has the same settings and as long for its end',
    (name) => {
      const { environment, graceMs } = specOf(name);
      const [here, there] = [settings(environment), settings(compose[name]?.environment)];
      const names = (list: typeof here) => list.map(([one]) => one).sort();
      expect(names(here)).toEqual(names(there));
      const alike = (list: typeof here) =>
        Object.fromEntries(list.filter(([one]) => !DIFFERS.test(one)));
      expect(alike(here)).toEqual(alike(there));
      expect(`${graceMs / 1_000}s`).toBe(compose[name]?.stop_grace_period);
    },
  );

  test.each(['server', 'collector'])('the %s has the same words of its command', (name) => {
    const [, ...here] = specOf(name).command;
    const relative = here.map((word) => word.replace(`${PATHS.root}/`, ''));
    expect(['node', ...relative]).toEqual(compose[name]?.command);
  });

  test('the server has the flags of ./holdfast', () => {
    const flags = specOf('server').command.filter((word) => word.startsWith('--'));
    expect(text('holdfast')).toContain(`exec node ${flags.join(' ')} "$root/server/main.ts"`);
  });
});

describe('what a launch becomes', () => {
  const launch: Launch = {
    name: 'source',
    command: ['node', 'chaos/source/main.ts', '--listen', '0.0.0.0:9100', 'plain'],
    environment: {
      HOLDFAST_SERVER: '127.0.0.1:9004',
      HOLDFAST_STATUS_HOST: '0.0.0.0',
      HOLDFAST_STATUS_PORT: '9464',
      HOLDFAST_LOAD_FRAMES: '9464',
      HOLDFAST_QUEUE_PATH: '/queue',
      OTHER_PATH: '/queue-not',
    },
    ports: [9464, 9100],
    networks: ['edge'],
    data: '/queue',
    folder: { host: '/somewhere', variable: 'HOLDFAST_LEDGER_PATH', file: 'ledger.jsonl' },
    joins: true,
  };

  test('listens on loopback, on ports that are free; what only looks like a port stays', async () => {
    const { environment, command, ports } = await launchedSpec(launch, { files, secured: false });
    expect(new Set(Object.values(ports)).size).toBe(2);
    expect(environment).toMatchObject({
      HOLDFAST_SERVER: '127.0.0.1:9004',
      HOLDFAST_STATUS_HOST: '127.0.0.1',
      HOLDFAST_STATUS_PORT: String(ports[9464]),
      HOLDFAST_LOAD_FRAMES: '9464',
    });
    expect(command.slice(2)).toEqual(['--listen', `127.0.0.1:${ports[9100]}`, 'plain']);
  });

  test('runs our program by its whole path, on the Node.js that runs here', async () => {
    const { command } = await launchedSpec(launch, { files, secured: false });
    expect(command[0]).toBe(process.execPath);
    expect(statSync(command[1] ?? '').isFile()).toBe(true);
  });

  test('has its data in a folder of its own, and the file that it is to write elsewhere', async () => {
    const { environment, data } = await launchedSpec(launch, { files, secured: false });
    expect(data).toBe(join(files.process, 'launched', 'source', 'queue'));
    expect(environment).toMatchObject({
      HOLDFAST_QUEUE_PATH: data,
      OTHER_PATH: '/queue-not',
      HOLDFAST_LEDGER_PATH: '/somewhere/ledger.jsonl',
    });
  });

  test('joins with the secret of the lab, and its TLS where that is on', async () => {
    const plain = await launchedSpec(launch, { files, secured: false });
    expect(plain.environment).toMatchObject({
      HOLDFAST_TOKEN_FILE: files.token,
      HOLDFAST_TLS: 'off',
    });
    const { environment } = await launchedSpec(launch, { files, secured: true });
    expect(environment).toMatchObject({ HOLDFAST_TLS: 'on', HOLDFAST_TLS_SERVERNAME: 'server' });
    const { environment: stranger } = await launchedSpec(
      { ...launch, joins: false },
      { files, secured: true },
    );
    expect(stranger.HOLDFAST_TOKEN_FILE).toBeUndefined();
  });
});

describe('logs', () => {
  test('take no more room than three files, the newest lines in order', () => {
    const path = join(files.process, 'one.log');
    const log = new LogFile(path, 1_000);
    for (let line = 0; line < 200; line += 1) log.write(`line ${line}`);
    log.close();
    const names = readdirSync(files.process).sort();
    expect(names).toEqual(['one.log', 'one.log.1', 'one.log.2']);
    for (const name of names) expect(statSync(join(files.process, name)).size).toBeLessThan(1_001);
    const lines = readLog(path).map(({ text }) => Number(text.split(' ')[1]));
    expect(lines.at(-1)).toBe(199);
    expect(lines).toEqual(lines.map((_, index) => (lines[0] ?? 0) + index));
  });

  test('can be followed, past the moment at which one is set aside', () => {
    const path = join(files.process, 'one.log');
    const log = new LogFile(path, 100);
    log.write('before');
    const follower = new LogFollower(path);
    expect(follower.read()).toEqual([]);
    log.write('first');
    expect(follower.read().map(({ text }) => text)).toEqual(['first']);
    log.write('x'.repeat(80));
    log.write('set aside');
    expect(follower.read().map(({ text }) => text)).toEqual(['set aside']);
    log.close();
  });
});

test('the ports of a lab that is there are read from what it was made of', () => {
  const config = readConfig({ HOLDFAST_API_PORT: '18080' }, '/nonexistent');
  writeServices({ files, config, ingestPort: 12_345, toxiproxy: '/toxiproxy', sources: '' });
  expect(placeOfServices(files)).toEqual({
    HOLDFAST_API_PORT: '18080',
    HOLDFAST_STATUS_PORT: '9464',
    HOLDFAST_LINK_PORT: '9004',
    HOLDFAST_TOXIPROXY_PORT: '8474',
  });
  const [link] = JSON.parse(readFileSync(join(files.process, 'toxiproxy.json'), 'utf8'));
  expect(link).toMatchObject({ listen: '127.0.0.1:9004', upstream: '127.0.0.1:12345' });
});

describe('the Toxiproxy that is taken', () => {
  const here = (program: string) => {
    const programs = new Programs(new AbortController().signal);
    const config = readConfig({ HOLDFAST_TOXIPROXY_PROGRAM: program }, '/nonexistent');
    return toxiproxyHere({ config, programs, docker: new Docker(programs) });
  };

  test('is the one that is named', async () => {
    const path = join(files.state, 'toxiproxy');
    writeFileSync(path, '#!/bin/sh\n', { mode: 0o755 });
    expect(await here(path)).toBe(path);
  });

  test('is refused when the one that is named is not there, is a folder, or can not be run', async () => {
    const text = join(files.state, 'text');
    writeFileSync(text, '', { mode: 0o644 });
    for (const path of ['/nonexistent/toxiproxy', files.state, text]) {
      await expect(here(path)).rejects.toMatchObject({
        code: 'bad_configuration',
        exitCode: 2,
        message: expect.stringContaining(path),
      });
    }
  });
});
