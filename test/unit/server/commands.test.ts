/** What the server's commands share: the settings that one needs, and how failures end the program. */
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { expect, onTestFinished, test, vi } from 'vitest';
import { SettingsError } from '#protocol/settings.ts';
import { CommandError, endingOf, readSettingsOf } from '#server/commands/command.ts';
import { addStoreCommands } from '#server/commands/store.ts';
import { StoreError } from '#server/store/store.ts';
import { filledStore, flipBitOf, harm } from './store-files.ts';

const readFile = () => '';

/** How `./holdfast server store …` ends on the store in a directory. */
async function storeCommand(directory: string, ...args: string[]) {
  const environment = { HOLDFAST_STORE_PATH: directory };
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  addStoreCommands(program, { environment, readFile });
  const error: unknown = await program
    .parseAsync(['store', ...args], { from: 'user' })
    .catch((reason: unknown) => reason);
  return endingOf(error);
}

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
  [new StoreError('busy', 'in use'), { exitCode: 2, message: 'in use' }],
])('%s ends the program with words', (error, ending) => {
  expect(endingOf(error)).toMatchObject(ending);
});

test('a mistake of ours goes on as one', () => {
  expect(endingOf(new TypeError('undefined is not a function'))).toBeUndefined();
  expect(endingOf(new StoreError('internal', 'no such table'))).toBeUndefined();
});

test.each([
  [['check'], /there is no store/],
  [['check', '/nowhere/backup.db'], /there is no backup/],
  [['salvage'], /there is no store/],
  [['backup', '/nowhere/backup.db'], /there is no store/],
  [['restore', '/nowhere/backup.db'], /there is no backup/],
  [['prune', '--keep-bytes', '1'], /there is no store/],
  [['prune'], /name what is to go: --before/],
  [['prune', '--before', 'noon'], /--before must be a time like/],
  [['prune', '--keep-bytes', 'many'], /--keep-bytes must be a whole number/],
  [['mend'], undefined],
])(
  'store %j where there is no store ends with 2 and words, and makes nothing',
  async (args, words) => {
    const ending = await storeCommand('/nowhere/store', ...args);
    expect(ending?.exitCode).toBe(2);
    if (words !== undefined) expect(ending?.message).toMatch(words);
    expect(existsSync('/nowhere')).toBe(false);
  },
);

test('a damaged store is told what salvages it, a damaged backup that it is none to restore', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-commands-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const printed = vi.spyOn(console, 'log').mockImplementation(() => {});
  onTestFinished(() => printed.mockRestore());
  const path = await filledStore(directory, 10);
  flipBitOf(path, 7);
  const file = join(directory, 'backup.db');
  copyFileSync(path, file);
  expect(await storeCommand(directory, 'check')).toMatchObject({
    exitCode: 1,
    message: expect.stringMatching(/^the store .+Take over what is whole: .+ store salvage$/),
  });
  const ofBackup = await storeCommand(directory, 'check', file);
  expect(ofBackup).toMatchObject({
    exitCode: 1,
    message: expect.stringMatching(/^the backup .+backup\.db is damaged .+restore takes no such/),
  });
  expect(ofBackup?.message).not.toContain('Take over what is whole');
});

test.each([
  ['another file', Buffer.from(`root:x:0:0:${'/'.repeat(200)}\n`), /it begins as another file/],
  ['the beginning of a file', Buffer.from('SQLite'), /it is cut short/],
])(
  '%s is no backup, by the name it was given by, with advice for that file',
  async (_, bytes, why) => {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-commands-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const file = join(directory, 'diary.txt');
    writeFileSync(file, bytes);
    const store = join(directory, 'store');
    for (const command of ['check', 'restore']) {
      const ending = await storeCommand(store, command, file);
      expect(ending?.exitCode).toBe(2);
      expect(ending?.message).toContain(`${file} is not a backup`);
      expect(ending?.message).toMatch(why);
      expect(ending?.message).toContain('a directory of its own');
    }
    expect((await storeCommand(store, 'restore', directory))?.message).toMatch(/can't be read/);
    expect(existsSync(store)).toBe(false);
  },
);

test('what SQLite says of pages is told in a line, and as its words', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-commands-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const printed = vi.spyOn(console, 'log').mockImplementation(() => {});
  onTestFinished(() => printed.mockRestore());
  const path = await filledStore(directory, 500);
  const file = join(directory, 'backup.db');
  copyFileSync(path, file);
  // Five free pages, says the header, and there are none.
  harm(file, (bytes) => bytes.writeUInt32BE(5, 36));
  expect(await storeCommand(directory, 'check', file)).toMatchObject({ exitCode: 1 });
  const lines = printed.mock.calls.map(([line]) => String(line));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^SQLite's own check of the pages: .+/);
  expect(lines.join('\n')).not.toContain('***');
  const restoring = await storeCommand(directory, 'restore', file);
  expect(restoring?.message?.split('\n')).toHaveLength(1);
  expect(restoring?.message).toContain(`store check ${file}`);
});
