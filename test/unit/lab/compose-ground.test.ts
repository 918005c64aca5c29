/**
 * The parts of the Compose ground that need no engine: what it reads from /proc, what it asks of
 * docker (a stand-in in PATH answers), and whose doing an end was. On a real lab it is tried by
 * test/integration/compose-ground.test.ts.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Docker, type Inspected } from '#lab/docker.ts';
import { injection } from '#lab/ground/compose/call-fault.ts';
import { ContainerService } from '#lab/ground/compose/container-service.ts';
import { Ends } from '#lab/ground/compose/ends.ts';
import { sweepChaos } from '#lab/ground/compose/labels.ts';
import { createArguments } from '#lab/ground/compose/launched.ts';
import { programOf, readProcesses, readTraffic } from '#lab/ground/compose/processes.ts';
import { restoreSecret, spoilSecret } from '#lab/ground/compose/secret.ts';
import type { Launch } from '#lab/ground/ground.ts';
import { Programs } from '#lab/process.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-ground-'));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

function inspected(change: Partial<Inspected> = {}): Inspected {
  return {
    Id: 'c1',
    Name: '/lab_collector_1',
    State: { Running: true, Paused: false, Restarting: false, StartedAt: 'T' },
    Config: { Image: 'holdfast', User: '1000:1000', Env: [] },
    Mounts: [],
    NetworkSettings: { Ports: { '9464/tcp': [{ HostPort: '4711' }] }, Networks: {} },
    ...change,
  };
}

describe('/proc', () => {
  const table = [
    'process 1 0 700 3 1024 1048576',
    'process 9 7 1000 5 20000 20000', // started by 7, whose number is lower only by chance
    'process 7 1 158024 51 1024 20000',
    'process 497 0 1736 4 20000 20000', // a health check
    'process 500 497 99999 40 20000 20000', // and its child
    'process 501  0 0  ', // ended while it was looked at
  ].join('\n');

  test("a service's processes are the first one and its descendants", () => {
    expect(readProcesses(table).map(({ pid }) => pid)).toEqual([1, 9, 7]);
    expect(programOf(readProcesses(table)).map(({ pid }) => pid)).toEqual([7]);
    expect(readProcesses(table)[2]).toEqual({
      ...{ pid: 7, parent: 1, residentBytes: 158_024 * 1_024, openFiles: 51 },
      ...{ softLimit: 1_024, hardLimit: 20_000 },
    });
  });

  test('traffic is that of all interfaces but the loopback', () => {
    const text = [
      'Inter-|   Receive                                                |  Transmit',
      ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs',
      '    lo:  325915    2918    0    0    0     0          0         0   325915    2918    0',
      '  eth0:  903711     860    0    0    0     0          0         0    65750     764    0',
      '  eth1:1000 10    0    0    0     0          0         0    1     1    0',
    ].join('\n');
    expect(readTraffic(text)).toEqual({ rxBytes: 904_711, rxPackets: 870 });
  });
});

test("a fault of calls is put in strace's words", () => {
  const path = '/store/holdfast.db-wal';
  const full = { path, calls: ['pwrite64', 'write'], how: { error: 'ENOSPC' } } as const;
  expect(injection(full)).toBe('inject=pwrite64,write:error=ENOSPC');
  const slow = { path, calls: ['fdatasync'], how: { delayMs: 300 } } as const;
  expect(injection(slow)).toBe('inject=fdatasync:delay_enter=300000');
});

describe('a launch', () => {
  const launch: Launch = {
    ...{ name: 'source', command: ['node', 'chaos/source/main.ts'], networks: ['edge'] },
    ...{ environment: { HOLDFAST_TLS: 'off', A: 'b' }, ports: [9464], data: '/queue' },
    folder: { host: '/reports/1', variable: 'HOLDFAST_LEDGER_PATH', file: 'ledger.jsonl' },
  };
  const collector = inspected({
    Config: {
      ...{ Image: 'holdfast', User: '1000:1000' },
      Env: ['HOLDFAST_TLS=on', 'HOLDFAST_TLS_CA_FILE=/tls/ca.pem', 'HOLDFAST_QUEUE_PATH=/queue'],
    },
    Mounts: [
      { Type: 'bind', Source: '/lab/token', Destination: '/run/secrets/token', RW: false },
      { Type: 'volume', Name: 'v', Source: '/v', Destination: '/queue', RW: true },
    ],
  });
  const beside = () => ({
    docker: new Docker(new Programs(new AbortController().signal)),
    ...{ project: 'lab', image: 'holdfast', collector },
  });
  const optionsOf = (name: string, args: readonly string[]) =>
    args.filter((_, index) => args[index - 1] === name);

  test('is as protected as the services, in its networks, and found by label', () => {
    const args = createArguments(beside(), launch);
    const text = args.join(' ');
    for (const option of [
      ...['--init', '--read-only', '--cap-drop ALL', '--security-opt no-new-privileges:true'],
      ...['--user 1000:1000', '--memory 512m', '--pids-limit 128', '--restart unless-stopped'],
      ...['--label dev.holdfast.project=lab', '--label dev.holdfast.chaos=launched'],
      ...['--network lab_edge', '--network-alias source', '--publish 127.0.0.1::9464'],
      '--mount type=bind,src=/reports/1,dst=/folder',
      '--env HOLDFAST_LEDGER_PATH=/folder/ledger.jsonl',
    ]) {
      expect(text).toContain(` ${option} `);
    }
    expect(text).toMatch(/ holdfast node chaos\/source\/main\.ts$/);
    expect(text).not.toContain('/lab/token');
    expect(createArguments(beside(), { ...launch, restarts: false }).join(' ')).toContain(
      ' --restart no ',
    );
  });

  test("joining, it has the collector's secret and TLS, and its own settings after them", () => {
    const args = createArguments(beside(), { ...launch, joins: true });
    expect(optionsOf('--mount', args)).toContain(
      'type=bind,src=/lab/token,dst=/run/secrets/token,readonly',
    );
    expect(optionsOf('--mount', args).filter((one) => one.includes('/v'))).toEqual([]);
    expect(optionsOf('--env', args)).toEqual([
      ...['HOLDFAST_TLS=on', 'HOLDFAST_TLS_CA_FILE=/tls/ca.pem'],
      ...['HOLDFAST_TLS=off', 'A=b', 'HOLDFAST_LEDGER_PATH=/folder/ledger.jsonl'],
    ]);
  });
});

describe('the secret', () => {
  const services = () => {
    const at = (file: string) =>
      inspected({
        Mounts: [
          {
            ...{ Type: 'bind', Source: join(folder, file), RW: false },
            Destination: '/run/secrets/holdfast_token',
          },
        ],
      });
    return { server: at('server-token'), collector: at('token') };
  };
  const read = (file: string) => readFileSync(join(folder, file), 'utf8');

  beforeEach(() => {
    for (const file of ['token', 'server-token']) writeFileSync(join(folder, file), 'right');
  });

  test("is changed in the server's file alone, in place, and put back from the other", () => {
    const { ino } = statSync(join(folder, 'server-token'));
    spoilSecret(services());
    expect(read('server-token')).not.toBe('right');
    expect(read('token')).toBe('right');
    expect(restoreSecret(services())).toBe(true);
    expect(read('server-token')).toBe('right');
    expect(restoreSecret(services())).toBe(false);
    expect(statSync(join(folder, 'server-token'))).toMatchObject({ ino });
  });

  test('is not changed where both have one file', () => {
    const { collector } = services();
    expect(() => spoilSecret({ server: collector, collector })).toThrow(/no secret of its own/);
    expect(read('token')).toBe('right');
  });
});

describe('on an engine', () => {
  let ends: Ends;
  let service: ContainerService;

  beforeEach(() => {
    vi.stubEnv('PATH', `${folder}:/usr/bin:/bin`);
    answer('container', JSON.stringify([inspected()]));
    writeFileSync(join(folder, 'events'), '');
    writeFileSync(join(folder, 'asked'), '');
    // Each command answers with the file of its name, after the script of its name has run.
    const script = `#!/bin/sh
echo "$*" >> ${folder}/asked
[ "$1" = events ] && exec tail -n +1 -f ${folder}/events
[ -e ${folder}/do-$1 ] && . ${folder}/do-$1
[ -e ${folder}/answer-$1 ] && cat ${folder}/answer-$1
exit 0
`;
    writeFileSync(join(folder, 'docker'), script);
    chmodSync(join(folder, 'docker'), 0o755);
    const docker = new Docker(new Programs(new AbortController().signal));
    ends = new Ends(docker, 'lab');
    service = new ContainerService({
      ...{ docker, project: 'lab', image: 'holdfast', tracedImage: 'holdfast-traced' },
      ...{ name: 'collector', container: 'c1', dataPath: '/queue', ends },
    });
  });

  afterEach(() => ends.close());

  function answer(command: string, text: string): void {
    writeFileSync(join(folder, `answer-${command}`), text);
  }

  /** What a command does beside answering. */
  function does(command: string, script: string): void {
    writeFileSync(join(folder, `do-${command}`), script);
  }

  let events = 0;
  const die = (code: number) => {
    events += 1;
    const Actor = { ID: 'c1', Attributes: { exitCode: String(code) } };
    return JSON.stringify({ Action: 'die', Actor, timeNano: Date.now() * 1e6 + events * 1_000 });
  };
  const happens = (code: number) => `echo '${die(code)}' >> ${folder}/events\n`;
  const asked = () => readFileSync(join(folder, 'asked'), 'utf8').split('\n').slice(0, -1);
  const told = (count: number) =>
    vi.waitFor(() => expect(service.exits).toHaveLength(count), { timeout: 10_000 });

  test('a kill is told by the engine, and counts as ours; the next end does not', async () => {
    does('run', happens(137));
    await service.kill();
    expect(service.exits).toMatchObject([
      { process: 'collector', code: 137, signal: 'SIGKILL', injected: true },
    ]);
    writeFileSync(join(folder, 'events'), `${die(1)}\n`, { flag: 'a' });
    await told(2);
    expect(service.exits[1]).toMatchObject({ code: 1, signal: null, injected: false });
  });

  test('an end is told once, at the time that the engine gives it', async () => {
    const event = die(0);
    const before = performance.now();
    writeFileSync(join(folder, 'events'), `${event}\n${event}\nnot JSON\n${die(0)}\n`, {
      flag: 'a',
    });
    await told(2);
    const [first] = service.exits;
    expect(first?.at.wall_us).toBe(Number(BigInt(JSON.parse(event).timeNano) / 1_000n));
    expect(first?.at.monotonic_ms).toBeLessThan(performance.now());
    expect(first?.at.monotonic_ms).toBeGreaterThan(before - 60_000);
  });

  test('a program that ends by a signal that it was sent was ended by it', async () => {
    await service.signal('USR2');
    writeFileSync(join(folder, 'events'), `${die(140)}\n`, { flag: 'a' });
    await told(1);
    expect(service.exits[0]).toMatchObject({ signal: 'SIGUSR2', injected: true });
  });

  test.each([
    ['EIO', true],
    ['ENOSPC', false],
  ] as const)('an end over a call that failed with %s is ours: %s', async (error, injected) => {
    answer('run', 'process 1 0 0 0 1 1\nprocess 7 1 0 0 1 1\n');
    does(
      'run',
      `case "$*" in *strace*)
  echo 'strace: Process 7 attached with 2 threads' >&2
  echo 'write(3, "x", 1) = -1 ${error} (why) (INJECTED)' >&2
  while [ -d ${folder} ] && [ ! -e ${folder}/stopped ]; do sleep 0.05; done
  exit 0 ;;
esac
`,
    );
    does('stop', `touch ${folder}/stopped`);
    const fault = await service.failCalls({
      ...{ path: '/queue/segment', calls: ['write'], how: { error } },
    });
    await vi.waitFor(() => expect(fault.count()).toBe(1));
    writeFileSync(join(folder, 'events'), `${die(1)}\n`, { flag: 'a' });
    await told(1);
    expect(service.exits[0]).toMatchObject({ code: 1, injected });
    await fault.lift();
    expect(asked().some((line) => /^stop .*lab-trace-collector$/.test(line))).toBe(true);
  });

  test('strace that cannot attach says why', async () => {
    answer('run', 'process 1 0 0 0 1 1\nprocess 7 1 0 0 1 1\n');
    does('run', 'case "$*" in *strace*) echo "strace: attach: not permitted" >&2; exit 1 ;; esac');
    const attempt = service.failCalls({ path: '/x', calls: ['write'], how: { error: 'EIO' } });
    await expect(attempt).rejects.toMatchObject({
      message: 'could not attach strace to collector',
      details: ['strace: attach: not permitted'],
    });
  });

  test('a port is asked for once, and anew after each end', async () => {
    const inspections = () => asked().filter((line) => line.startsWith('container')).length;
    expect(await service.url(9464)).toBe('http://127.0.0.1:4711');
    expect(await service.url(9464)).toBe('http://127.0.0.1:4711');
    expect(inspections()).toBe(1);
    const Ports = { '9464/tcp': [{ HostPort: '4712' }] };
    answer('container', JSON.stringify([inspected({ NetworkSettings: { Ports, Networks: {} } })]));
    writeFileSync(join(folder, 'events'), `${die(0)}\n`, { flag: 'a' });
    await told(1);
    expect(await service.url(9464)).toBe('http://127.0.0.1:4712');
    await expect(service.url(80)).rejects.toThrow('collector publishes no port 80 now');
  });

  test('freezing is tried again where the kernel did not manage at once', async () => {
    does('pause', `[ -e ${folder}/tried ] && exit 0; touch ${folder}/tried; exit 1`);
    await service.freeze();
    expect(asked().filter((line) => line === 'pause c1')).toHaveLength(2);
  });

  test('freezing what does not run is refused', async () => {
    const State = { Running: false, Paused: false, Restarting: false, StartedAt: 'T' };
    answer('container', JSON.stringify([inspected({ State })]));
    does('pause', 'echo "it is not running" >&2; exit 1');
    await expect(service.freeze()).rejects.toMatchObject({
      ...{ message: 'could not freeze collector', details: ['it is not running'] },
    });
  });

  test('both streams of a log are one, in the order of their stamps', async () => {
    does(
      'logs',
      `echo '2026-01-01T00:00:00.000000002Z second line'
echo '2026-01-01T00:00:00.000000001Z first line' >&2
exit 0`,
    );
    expect(await service.log(new Date(0))).toEqual(['first line', 'second line']);
    expect(asked().at(-1)).toBe('logs --timestamps --since 1970-01-01T00:00:00.000Z c1');
  });

  test('of what chaos left, helpers that run are let go of their program first', async () => {
    does(
      'ps',
      `case "$*" in
  *Names*ID*|*.ID*chaos=helper*) printf 'h1\\tlab-trace\\t\\trunning\\tUp\\tholdfast\\t\\n' ;;
  *.ID*) printf 'h1\\tlab-trace\\t\\trunning\\tUp\\tholdfast\\t\\nl1\\tlab-left\\t\\trunning\\tUp\\tholdfast\\t\\n' ;;
  *) printf 'lab-left\\n' ;;
esac`,
    );
    const docker = new Docker(new Programs(new AbortController().signal));
    expect(await sweepChaos(docker, 'lab')).toEqual(['container lab-left']);
    const orders = asked().filter((line) => /^(stop|rm) /.test(line));
    expect(orders).toEqual(['stop --time 5 h1', 'rm --force --volumes lab-left']);
  });
});
