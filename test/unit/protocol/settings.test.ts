/** Settings: every mistake at once, secrets never shown. */
import { expect, test } from 'vitest';
import {
  choiceSetting,
  formatSettings,
  integerSetting,
  optionalTextSetting,
  readSettings,
  SettingsError,
  secretSetting,
  settingsInForce,
  textSetting,
} from '#protocol/settings.ts';

const TABLE = {
  port: integerSetting({ name: 'X_PORT', text: 'A port.', default: 9000, min: 0, max: 65_535 }),
  host: textSetting({ name: 'X_HOST', text: 'A host.', default: 'localhost' }),
  level: choiceSetting({ name: 'X_LEVEL', text: 'A level.', default: 'info', choices: ['info'] }),
  id: optionalTextSetting({ name: 'X_ID', text: 'An id.', rule: 'letters', pattern: /^[a-z]+$/ }),
  token: secretSetting({ name: 'X_TOKEN', text: 'A secret.', bytesMin: 16 }),
};
const SECRET = '0123456789abcdef';

function noFile(path: string): string {
  throw new Error(`no ${path}`);
}

function problemsOf(environment: Record<string, string>, readFile = noFile) {
  try {
    readSettings(TABLE, environment, readFile);
  } catch (error) {
    if (error instanceof SettingsError) return error;
    throw error;
  }
  throw new Error('the settings were taken');
}

test('defaults fill what is not set, and an empty variable is not set', () => {
  const settings = readSettings(TABLE, { X_TOKEN: SECRET, X_PORT: '', X_ID: '' }, noFile);
  expect(settings).toEqual({
    port: 9000,
    host: 'localhost',
    level: 'info',
    token: Buffer.from(SECRET),
  });
});

test('every bad setting is reported at once, with its rule and what it got', () => {
  const error = problemsOf({ X_PORT: '70000', X_LEVEL: 'loud', X_ID: '7', X_TOKEN: 'short' });
  expect(error.problems).toEqual([
    { name: 'X_PORT', rule: 'a whole number from 0 to 65535', got: '"70000"' },
    { name: 'X_LEVEL', rule: 'one of info', got: '"loud"' },
    { name: 'X_ID', rule: 'letters', got: '"7"' },
    { name: 'X_TOKEN', rule: expect.stringContaining('at least 16 bytes'), got: '*** (5 bytes)' },
  ]);
  expect(error.message).toContain('X_PORT must be a whole number from 0 to 65535; got "70000"');
  expect(error.message).not.toContain('short');
});

test.each(['9e3', '-1', '1.5', ' 1', '0x10', ''.padEnd(40, '9')])(
  '%j is not a whole number in range',
  (text) => {
    expect(problemsOf({ X_PORT: text, X_TOKEN: SECRET }).problems).toHaveLength(1);
  },
);

test('a secret can stand in a file, whose line end is not part of it', () => {
  const settings = readSettings(TABLE, { X_TOKEN_FILE: '/run/x' }, (path) => {
    expect(path).toBe('/run/x');
    return `${SECRET}\r\n`;
  });
  expect(settings.token.toString()).toBe(SECRET);
});

test('a secret given twice, and a file that cannot be read, are named', () => {
  const twice = problemsOf({ X_TOKEN: SECRET, X_TOKEN_FILE: '/run/x' });
  expect(twice.problems[0]?.got).toBe('both it and X_TOKEN_FILE');
  const unread = problemsOf({ X_TOKEN_FILE: '/run/x' });
  expect(unread.problems[0]?.got).toBe("a file that can't be read (no /run/x)");
});

test('what is in force is printed with its source and with secrets masked', () => {
  const printed = formatSettings(settingsInForce(TABLE, { X_PORT: '1', X_TOKEN: SECRET }));
  expect(printed.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['X_PORT', '1', 'environment'],
    ['X_HOST', 'localhost', 'default'],
    ['X_LEVEL', 'info', 'default'],
    ['X_ID', '(not set)', 'default'],
    ['X_TOKEN', '*** (16 bytes)', 'environment'],
  ]);
  expect(formatSettings(settingsInForce(TABLE, { X_TOKEN_FILE: '/run/x' }))).toContain(
    '(from /run/x)',
  );
});
