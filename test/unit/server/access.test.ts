/** Who may come in: keys, the tokens file, and what is told of those who failed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { Registry } from 'prom-client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type MacKey, macKeyOf } from '#protocol/handshake.ts';
import { Access } from '#server/access/access.ts';
import { Attempts } from '#server/access/attempts.ts';
import { collectorKeys, isValid, type Keys, sharedKey } from '#server/access/keys.ts';
import { fingerprintOf, TokensFile, TokensFileError } from '#server/access/tokens-file.ts';

const KEY = macKeyOf(Buffer.from('the first token of it'));
const OTHER = macKeyOf(Buffer.from('the second token of it'));
const THIRD = macKeyOf(Buffer.from('the third token of it'));

function line(collector: string, key: MacKey): string {
  return `${collector} ${key.toString('hex')}\n`;
}

function problemsOf(text: string): string {
  try {
    TokensFile.parse(text);
  } catch (error) {
    if (error instanceof TokensFileError) return error.message;
    throw error;
  }
  throw new Error('the file was taken');
}

describe('keys', () => {
  test('are two to try for everybody, known or not', () => {
    const keys = collectorKeys(
      new Map([
        ['one', [KEY]],
        ['two', [KEY, OTHER]],
      ]),
    );
    expect(keys.candidates('one')[0]).toEqual(KEY);
    expect(keys.candidates('two')).toEqual([KEY, OTHER]);
    for (const collector of ['one', 'nobody']) {
      const candidates = keys.candidates(collector);
      expect(new Set(candidates.map((key) => key.toString('hex'))).size).toBe(2);
      expect(candidates.every((key) => key.length === 32)).toBe(true);
      expect(keys.candidates(collector)).toEqual(candidates);
    }
    expect(keys.candidates('nobody')).not.toContainEqual(KEY);
    expect([keys.knows('one'), keys.knows('nobody')]).toEqual([true, false]);
  });

  test('of one collector prove no other', () => {
    const keys = collectorKeys(
      new Map([
        ['one', [KEY]],
        ['two', [OTHER]],
      ]),
    );
    expect(isValid(keys, 'one', KEY)).toBe(true);
    expect(isValid(keys, 'two', KEY)).toBe(false);
    expect(isValid(keys, 'nobody', KEY)).toBe(false);
  });

  test('made of a shared token prove everybody', () => {
    const keys: Keys = sharedKey(Buffer.from('the first token of it'));
    expect(isValid(keys, 'one', KEY)).toBe(true);
    expect(isValid(keys, 'one', OTHER)).toBe(false);
    expect(keys.knows('anybody')).toBe(true);
  });
});

describe('a tokens file', () => {
  test('is read, changed and written with its remarks', () => {
    const text = `# the hall\n\n${line('one', KEY)}${line('two', KEY)}`;
    const file = TokensFile.parse(text);
    expect(file.format()).toBe(text);
    const rotated = file.with({ collector: 'one', key: OTHER });
    expect(rotated.keysByCollector()).toEqual(
      new Map([
        ['one', [KEY, OTHER]],
        ['two', [KEY]],
      ]),
    );
    const left = rotated.without(({ collector }) => collector === 'one');
    expect(left.format()).toBe(`# the hall\n\n${line('two', KEY)}`);
  });

  test('may be written by an editor of another system', () => {
    const text = `# x\r\none\t${KEY.toString('hex')}  \r\n`;
    expect(TokensFile.parse(text).entries).toEqual([{ collector: 'one', key: KEY }]);
  });

  test('that names nobody says so itself, and an empty one is no tokens file', () => {
    const file = TokensFile.parse(line('one', KEY)).without(() => true);
    expect(file.format()).toMatch(/^# .*\n$/);
    expect(TokensFile.parse(file.format()).entries).toEqual([]);
    expect(problemsOf('')).toBe('it is empty');
    expect(problemsOf(' \n\n')).toBe('it is empty');
  });

  test.each([
    ['no key', 'one', /^line 2 must be a collector id, a blank, and a key of 64 digits/],
    ['a token in place of the key', 'one hunter2hunter2hunter2', /^line 2 .*not a token/],
    ['more than a key', `one ${KEY.toString('hex')} x`, /^line 2 must be a coll/],
    ['a key in capitals', `one ${KEY.toString('hex').toUpperCase()}`, /^line 2 must be/],
    ['no id', KEY.toString('hex'), /^line 2 must be/],
    ['no id that is one', `../x ${KEY.toString('hex')}`, /^line 2 must begin with a collector id/],
    [
      'a third token',
      `${line('one', KEY)}${line('one', OTHER)}${line('one', THIRD)}`,
      /^line 4 is one too many for one: 2/,
    ],
    ['a token twice', `${line('one', KEY)}${line('one', KEY)}`, /^line 3 repeats a line of one/],
  ])('with %s is refused by line and rule, and nothing of it is repeated', (_, text, words) => {
    const problems = problemsOf(`# keys\n${text}`);
    expect(problems).toMatch(words);
    expect(problems).not.toContain('hunter2');
    expect(problems).not.toContain(KEY.toString('hex'));
  });

  test('with many mistakes names the first ones', () => {
    const problems = problemsOf('one\n'.repeat(50)).split('\n');
    expect(problems).toHaveLength(11);
    expect(problems.at(-1)).toContain('and 40 more');
  });

  test('is told of by fingerprints, which are not keys', () => {
    expect(fingerprintOf(KEY)).toMatch(/^[0-9a-f]{12}$/);
    expect(KEY.toString('hex')).not.toContain(fingerprintOf(KEY));
  });
});

describe('failed attempts', () => {
  function attempts() {
    const lines: [Record<string, unknown>, string][] = [];
    const registry = new Registry();
    let endPeriod = (): void => {};
    const made = new Attempts({
      registry,
      log: { warn: (about: object, text: string) => lines.push([{ ...about }, text]) } as never,
      after: (_ms, call) => {
        endPeriod = call;
        return () => {};
      },
    });
    return { made, lines, registry, endPeriod: () => endPeriod() };
  }

  test('of one network are logged three times a minute, and counted each time', async () => {
    const { made, lines, registry, endPeriod } = attempts();
    for (let n = 0; n < 10; n += 1) made.onFailed('wrong_token', `10.0.0.1:${n}`, 'no');
    made.onFailed('tls', '10.0.0.2:1', 'never');
    expect(lines.map(([about]) => about.address)).toEqual([
      '10.0.0.1:0',
      '10.0.0.1:1',
      '10.0.0.1:2',
      '10.0.0.2:1',
    ]);
    expect(lines[2]?.[1]).toContain('counted, not logged');
    expect(await registry.metrics()).toContain('{reason="wrong_token"} 10');
    endPeriod();
    expect(lines.at(-1)).toMatchObject([
      { event: 'attempts_suppressed', suppressed: 7 },
      /^7 more/,
    ]);
    made.onFailed('wrong_token', '10.0.0.1:9', 'no');
    expect(lines.at(-1)).toMatchObject([{ address: '10.0.0.1:9' }, 'no']);
    endPeriod();
    expect(lines).toHaveLength(6);
  });

  test('of a thousand networks are logged thirty times', () => {
    const { made, lines, endPeriod } = attempts();
    for (let n = 0; n < 1_000; n += 1)
      made.onFailed('protocol', `10.0.${n >> 8}.${n & 255}:1`, 'x');
    expect(lines).toHaveLength(30);
    endPeriod();
    expect(lines.at(-1)).toMatchObject([{ suppressed: 970 }, /^970/]);
  });

  test.each([
    ['fd00:1:2:3::1', 'fd00:1:2:3:ffff::2', 'fd00:1:2:4::1'],
    ['fd00::1', 'fd00:0:0:0:5::', 'fd00:0:0:1::1'],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.1', '::ffff:10.0.0.2'],
  ])('from %s and %s are one network, %s is another', (one, same, other) => {
    const { made, lines } = attempts();
    for (let n = 0; n < 3; n += 1) made.onFailed('tls', `${one}:${n}`, 'x');
    made.onFailed('tls', `${same}:4`, 'x');
    made.onFailed('tls', `${other}:5`, 'x');
    expect(lines.map(([about]) => about.address)).toEqual([
      `${one}:0`,
      `${one}:1`,
      `${one}:2`,
      `${other}:5`,
    ]);
  });
});

test('keys that change before there is a port count from its opening on', () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-access-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const tokensFile = join(directory, 'tokens');
  writeFileSync(tokensFile, line('one', KEY));
  const access = new Access({
    settings: {
      token: undefined,
      tokensFile,
      tlsCertFile: undefined,
      tlsKeyFile: undefined,
      tlsClientCaFile: undefined,
      helloMs: 1_000,
    },
    log: pino({ level: 'silent' }),
    registry: new Registry(),
    after: () => () => {},
  });
  onTestFinished(() => access.close());
  writeFileSync(tokensFile, line('two', OTHER));
  access.reload();
  expect(['one', 'two'].filter((name) => access.keys.knows(name))).toEqual(['two']);
  let told = 0;
  access.whenKeysReplaced(() => {
    told += 1;
  });
  access.reload();
  expect(told).toBe(1);
});
