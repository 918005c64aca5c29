/** The collector's settings: defaults, forms of an address, and every mistake at once. */
import { describe, expect, test } from 'vitest';
import { COLLECTOR_SETTINGS } from '#collector/config.ts';
import { type Environment, readSettings, SettingsError } from '#protocol/settings.ts';

const TOKEN = '0123456789abcdef';

function read(environment: Environment, files: Readonly<Record<string, string>> = {}) {
  return readSettings(COLLECTOR_SETTINGS, environment, (path) => {
    const text = files[path];
    if (text === undefined) throw new Error(`ENOENT: ${path}`);
    return text;
  });
}

function problems(environment: Environment): readonly string[] {
  try {
    read(environment);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems.map(({ name }) => name);
    throw error;
  }
  return [];
}

describe("the collector's settings", () => {
  test('need nothing but the token', () => {
    expect(read({ HOLDFAST_TOKEN: TOKEN })).toEqual({
      server: { host: '127.0.0.1', port: 9_004 },
      token: Buffer.from(TOKEN),
      tls: 'off',
      queuePath: './holdfast-queue',
      queueLimitBytes: 1_073_741_824,
      queueWhenFull: 'drop-oldest',
      queueMaxAgeMs: 0,
      drainOrder: 'oldest',
      backlogSharePercent: 50,
      flushIntervalMs: 0,
      compression: 'auto',
      keepSettledBytes: 67_108_864,
      keepSettledMs: 3_600_000,
      sampleIntervalMs: 1_000,
      statusHost: '127.0.0.1',
      statusPort: 9_464,
      logLevel: 'info',
      stopDeadlineMs: 3_000,
    });
  });

  test('take the token from a file, without its line end', () => {
    const settings = read({ HOLDFAST_TOKEN_FILE: '/run/token' }, { '/run/token': `${TOKEN}\n` });
    expect(settings.token).toEqual(Buffer.from(TOKEN));
  });

  test.each([
    ['server:9000', { host: 'server', port: 9_000 }],
    ['[::1]:1', { host: '::1', port: 1 }],
    ['10.0.0.1:65535', { host: '10.0.0.1', port: 65_535 }],
  ])('take %s as an address', (text, address) => {
    expect(read({ HOLDFAST_TOKEN: TOKEN, HOLDFAST_SERVER: text }).server).toEqual(address);
  });

  test.each(['server', 'server:0', 'server:65536', ':9000', '::1:9000', 'http://server:9000'])(
    'refuse %s as an address',
    (text) => {
      expect(problems({ HOLDFAST_TOKEN: TOKEN, HOLDFAST_SERVER: text })).toEqual([
        'HOLDFAST_SERVER',
      ]);
    },
  );

  test('name every mistake at once, and never the token', () => {
    const environment = {
      HOLDFAST_TOKEN: 'short-secret',
      HOLDFAST_SERVER: 'nowhere',
      HOLDFAST_COLLECTOR_ID: 'Not An Id',
      HOLDFAST_QUEUE_LIMIT_BYTES: '12',
      HOLDFAST_SAMPLE_INTERVAL_MS: '99',
      HOLDFAST_STATUS_PORT: '70000',
      HOLDFAST_LOG_LEVEL: 'loud',
      HOLDFAST_STOP_DEADLINE_MS: '-1',
    };
    expect([...problems(environment)].sort()).toEqual(Object.keys(environment).sort());
    expect(() => read(environment)).not.toThrow(/short-secret/);
    expect(() => read(environment)).toThrow(/HOLDFAST_SAMPLE_INTERVAL_MS must be .* got "99"/);
  });
});
