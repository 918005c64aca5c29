/**
 * `./holdfast server store …`: tools for the store's files. They need HOLDFAST_STORE_PATH alone.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { inspect, problemLines, type StoreReport } from '#server/store/inspection.ts';
import { isStoreInUse } from '#server/store/lock.ts';
import { STORE_FILE } from '#server/store/sqlite-schema.ts';
import { type CommandContext, CommandError, readSettingsOf } from './command.ts';

export function addStoreCommands(program: Command, context: CommandContext): void {
  const store = program.command('store').description("tools for the store's files");
  store
    .command('check')
    .description('read all of the store, or of a backup, and tell what is damaged; changes nothing')
    .argument('[file]', 'a backup; without it the store that HOLDFAST_STORE_PATH names')
    .option('--json', 'print the findings as JSON')
    .action((file: string | undefined, options: { json?: boolean }) => {
      const { storePath } = readSettingsOf(context, 'storePath');
      check(file ?? join(storePath, STORE_FILE), {
        inUse: file === undefined && isStoreInUse(storePath),
        json: options.json === true,
      });
    });
}

function check(path: string, { inUse, json }: { inUse: boolean; json: boolean }): void {
  if (!existsSync(path)) {
    throw new CommandError('usage', `there is no store at ${path}; HOLDFAST_STORE_PATH names it`);
  }
  const report = inspect(path, { inUse, onProgress: progress });
  if (json) console.log(JSON.stringify(jsonOf(report, inUse), null, 2));
  else for (const line of problemLines(report)) console.log(line);
  if (report.problems.length > 0) {
    const next = inUse ? 'Stop the server, then take' : 'Take';
    throw new CommandError(
      'failed',
      `the store ${path} is damaged (above). ${next} over what is whole: ./holdfast server store salvage`,
    );
  }
  if (json) return;
  console.log(`the store ${path} is whole: ${report.frames} frames, ${report.bytes} bytes`);
  if (inUse) {
    console.log("a server works on it, so SQLite's own check of all pages was left out");
  }
}

function jsonOf({ path, storeId, ...report }: StoreReport, inUse: boolean) {
  return {
    path,
    store_id: storeId ?? null,
    in_use: inUse,
    whole: report.problems.length === 0,
    bytes: report.bytes,
    frames: report.frames,
    problems: report.problems,
    problems_omitted: report.omitted,
  };
}

const PROGRESS_MS = 5_000;
let toldAt = performance.now();

/** A long check is not taken for a hanging one. */
function progress(frames: number): void {
  if (performance.now() - toldAt < PROGRESS_MS) return;
  toldAt = performance.now();
  console.error(`${frames} frames read`);
}
