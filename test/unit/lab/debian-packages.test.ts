/** Debian packages that are unpacked and not installed: what is fetched, and what is found in them. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isDebianLike } from '#lab/apt.ts';
import { newPackages, UnpackedPackages, unpackedPackages } from '#lab/debian-packages.ts';
import { Programs, type RunResult } from '#lab/process.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-packages-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Of `apt-get --simulate install` on a machine whose libssl3 is older than the archive's. */
const SIMULATION = `Reading package lists...
The following additional packages will be installed:
  libcjson1 libssl3
Inst libcjson1 (1.7.15-1+deb12u4 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [amd64])
Inst libssl3 [3.0.17-1~deb12u2] (3.0.18-1~deb12u1 Debian:12.15/oldstable [amd64])
Inst mosquitto (2.0.11-1.2+deb12u2 Debian:12.15/oldstable [amd64])
Conf libcjson1 (1.7.15-1+deb12u4 Debian:12.15/oldstable [amd64])
Conf mosquitto (2.0.11-1.2+deb12u2 Debian:12.15/oldstable [amd64])
`;

test('what is new is fetched, once; what would only be upgraded is not', () => {
  expect(newPackages(SIMULATION)).toEqual(['libcjson1', 'mosquitto']);
  expect(newPackages('mosquitto is already the newest version (2.0.11-1.2+deb12u2).\n')).toEqual(
    [],
  );
});

function file(path: string, text = ''): string {
  const whole = join(folder, path);
  mkdirSync(join(whole, '..'), { recursive: true });
  writeFileSync(whole, text);
  return whole;
}

test('programs, directories and libraries are found where a package has them', () => {
  const program = file('usr/sbin/rsyslogd');
  file('usr/lib/x86_64-linux-gnu/rsyslog/imrelp.so');
  file('lib/x86_64-linux-gnu/libwrap.so.0');
  file('lib/systemd/system/rsyslog.service');
  const packages = new UnpackedPackages(folder, { rsyslog: '8.2302.0-1' });
  expect(packages.path('rsyslogd')).toBe(program);
  const modules = join(folder, 'usr/lib/x86_64-linux-gnu/rsyslog');
  expect(packages.directory('usr/lib/x86_64-linux-gnu/rsyslog')).toBe(modules);
  expect(packages.directory('usr/lib/*/rsyslog')).toBe(modules);
  expect(packages.version('rsyslog')).toBe('8.2302.0-1');
  expect(packages.environment).toEqual({
    LD_LIBRARY_PATH: ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu']
      .map((path) => join(folder, path))
      .join(':'),
  });
  expect(() => packages.path('mosquitto')).toThrow('there is no mosquitto in rsyslog');
  expect(() => packages.directory('usr/lib/nowhere')).toThrow('there is no usr/lib/nowhere');
});

test('packages without libraries leave those of the machine alone', () => {
  file('usr/sbin/nats-server');
  expect(new UnpackedPackages(folder, {}).environment).toEqual({});
});

test('what is there is not fetched again', async () => {
  const program = file('one+two/usr/bin/program');
  file('one+two/packages.json', '{"one":"1","two":"2"}');
  const programs = new Programs(AbortSignal.abort());
  const progress = () => expect.unreachable();
  const packages = await unpackedPackages(['one', 'two'], { programs, progress, folder });
  expect(packages.path('program')).toBe(program);
  await expect(unpackedPackages(['one'], { programs, progress: () => {}, folder })).rejects.toThrow(
    /interrupted|on Debian and Ubuntu alone/,
  );
});

/** An apt-get to which every package is one of no files. */
class EmptyPackages extends Programs {
  override async run(): Promise<RunResult> {
    return { exitCode: 0, stdout: '', stderr: '', lastLines: [], gaveUp: false };
  }
}

test.runIf(isDebianLike())('a folder that lost its stamp is fetched anew', async () => {
  file('one/usr/bin/old');
  const programs = new EmptyPackages(new AbortController().signal);
  await unpackedPackages(['one'], { programs, progress: () => {}, folder });
  expect(readdirSync(folder)).toEqual(['one']);
  expect(readdirSync(join(folder, 'one'))).toEqual(['packages.json']);
});

test.runIf(isDebianLike())('of two that fetch the same at once both have it', async () => {
  const programs = [1, 2].map(() => new EmptyPackages(new AbortController().signal));
  const both = programs.map((one) =>
    unpackedPackages(['one'], { programs: one, progress: () => {}, folder }),
  );
  await expect(Promise.all(both)).resolves.toHaveLength(2);
  expect(readdirSync(folder)).toEqual(['one']);
});
