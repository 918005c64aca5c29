/**
 * `./holdfast server store …`: tools for the store's files. They need HOLDFAST_STORE_PATH alone.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { parseTime } from '#server/api/time.ts';
import { backupStore, restoreStore } from '#server/store/backup.ts';
import type { LostFrames } from '#server/store/builder.ts';
import { inspect, problemLines, type StoreReport } from '#server/store/inspection.ts';
import { isStoreInUse } from '#server/store/lock.ts';
import { pruneStore } from '#server/store/prune-store.ts';
import { salvageStore } from '#server/store/salvage.ts';
import { checkHeader, checkThere, STORE_FILE } from '#server/store/sqlite-schema.ts';
import { type CommandContext, CommandError, readSettingsOf } from './command.ts';

interface OutputOptions {
  readonly json?: boolean;
}

const EXAMPLES = `
Each works on the store that HOLDFAST_STORE_PATH names (./holdfast-store when it is not set):
  Is it whole? With a server on it or without:
    ./holdfast server store check
  Take over what is whole of a damaged one; the server is stopped:
    ./holdfast server store salvage
  A copy, with a server on it or without; and back again, the server stopped:
    ./holdfast server store backup /backups/today.db
    ./holdfast server store restore /backups/today.db
  Remove what is old (HOLDFAST_RETENTION_MS and _BYTES have the server do it by itself):
    ./holdfast server store prune --before 2026-01-31T00:00:00Z
`;

export function addStoreCommands(program: Command, context: CommandContext): void {
  const store = program
    .command('store')
    .description("tools for the store's files")
    .addHelpText('after', EXAMPLES);
  const directory = (): string => readSettingsOf(context, 'storePath').storePath;
  store
    .command('check')
    .description('read all of the store, or of a backup, and tell what is damaged; changes nothing')
    .argument('[file]', 'a backup; without it the store that HOLDFAST_STORE_PATH names')
    .option('--json', 'print the findings as JSON')
    .action((file: string | undefined, { json }: OutputOptions) => {
      if (file === undefined) checkStore(directory(), json === true);
      else checkBackup(file, json === true);
    });
  store
    .command('salvage')
    .description('make a whole store of a damaged one, and set that aside; the server is stopped')
    .option('--json', 'print what came of it as JSON')
    .action(({ json }: OutputOptions) => salvage(directory(), json === true));
  store
    .command('backup')
    .description('copy the store into a file, while a server works on it or not')
    .argument('<file>', 'where to; it must not be there yet')
    .option('--json', 'print what came of it as JSON')
    .action((file: string, { json }: OutputOptions) => backup(directory(), file, json === true));
  store
    .command('restore')
    .description("put a backup in the store's place, and set that aside; the server is stopped")
    .argument('<file>', 'a backup; it stays where it is')
    .action((file: string) => restore(directory(), file));
  store
    .command('prune')
    .description('remove the frames that arrived first, while a server works on the store or not')
    .option('--before <time>', 'those received before this time, as 2026-01-31T00:00:00Z')
    .option('--keep-bytes <number>', 'as many as it takes for the store to take no more than this')
    .action((options: PruneOptions) => prune(directory(), options));
  const names = store.commands.map((command) => command.name()).join(', ');
  store.showHelpAfterError(`(there are: ${names}; and, without store before them: audit, export)`);
}

interface PruneOptions {
  readonly before?: string;
  readonly keepBytes?: string;
}

function prune(directory: string, { before, keepBytes }: PruneOptions): void {
  const receivedBefore = before === undefined ? undefined : parseTime(before);
  if (before !== undefined && receivedBefore === undefined) {
    throw new CommandError(
      'usage',
      `--before must be a time like 2026-01-31T00:00:00Z; got ${before}`,
    );
  }
  if (keepBytes !== undefined && !/^\d{1,15}$/.test(keepBytes)) {
    throw new CommandError(
      'usage',
      `--keep-bytes must be a whole number of bytes; got ${keepBytes}`,
    );
  }
  if (before === undefined && keepBytes === undefined) {
    throw new CommandError('usage', 'name what is to go: --before, --keep-bytes, or both');
  }
  const request = {
    receivedBefore,
    keepBytes: keepBytes === undefined ? undefined : Number(keepBytes),
  };
  const frames = pruneStore(directory, request, progress);
  console.log(
    `${frames} frames were removed; the audit calls them pruned, and they never return. Their room is used again for new frames, the file doesn't shrink`,
  );
}

function salvage(directory: string, json: boolean): void {
  const { storeId, frames, lost, movedTo, idIsNew } = salvageStore(directory, new Date(), progress);
  if (json) {
    const answer = { store_id: storeId, id_is_new: idIsNew, frames, lost, moved_to: movedTo };
    console.log(JSON.stringify(answer, null, 2));
    return;
  }
  console.log(`salvaged ${frames} frames into the store in ${directory}`);
  console.log(`the damaged files are in ${movedTo}; keep them until nothing is missed`);
  tellLost(lost);
  if (lost.length > 0) {
    console.log(
      'they are called stored no more: when the server runs again, collectors send what they still hold of them, and declare the rest (lost_after_ack)',
    );
  }
  if (idIsNew) {
    console.log(
      "the store's id could not be read, so it has a new one: collectors take this for another store, send all that they still hold, and declare the rest (settled_elsewhere)",
    );
  }
}

function backup(directory: string, file: string, json: boolean): void {
  const { storeId, frames, lost } = backupStore(directory, file, progress);
  if (json) console.log(JSON.stringify({ store_id: storeId, frames, lost, file }, null, 2));
  else console.log(`${frames} frames are in ${file}, which was read back and is on disk`);
  if (lost.length === 0) return;
  if (!json) tellLost(lost);
  throw new CommandError(
    'failed',
    `the store in ${directory} is damaged: the frames above are not in the backup. ./holdfast server store check tells more`,
  );
}

function restore(directory: string, file: string): void {
  const { storeId, frames, movedTo } = restoreStore(directory, file, new Date());
  console.log(`the store in ${directory} is now that of ${file}: ${frames} frames, id ${storeId}`);
  if (movedTo !== undefined) console.log(`the files that were there are in ${movedTo}`);
  console.log(
    'when the server runs, collectors see what it lacks, send again what they still hold, and declare the rest (lost_after_ack)',
  );
}

function tellLost(lost: readonly LostFrames[]): void {
  for (const { collector, epoch, ranges } of lost) {
    for (const { from, to } of ranges) {
      console.log(
        `lost: ${collector}, epoch ${epoch}, ${from === to ? `frame ${from}` : `frames ${from} to ${to}`}`,
      );
    }
  }
}

function checkStore(directory: string, json: boolean): void {
  const path = join(directory, STORE_FILE);
  checkThere(path);
  const inUse = isStoreInUse(directory);
  const next = inUse ? 'Stop the server, then take' : 'Take';
  const whatToDo = `${next} over what is whole: ./holdfast server store salvage`;
  check(path, { name: 'store', whatToDo, inUse, json });
  if (inUse && !json) {
    console.log("a server works on it, so SQLite's own check of all pages was left out");
  }
}

function checkBackup(file: string, json: boolean): void {
  if (!existsSync(file)) throw new CommandError('usage', `there is no backup at ${file}`);
  checkHeader(file, 'backup');
  const whatToDo = `restore takes no such one. To have what is whole of it, put a copy as ${STORE_FILE} into a directory of its own, and have that salvaged`;
  check(file, { name: 'backup', whatToDo, inUse: false, json });
}

interface CheckOptions {
  readonly name: 'store' | 'backup';
  /** Where it is damaged. */
  readonly whatToDo: string;
  readonly inUse: boolean;
  readonly json: boolean;
}

function check(path: string, { name, whatToDo, inUse, json }: CheckOptions): void {
  const report = inspect(path, { inUse, onProgress: progress });
  if (json) console.log(JSON.stringify(jsonOf(report, inUse), null, 2));
  else for (const line of problemLines(report)) console.log(line);
  if (report.problems.length > 0) {
    throw new CommandError('failed', `the ${name} ${path} is damaged (above). ${whatToDo}`);
  }
  if (json) return;
  console.log(`the ${name} ${path} is whole: ${report.frames} frames, ${report.bytes} bytes`);
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
  console.error(`${frames} frames so far`);
}
