/**
 * `./holdfast collector dead …`: the frames that the server refused for good, for a person to decide
 * about. Here: what people type and read; what is done is in `collector/tools/dead-letters.ts`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { keptCollectorId } from '#collector/producer/queue/identity-file.ts';
import type { LoadedLetter } from '#collector/producer/queue/letter-file.ts';
import {
  dropLetter,
  findLetters,
  isInTime,
  type NamedLetter,
  replayLetter,
  replaysLeft,
} from '#collector/tools/dead-letters.ts';
import { openDirectory } from '#collector/tools/directory.ts';
import { exportRow } from '#collector/tools/export-row.ts';
import { formatTime } from '#protocol/identity.ts';
import { CommandError, collectorOption, jsonOption, pathOption } from './command.ts';
import { canAsk, confirm, countText, print, printJson, printRows, table } from './output.ts';
import {
  addListOptions,
  addSelectionOptions,
  isEverything,
  type ListLimits,
  listLimitOf,
  type SelectionOptions,
  selectionOf,
} from './selection.ts';

/** A running collector looks once a second. */
const TAKEN_WITHIN_MS = 3_000;
const POLL_MS = 100;

interface DeadOptions extends SelectionOptions, ListLimits {
  readonly path: string;
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly collector?: string;
}

const EXAMPLES = `
Examples:
  What was refused, and why:
    ./holdfast collector dead list
  After the server's limit was raised (HOLDFAST_PAYLOAD_BYTES_MAX there), send it all again:
    ./holdfast collector dead replay --all
  Keep a copy of what one epoch lost, and let go of it:
    ./holdfast collector dead export --epoch 019abc12 > refused.ndjson
    ./holdfast collector dead drop --epoch 019abc12

All of them work beside a running collector. A frame that is sent again keeps its identity and its capture
time; should the server refuse it again, it is a dead letter again.
`;

const LIST_EXAMPLES = `
Examples:
  ./holdfast collector dead list
  ./holdfast collector dead list --all --json | jq '.letters[].code'
`;

const EXPORT_EXAMPLES = `
Examples:
  ./holdfast collector dead export > refused.ndjson

Each line: {collector, epoch, seq, captured_at, rejected_at, code, text, crc32, payload_bytes, payload_base64, payload}.
`;

const REPLAY_EXAMPLES = `
Examples:
  ./holdfast collector dead replay --all
  ./holdfast collector dead replay --epoch 019abc12 --seq 17

A running collector takes them up within about a second; where none runs, the next one that does. They are
frames that wait then, as all others: ./holdfast collector queue list shows them.
`;

const DROP_EXAMPLES = `
Examples:
  ./holdfast collector dead drop --until 30d
  ./holdfast collector dead drop --all --yes

The server keeps them as rejected in its audit; their payloads are gone for good.
`;

export function addDeadCommands(program: Command): void {
  const dead = program
    .command('dead')
    .description('frames that the server refused for good: look, send again, drop')
    .addHelpText('after', EXAMPLES);
  const add = (name: string, description: string, examples: string): Command =>
    addSelectionOptions(
      dead.command(name).description(description).addOption(pathOption()),
    ).addHelpText('after', examples);
  addListOptions(
    add('list', 'what was refused, when and why, in the order of the frames', LIST_EXAMPLES),
  )
    .addOption(jsonOption())
    .action(list);
  add('export', 'the refused frames, whole, as NDJSON', EXPORT_EXAMPLES).action(exportLetters);
  add('replay', 'send refused frames again, under their own identity', REPLAY_EXAMPLES)
    .option('--all', 'all of them')
    .addOption(collectorOption())
    .addOption(jsonOption())
    .action(replay);
  add('drop', 'remove dead letters for good; asks first', DROP_EXAMPLES)
    .option('--all', 'all of them')
    .option('--yes', 'do it without a question')
    .action(drop);
}

/** Those that were asked for, each with what is in it; what went meanwhile is left out. */
function* loadedLetters(options: DeadOptions): Generator<[NamedLetter, LoadedLetter]> {
  const selection = selectionOf(options);
  for (const named of findLetters(options.path, selection)) {
    const loaded = named.load();
    if (loaded.state !== 'gone' && isInTime(loaded, selection)) yield [named, loaded];
  }
}

function list(options: DeadOptions): void {
  const limit = listLimitOf(options);
  const count = findLetters(options.path, {}).length;
  // Lists may be long: each letter becomes what is shown of it at once, and its payload is let go.
  if (options.json) {
    const letters = loadedLetters(options).take(limit).map(letterJson).toArray();
    return printJson({ letters, shown: letters.length, dead: count });
  }
  const rows = loadedLetters(options).take(limit).map(letterRow).toArray();
  if (rows.length === 0) {
    return print(count === 0 ? 'No dead letters.' : `No letter like that, of ${count}.`);
  }
  print(table(['EPOCH', 'SEQ', 'CAPTURED', 'BYTES', 'CODE', 'REFUSED', 'NOW'], rows));
  if (rows.length < count) print(`${rows.length} of ${count}; --all lists them all.`);
}

function letterRow([{ epoch, seq, isReplay }, loaded]: [NamedLetter, LoadedLetter]) {
  const now = isReplay ? 'to be sent again' : 'waits for you';
  if (loaded.state !== 'loaded') {
    const why = loaded.state === 'unreadable' ? loaded.why : 'gone';
    return [epoch, seq, '?', '?', '?', '?', `can't be used: ${why}`];
  }
  const { frame, code, rejectedAt } = loaded.letter;
  return [epoch, seq, formatTime(frame.capturedAt), frame.payload.length, code, rejectedAt, now];
}

function letterJson([{ epoch, seq, isReplay }, loaded]: [NamedLetter, LoadedLetter]) {
  const identity = { epoch, seq, to_be_sent_again: isReplay };
  if (loaded.state !== 'loaded') {
    return { ...identity, unusable: loaded.state === 'unreadable' ? loaded.why : 'gone' };
  }
  const { frame, code, text, rejectedAt, collector } = loaded.letter;
  return {
    collector,
    ...identity,
    captured_at: formatTime(frame.capturedAt),
    bytes: frame.payload.length,
    code,
    text,
    rejected_at: rejectedAt,
  };
}

async function exportLetters(options: DeadOptions): Promise<void> {
  let unusable = 0;
  for (const [, loaded] of loadedLetters(options)) {
    if (loaded.state === 'loaded') {
      const { collector, frame, code, text, rejectedAt } = loaded.letter;
      await printRows(exportRow(collector, frame, { rejected_at: rejectedAt, code, text }));
    } else unusable += 1;
  }
  if (unusable === 0) return;
  throw new CommandError(
    'failed',
    `${countText(unusable, 'dead letter')} can't be read and not exported; queue verify names them`,
  );
}

async function replay(options: DeadOptions): Promise<void> {
  refuseEverything(options, 'replay');
  const { path } = options;
  const collector = options.collector ?? keptCollectorId(openDirectory(path));
  const moved: NamedLetter[] = [];
  const left: string[] = [];
  for (const [named, loaded] of loadedLetters(options)) {
    if (named.isReplay) continue;
    const why = whyNot(loaded, collector);
    if (why !== undefined) left.push(`${named.epoch} ${named.seq}: ${why}`);
    else if (replayLetter(path, named)) moved.push(named);
  }
  const waiting = await untilTaken(path);
  if (options.json) printJson({ replayed: moved.length, taken: waiting === 0, waiting, left });
  else {
    print(replayText(moved.length, waiting));
    for (const line of left) print(`✗ not sent again: ${line}`);
  }
  if (left.length > 0) throw new CommandError('failed', `${left.length} could not be sent again`);
}

function replayText(moved: number, waiting: number): string {
  if (moved === 0 && waiting === 0) return 'No dead letter to be sent again.';
  if (waiting === 0) {
    return `${countText(moved, 'frame')} handed to the running collector: they wait to be sent (queue list)`;
  }
  return (
    `${countText(waiting, 'frame')} to be sent again; no collector has taken them so far. The next one ` +
    'that runs on this queue does, or this one as soon as its queue has room and they have their place'
  );
}

function whyNot(loaded: LoadedLetter, collector: string | undefined): string | undefined {
  if (loaded.state === 'unreadable') return loaded.why;
  if (loaded.state === 'gone' || collector === undefined) return undefined;
  const { letter } = loaded;
  if (letter.collector === collector) return undefined;
  return (
    `it is of collector ${letter.collector}, and this queue is sent as ${collector}: there it would be ` +
    'another frame'
  );
}

/** Waits a little for a running collector. How many letters are left for one to come. */
async function untilTaken(path: string): Promise<number> {
  const deadline = performance.now() + TAKEN_WITHIN_MS;
  let left = replaysLeft(path);
  while (left > 0 && performance.now() < deadline) {
    await delay(POLL_MS);
    left = replaysLeft(path);
  }
  return left;
}

async function drop(options: DeadOptions): Promise<void> {
  refuseEverything(options, 'drop');
  const { path } = options;
  const selection = selectionOf(options);
  const chosen = findLetters(path, selection).filter((named) => {
    if (named.isReplay) return false;
    const isTimed = selection.since !== undefined || selection.until !== undefined;
    return !isTimed || isInTime(named.load(), selection);
  });
  if (chosen.length === 0) return print('No dead letter like that.');
  const what = countText(chosen.length, 'dead letter');
  const mayDrop = options.yes || (canAsk() && (await confirm(`Remove ${what} for good?`)));
  if (!mayDrop) {
    print(`${what} would be removed for good.`);
    throw new CommandError('failed', 'nothing was changed; with --yes it is done');
  }
  const dropped = chosen.filter((named) => dropLetter(path, named));
  print(`${countText(dropped.length, 'dead letter')} removed.`);
}

/** That all are meant is to be said. */
function refuseEverything(options: DeadOptions, command: string): void {
  if (options.all || !isEverything(selectionOf(options))) return;
  throw new CommandError(
    'usage',
    `say which: --epoch, --seq, --since, --until, or --all of them (dead ${command} --help)`,
  );
}
