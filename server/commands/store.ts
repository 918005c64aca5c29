/**
 * `./holdfast server store …`: tools for the store's files. They need HOLDFAST_STORE_PATH alone.
 */
import type { Command } from 'commander';
import { checkStore } from '#server/store/check.ts';
import { type CommandContext, CommandError, readSettingsOf } from './command.ts';

export function addStoreCommands(program: Command, context: CommandContext): void {
  const store = program.command('store').description("tools for the store's files");
  store
    .command('check')
    .description('read all of the store, changing nothing, and tell what is damaged')
    .action(() => {
      const { storePath } = readSettingsOf(context, 'storePath');
      const problems = checkStore(storePath);
      if (problems.length === 0) {
        console.log(`the store in ${storePath} is whole`);
        return;
      }
      for (const problem of problems) console.log(problem);
      throw new CommandError('failed', `the store in ${storePath} is damaged`);
    });
}
