/**
 * `./holdfast server export | audit`: what a store holds, and the account of it, read from its
 * files. They need HOLDFAST_STORE_PATH alone, and work beside a server that runs.
 */
import { createWriteStream, renameSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  COLLECTOR_ID_RULE,
  type Epoch,
  formatTime,
  isCollectorId,
  isUuid,
} from '#protocol/identity.ts';
import { accountOf } from '#server/api/answers.ts';
import { EXPORT_FORMATS, type ExportFormat, exportText } from '#server/api/export-text.ts';
import { positionOfLine } from '#server/api/position.ts';
import { parseTime } from '#server/api/time.ts';
import { exportChunks } from '#server/store/export-chunks.ts';
import { readingStore } from '#server/store/reading.ts';
import type { AuditRange, CollectorAudit, FramePosition } from '#server/store/store.ts';
import { wallTime } from '#server/surroundings.ts';
import { type CommandContext, CommandError, readSettingsOf } from './command.ts';

interface ExportOptions {
  readonly format: ExportFormat;
  readonly collector?: string;
  readonly epoch?: Epoch;
  readonly from?: number;
  readonly to?: number;
  readonly after?: FramePosition;
  readonly output?: string;
}

const EXPORT_EXAMPLES = `
A line a frame, as /api/v1/export gives them. Damaged frames are among them, with crc_ok false; then the exit code is 1.

Examples:
  All that one collector captured in an hour:
    HOLDFAST_STORE_PATH=./store ./holdfast server export --collector edge-1 \\
      --from 2026-11-21T08:00:00Z --to 2026-11-21T09:00:00Z --format csv --output hour.csv
  Go on behind the last line of an export that was broken off:
    ./holdfast server export --after "$(tail -1 part.csv | cut -d, -f1-4)" --format csv
`;

export function addDataCommands(program: Command, context: CommandContext): void {
  program
    .command('export')
    .description('write stored frames to a file or to standard output')
    .addOption(new Option('--format <format>').choices(EXPORT_FORMATS).default('ndjson'))
    .addOption(collectorOption())
    .addOption(new Option('--epoch <uuid>', 'only of this epoch').argParser(parseEpoch))
    .addOption(new Option('--from <time>', 'captured then or later').argParser(parseTimeOption))
    .addOption(new Option('--to <time>', 'captured before').argParser(parseTimeOption))
    .addOption(
      new Option(
        '--after <fields>',
        'go on behind a line: its collector,epoch,seq,captured_at',
      ).argParser(parsePlace),
    )
    .option('--output <file>', 'written under another name first, so it is whole when it is there')
    .addHelpText('after', EXPORT_EXAMPLES)
    .action((options: ExportOptions) => exportFrames(storePathOf(context), options));

  program
    .command('audit')
    .description('what became of every frame, as far as the store knows; 1 when any is missing')
    .addOption(collectorOption())
    .option('--json', 'print it as JSON, with all ranges')
    .action((options: { collector?: string; json?: boolean }) =>
      audit(storePathOf(context), options),
    );
}

function storePathOf(context: CommandContext): string {
  return readSettingsOf(context, 'storePath').storePath;
}

async function exportFrames(storePath: string, options: ExportOptions): Promise<void> {
  const { format, collector, epoch, from, to, after, output } = options;
  if (from !== undefined && to !== undefined && to < from) {
    throw new CommandError('usage', '--to must not be before --from');
  }
  const filter = { collector, epoch, capturedFrom: from, capturedBefore: to };
  let damaged = 0;
  await readingStore(storePath, async ({ reader }) => {
    if (collector !== undefined && reader.audit(collector).length === 0) {
      throw neverHeard(storePath, collector);
    }
    const chunks = exportChunks((query) => reader.frames(query), filter, after);
    const pieces = exportText(chunks, format, () => {
      damaged += 1;
    });
    await (output === undefined ? writeOut(pieces) : writeFile(pieces, output));
  });
  if (damaged === 0) return;
  throw new CommandError(
    'failed',
    `${damaged} of the exported frames ${damaged === 1 ? 'is' : 'are'} not what was captured (crc_ok is false): the store in ${storePath} is damaged. Look at it: ./holdfast server store check`,
  );
}

function neverHeard(storePath: string, collector: string): CommandError {
  const text = `the store in ${storePath} has never heard of ${collector}`;
  return new CommandError('usage', text);
}

async function writeOut(pieces: AsyncIterable<string>): Promise<void> {
  try {
    await pipeline(Readable.from(pieces), process.stdout, { end: false });
  } catch (error) {
    // A reader that has seen enough (`… | head`) is no failure.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPIPE')) throw error;
  }
}

async function writeFile(pieces: AsyncIterable<string>, output: string): Promise<void> {
  const part = `${output}.part`;
  try {
    await pipeline(Readable.from(pieces), createWriteStream(part, { flush: true }));
    renameSync(part, output);
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    const rest =
      error.syscall === 'open' ? 'Nothing was written' : `What was written is in ${part}`;
    const text = `the export can't be written to ${output}: ${error.message}. ${rest}`;
    throw new CommandError('usage', text, { cause: error });
  }
}

async function audit(
  storePath: string,
  { collector, json }: { collector?: string; json?: boolean },
): Promise<void> {
  const { storeId, audits, asOf } = await readingStore(storePath, ({ storeId: id, reader }) => ({
    storeId: id,
    audits: reader.audit(collector),
    asOf: formatTime(wallTime()),
  }));
  if (collector !== undefined && audits.length === 0) {
    throw neverHeard(storePath, collector);
  }
  const collectors = audits.map((one) => ({
    collector: one.collector,
    last_heard_at: formatTime(one.lastHeardAt),
    ...accountOf(one),
  }));
  if (json) {
    console.log(JSON.stringify({ as_of: asOf, store_id: storeId, collectors }, null, 2));
  } else {
    for (const line of audits.flatMap(linesOf)) console.log(line);
  }
  const missing = collectors.reduce((sum, { totals }) => sum + totals.missing, 0);
  if (missing > 0) {
    throw new CommandError(
      'failed',
      missing === 1
        ? '1 frame is missing: nobody has it, and nobody has declared it lost'
        : `${missing} frames are missing: nobody has them, and nobody has declared them lost`,
    );
  }
  if (!json)
    console.log(audits.length === 0 ? 'no collector was ever heard' : 'nothing is missing');
}

/** Ranges of one kind in one epoch that are printed. */
const RANGES_SHOWN = 20;
const SHOWN = ['missing', 'pending', 'declared', 'rejected', 'pruned'] as const;

function linesOf(collector: CollectorAudit): string[] {
  const { totals } = accountOf(collector);
  const counts = Object.entries(totals).map(([name, count]) => `${name} ${count}`);
  return [
    `${collector.collector}: last heard ${formatTime(collector.lastHeardAt)}`,
    `  ${counts.join(', ')}`,
    ...collector.epochs.flatMap((epoch) => [
      `  epoch ${epoch.epoch}: ${epoch.first} to ${epoch.last}, stored ${epoch.stored}`,
      ...SHOWN.flatMap((kind) => rangeLines(kind, epoch[kind])),
    ]),
  ];
}

function rangeLines(kind: string, ranges: readonly AuditRange[]): string[] {
  const lines = ranges
    .slice(0, RANGES_SHOWN)
    .map(({ from, to, reason }) => `    ${kind} ${from} to ${to}${reason ? ` (${reason})` : ''}`);
  const more = ranges.length - lines.length;
  return more > 0 ? [...lines, `    … and ${more} more ranges ${kind}; --json has all`] : lines;
}

function collectorOption(): Option {
  return new Option('--collector <id>', 'only of this collector').argParser((text: string) => {
    if (isCollectorId(text)) return text;
    throw new InvalidArgumentError(`must be a collector id: ${COLLECTOR_ID_RULE}.`);
  });
}

function parseEpoch(text: string): Epoch {
  if (isUuid(text)) return text;
  throw new InvalidArgumentError('must be a UUID in lower case.');
}

function parseTimeOption(text: string): number {
  const time = parseTime(text);
  if (time !== undefined) return time;
  throw new InvalidArgumentError('must be an RFC 3339 time, e.g. 2026-11-21T08:12:17.5Z.');
}

function parsePlace(text: string): FramePosition {
  const place = positionOfLine(text.trim());
  if (place) return place;
  throw new InvalidArgumentError(
    'must be collector, epoch, seq and captured_at of a line, with commas between.',
  );
}
