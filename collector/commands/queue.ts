/**
 * `./holdfast collector queue …`: looks into a queue, checks it and repairs it. Here: what people
 * type and read; what is found out is in `collector/tools/`.
 */
import type { Command } from 'commander';
import { keptCollectorId } from '#collector/producer/queue/identity-file.ts';
import { exportRow } from '#collector/tools/export-row.ts';
import { readFrames } from '#collector/tools/frames.ts';
import { loadWaiting, reasonFor, triesOf, type Waiting } from '#collector/tools/sending.ts';
import { problemsOf, type QueueStatus, statusOf } from '#collector/tools/status.ts';
import { type Verification, verify } from '#collector/tools/verify.ts';
import { pendingCount, type QueueView, viewQueue } from '#collector/tools/view.ts';
import { type Frame, formatCrc, formatTime } from '#protocol/identity.ts';
import { countSeqs } from '#protocol/settlement.ts';
import { CommandError, collectorOption, jsonOption, pathOption } from './command.ts';
import { countText, Progress, print, printJson, printRows, sizeText, table } from './output.ts';
import { addRepairCommand } from './repair.ts';
import {
  addListOptions,
  addSelectionOptions,
  type ListLimits,
  listLimitOf,
  parseCount,
  type SelectionOptions,
  selectionOf,
} from './selection.ts';

const ROWS_PER_WRITE = 256;

interface CommonOptions {
  readonly path: string;
  readonly json?: boolean;
}

interface ListOptions extends CommonOptions, SelectionOptions, ListLimits {}

interface ExportOptions extends ListOptions {
  readonly collector?: string;
}

const EXAMPLES = `
Examples:
  What waits, and why, in the queue that HOLDFAST_QUEUE_PATH names:
    ./holdfast collector queue status
    ./holdfast collector queue list
  Whether every byte of a stopped or a running collector's queue reads:
    ./holdfast collector queue verify --path /var/lib/holdfast/queue
  All that waits, as the server would export it:
    ./holdfast collector queue export --path /var/lib/holdfast/queue > waiting.ndjson

None of these takes a lock or writes a byte, so they work while a collector runs; repair alone needs
the queue to itself. Exit codes: 0 it holds, 1 it doesn't (damage), 2 usage, or no queue to look at.
`;

export function addQueueCommands(program: Command): void {
  const queue = program
    .command('queue')
    .description("look into a queue's files, check them, repair them")
    .addHelpText('after', EXAMPLES);
  queue
    .command('status')
    .description('how much waits, since when, why; what is wrong, if anything is')
    .addOption(pathOption())
    .addOption(jsonOption())
    .addHelpText('after', STATUS_EXAMPLES)
    .action(status);
  addListOptions(
    addSelectionOptions(
      queue
        .command('list')
        .description('the frames that wait, oldest first')
        .addOption(pathOption()),
    ),
  )
    .addOption(jsonOption())
    .addHelpText('after', LIST_EXAMPLES)
    .action(list);
  addSelectionOptions(
    queue
      .command('export')
      .description("the frames that wait, whole, as NDJSON in the form of the server's export")
      .addOption(pathOption()),
  )
    .option('--limit <n>', 'so many at most', parseCount)
    .addOption(collectorOption())
    .addHelpText('after', EXPORT_EXAMPLES)
    .action(exportFrames);
  queue
    .command('verify')
    .description('read every byte, check every CRC; name what is damaged and what is lost by it')
    .addOption(pathOption())
    .addOption(jsonOption())
    .addHelpText('after', VERIFY_EXAMPLES)
    .action(verifyQueue);
  addRepairCommand(queue);
  const names = queue.commands.map((command) => command.name()).join(', ');
  queue.showHelpAfterError(`(there are: ${names})`);
}

const STATUS_EXAMPLES = `
Examples:
  ./holdfast collector queue status
  ./holdfast collector queue status --json | jq .queue.frames
`;

const LIST_EXAMPLES = `
Examples:
  ./holdfast collector queue list --limit 5
  ./holdfast collector queue list --since 10m
  ./holdfast collector queue list --epoch 019abc12 --seq 100..199 --json
  ./holdfast collector queue list --all | less

TRIES counts how often a frame was sent since its collector started; "?" where no collector says so.
--json gives one JSON document: {frames: [{epoch, seq, captured_at, bytes, crc32, tries, waits_because}], shown, pending}.
`;

const EXPORT_EXAMPLES = `
Examples:
  ./holdfast collector queue export > waiting.ndjson
  ./holdfast collector queue export --until 2026-11-26T10:00:00Z | gzip > morning.ndjson.gz

Each line: {collector, epoch, seq, captured_at, crc32, payload_bytes, payload_base64, payload}; payload where it is JSON.
It is written as it is read: memory does not grow with the queue.
`;

const VERIFY_EXAMPLES = `
Examples:
  ./holdfast collector queue verify
  ./holdfast collector queue verify --json > report.json || echo damaged
`;

function status(options: CommonOptions): void {
  const view = viewQueue(options.path);
  const found = statusOf(view);
  if (options.json) printJson(statusJson(view, found));
  else for (const line of statusLines(view, found)) print(line);
  endOverDamage(view);
}

/** @throws CommandError where damage shows, as far as it does without reading every byte. */
function endOverDamage(view: QueueView): void {
  if (problemsOf(view).length === 0 && view.missing.length === 0) return;
  throw new CommandError(
    'failed',
    `the queue in ${view.path} is damaged; queue verify names what is lost by it`,
  );
}

function statusJson(view: QueueView, found: QueueStatus) {
  const { sending, deadLetters } = found;
  return {
    path: view.path,
    collector: found.collector ?? null,
    store_id: found.storeId ?? null,
    queue: {
      frames: found.frames,
      bytes: found.bytes,
      kept_bytes: found.keptBytes,
      oldest_captured_at: timeOrNull(found.oldestCapturedAt),
      newest_captured_at: timeOrNull(found.newestCapturedAt),
      segments: found.segments,
      tail_bytes: found.tailBytes,
    },
    epochs: found.epochs,
    gaps: found.gaps,
    missing: found.missing,
    problems: found.problems,
    set_aside: found.setAside,
    dead_letters: deadLetters,
    sending:
      sending === undefined
        ? null
        : {
            at: formatTime(sending.at),
            state: sending.state,
            since: formatTime(sending.since),
            attempt: sending.attempt,
            next_retry_at: timeOrNull(sending.nextRetryAt),
            last_error: sending.lastError
              ? { ...sending.lastError, at: formatTime(sending.lastError.at) }
              : null,
          },
  };
}

function statusLines(view: QueueView, found: QueueStatus): string[] {
  const { epochs, gaps, missing, deadLetters } = found;
  const pairs: [string, string][] = [
    ['queue', view.path],
    ['collector', found.collector ?? 'not kept here: configured, or not made yet'],
    ['waiting', countText(found.frames, 'frame')],
  ];
  const waitingEpochs = epochs.filter(({ pending }) => pending > 0).length;
  if (found.frames > 0) {
    pairs.push(
      ['captured', `${timeText(found.oldestCapturedAt)} to ${timeText(found.newestCapturedAt)}`],
      ['epochs', `${waitingEpochs} with waiting frames, ${epochs.length} known`],
    );
  }
  const kept = found.keptBytes > 0 ? `, ${sizeText(found.keptBytes)} of it settled and kept` : '';
  pairs.push(
    ['on disk', `${sizeText(found.bytes)} in ${countText(found.segments, 'segment')}${kept}`],
    ['sending', sendingText(view)],
  );
  if (gaps.length > 0) {
    const seqs = countSeqs(gaps);
    const reasons = [...new Set(gaps.map(({ reason }) => reason))].join(', ');
    pairs.push([
      'given up',
      `${countText(seqs, 'frame')} that the server has not heard of: ${reasons}`,
    ]);
  }
  if (found.tailBytes > 0) {
    pairs.push([
      'tail',
      `${found.tailBytes} bytes of a write under way, or of one that a crash ended`,
    ]);
  }
  if (missing.length > 0) {
    const seqs = countSeqs(missing);
    pairs.push([
      'missing',
      `${countText(seqs, 'frame')} that no file holds; the next start declares them damaged`,
    ]);
  }
  if (deadLetters.refused > 0) {
    pairs.push([
      'refused',
      `${countText(deadLetters.refused, 'dead letter')}: ./holdfast collector dead list`,
    ]);
  }
  if (deadLetters.replay > 0) {
    pairs.push([
      'replay',
      `${countText(deadLetters.replay, 'dead letter')} that a collector is to take and send again`,
    ]);
  }
  if (found.setAside.length > 0) {
    pairs.push([
      'set aside',
      `${countText(found.setAside.length, 'file')} in set-aside/: look at them, or remove them`,
    ]);
  }
  for (const problem of found.problems) pairs.push(['problem', problem]);
  return pairs.map(([name, text]) => `${name.padEnd(10)} ${text}`);
}

function sendingText(view: QueueView): string {
  const waiting = loadWaiting(view, Date.now() * 1_000);
  const { sending, isOld } = waiting;
  if (sending === undefined || sending.state === 'Stopped' || isOld) return reasonFor(waiting, 0);
  const { state, since, nextRetryAt, lastError } = sending;
  const retry = nextRetryAt === undefined ? '' : `, next attempt at ${formatTime(nextRetryAt)}`;
  const error = lastError && state !== 'Ready' ? `; ${lastError.message}` : '';
  return `${state} since ${formatTime(since)}${retry}${error}`;
}

async function list(options: ListOptions): Promise<void> {
  const view = viewQueue(options.path);
  const waiting = loadWaiting(view, Date.now() * 1_000);
  const limit = listLimitOf(options);
  const unreadable = { frames: 0 };
  const frames = firstOf(view, options, limit, unreadable);
  if (options.json) await listJson(view, frames, waiting);
  else await listTable(view, frames, waiting);
  warnOfUnreadable(unreadable.frames);
  endOverDamage(view);
}

async function listTable(
  view: QueueView,
  batches: Iterable<readonly Frame[]>,
  waiting: Waiting,
): Promise<void> {
  let shown = 0;
  const heading = ['EPOCH', 'SEQ', 'CAPTURED', 'BYTES', 'TRIES', 'WAITS BECAUSE'];
  for (const frames of batches) {
    const rows = frames.map(({ epoch, seq, capturedAt, payload }) => {
      const tries = triesOf(waiting, epoch, seq);
      const because = reasonFor(waiting, tries);
      return [epoch, seq, formatTime(capturedAt), payload.length, tries ?? '?', because];
    });
    const text = table(heading, rows);
    await printRows(`${shown === 0 ? text : text.slice(text.indexOf('\n') + 1)}\n`);
    shown += frames.length;
  }
  const pending = pendingCount(view);
  if (shown === 0)
    print(pending === 0 ? 'Nothing waits.' : `No frame like that, of ${pending} that wait.`);
  else if (shown < pending) print(`${shown} of ${pending} that wait; --all lists them all.`);
}

/** One document, written as it is read. */
async function listJson(
  view: QueueView,
  batches: Iterable<readonly Frame[]>,
  waiting: Waiting,
): Promise<void> {
  await printRows('{"frames": [');
  let shown = 0;
  for (const frames of batches) {
    const rows = frames.map(({ epoch, seq, capturedAt, payload, crc }) => {
      const tries = triesOf(waiting, epoch, seq);
      return JSON.stringify({
        epoch,
        seq,
        captured_at: formatTime(capturedAt),
        bytes: payload.length,
        crc32: formatCrc(crc),
        tries: tries ?? null,
        waits_because: reasonFor(waiting, tries),
      });
    });
    await printRows(`${shown === 0 ? '\n' : ',\n'}${rows.join(',\n')}`);
    shown += frames.length;
  }
  await printRows(`\n], "shown": ${shown}, "pending": ${pendingCount(view)}}\n`);
}

async function exportFrames(options: ExportOptions): Promise<void> {
  const view = viewQueue(options.path);
  const collector = options.collector ?? keptCollectorId(view.files) ?? null;
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  const unreadable = { frames: 0 };
  const progress = new Progress();
  const pending = pendingCount(view);
  let written = 0;
  for (const frames of firstOf(view, options, limit, unreadable)) {
    for (let i = 0; i < frames.length; i += ROWS_PER_WRITE) {
      const rows = frames.slice(i, i + ROWS_PER_WRITE).map((frame) => exportRow(collector, frame));
      await printRows(rows.join(''));
    }
    written += frames.length;
    progress.show(() => `${written} of ${pending} frames`);
  }
  progress.end();
  const missing = countSeqs(view.missing);
  if (missing + unreadable.frames === 0) return;
  throw new CommandError(
    'failed',
    `${countText(missing + unreadable.frames, 'frame')} of this queue could not be read or ` +
      'exported. queue verify names the damage; all others were written',
  );
}

/** The first so many selected frames. */
function* firstOf(
  view: QueueView,
  options: ListOptions,
  limit: number,
  unreadable: { frames: number },
): Generator<Frame[]> {
  let left = limit;
  const reading = {
    framesMax: limit,
    onUnreadable: (_: string, { from, to }: { from: number; to: number }): void => {
      unreadable.frames += to - from + 1;
    },
  };
  for (const frames of readFrames(view, selectionOf(options), reading)) {
    yield frames.slice(0, left);
    left -= frames.length;
    if (left <= 0) return;
  }
}

function warnOfUnreadable(frames: number): void {
  if (frames === 0) return;
  throw new CommandError(
    'failed',
    `${countText(frames, 'frame')} in between can't be read; queue verify names the damage`,
  );
}

function verifyQueue(options: CommonOptions): void {
  const progress = new Progress();
  const view = viewQueue(options.path, {
    whole: true,
    onProgress: (read, all) => progress.show(() => `${sizeText(read)} of ${sizeText(all)} read`),
  });
  const found = verify(view);
  progress.end();
  if (options.json) printJson(verificationJson(view, found));
  else for (const line of verificationLines(view, found)) print(line);
  if (found.damages.length > 0 || found.lost.length > 0) {
    throw new CommandError('failed', `the queue in ${view.path} is damaged`);
  }
}

function verificationJson(view: QueueView, { damages, lost, ...counts }: Verification) {
  return {
    path: view.path,
    whole: damages.length === 0 && lost.length === 0,
    segments: counts.segments,
    bytes: counts.bytes,
    frames: counts.frames,
    pending: pendingCount(view),
    tail_bytes: counts.tailBytes,
    damage: damages,
    lost,
  };
}

function verificationLines(view: QueueView, found: Verification): string[] {
  const { damages, lost, segments, bytes, frames, tailBytes } = found;
  const lines = damages.map(({ file, offset, bytes: length, what }) => {
    const where = offset === null ? '' : ` at byte ${offset}, ${length} bytes`;
    return `✗ ${file}${where}: ${what}`;
  });
  for (const { epoch, from, to } of lost) {
    lines.push(`✗ lost: ${epoch} ${from === to ? `seq ${from}` : `seqs ${from} to ${to}`}`);
  }
  if (tailBytes > 0) {
    lines.push(
      `  ${tailBytes} bytes at the end are a write under way, or one that a crash ended: no frame ` +
        'was confirmed in them',
    );
  }
  const read = `${countText(segments, 'segment')}, ${sizeText(bytes)}, ${countText(frames, 'frame')}`;
  const waiting = `${pendingCount(view)} of them waiting`;
  const verdict = damages.length + lost.length === 0 ? 'whole' : 'damaged';
  lines.push(`${verdict}: ${read} read, every checksum checked; ${waiting}`);
  return lines;
}

function timeOrNull(timeUs: number | undefined): string | null {
  return timeUs === undefined ? null : formatTime(timeUs);
}

function timeText(timeUs: number | undefined): string {
  return timeUs === undefined ? 'unknown' : formatTime(timeUs);
}
