/** What the server's commands share: the settings that one needs, and how failures end the program. */
import { CommanderError } from 'commander';
import { expect, test } from 'vitest';
import { SettingsError } from '#protocol/settings.ts';
import { CommandError, endingOf, readSettingsOf } from '#server/commands/command.ts';
import { StoreError } from '#server/store/store.ts';

const readFile = () => '';

test('a command reads what it uses, and a wrong setting of another does not matter', () => {
  const environment = { HOLDFAST_STORE_PATH: '/store', HOLDFAST_API_PORT: 'ninety' };
  const settings = readSettingsOf({ environment, readFile }, 'storePath', 'windowBytes');
  expect(settings).toEqual({ storePath: '/store', windowBytes: 4_194_304 });
  expect(() => readSettingsOf({ environment, readFile }, 'apiPort')).toThrow(SettingsError);
});

test.each([
  [new CommanderError(0, 'commander.helpDisplayed', ''), { exitCode: 0, message: undefined }],
  [new CommanderError(1, 'commander.unknownOption', ''), { exitCode: 2, message: undefined }],
  [new SettingsError([]), { exitCode: 2 }],
  [new CommandError('failed', 'it is damaged'), { exitCode: 1, message: 'it is damaged' }],
  [new CommandError('usage', 'no such day'), { exitCode: 2, message: 'no such day' }],
  [new StoreError('corrupt', 'damaged'), { exitCode: 1, message: 'damaged' }],
  [new StoreError('foreign', 'a diary'), { exitCode: 2, message: 'a diary' }],
])('%s ends the program with words', (error, ending) => {
  expect(endingOf(error)).toMatchObject(ending);
});

test('a mistake of ours goes on as one', () => {
  expect(endingOf(new TypeError('undefined is not a function'))).toBeUndefined();
  expect(endingOf(new StoreError('internal', 'no such table'))).toBeUndefined();
});
