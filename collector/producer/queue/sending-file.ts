/**
 * The file in which a running producer leaves word of how sending goes, for whoever looks at the
 * queue from outside: the state of the link, and which waiting frames were sent how often. Sealed
 * JSON (`sealed-json.ts`); the layout is in docs/queue-format.md.
 *
 * It is word of mouth: replaced by renaming, never synced, and nothing of the queue depends on it.
 * No error of the disk leaves this file; one that is old, torn or absent means "unknown".
 */
import { type FilePort, type FileReader, readWhole } from './file-port.ts';
import {
  array,
  count,
  object,
  sealJson,
  seq,
  UnexpectedValue,
  unsealJson,
  uuid,
} from './sealed-json.ts';

const SENDING_NAME = 'sending';
const SENDING_KIND = 'holdfast-queue-sending';
const SENDING_VERSION = 1;
const SENDING_BYTES_MAX = 65_536;
/** Runs of frames with one number of tries that are told of at most, the oldest first. */
export const TRIED_RUNS_MAX = 64;
const TEXT_MAX = 500;

/** Frames that were sent so often and are not settled. */
interface TriedRun {
  readonly epoch: string;
  readonly from: number;
  readonly to: number;
  readonly tries: number;
}

/** How sending goes. Times are microseconds since 1970 UTC. */
export interface Sending {
  readonly at: number;
  /** The process's own UUID: the one that it tells the server. */
  readonly instance: string;
  /** A state of the sender, by name. */
  readonly state: string;
  readonly since: number;
  /** Failures since the link last did its work. */
  readonly attempt: number;
  readonly nextRetryAt: number | undefined;
  readonly lastError:
    | { readonly code: string; readonly message: string; readonly at: number }
    | undefined;
  /** TRIED_RUNS_MAX at most. */
  readonly tried: readonly TriedRun[];
}

/** Puts the word in place; on any error the old one stays, or none. */
export function saveSending(files: FilePort, sending: Sending): void {
  const temporary = `${SENDING_NAME}.tmp`;
  try {
    if (files.size(temporary) !== undefined) files.unlink(temporary);
    const handle = files.create(temporary);
    try {
      files.write(handle, encodeSending(sending));
    } finally {
      files.close(handle);
    }
    files.rename(temporary, SENDING_NAME);
  } catch {
    // Whoever looks is told less. What a failing disk does to the queue shows at its next record.
  }
}

export function loadSending(files: FileReader): Sending | undefined {
  try {
    const bytes = files.size(SENDING_NAME);
    if (bytes === undefined || bytes > SENDING_BYTES_MAX) return undefined;
    const content = readWhole(files, SENDING_NAME);
    const unsealed = unsealJson(content, SENDING_KIND, SENDING_VERSION, toSending);
    return unsealed.state === 'loaded' ? unsealed.value : undefined;
  } catch {
    return undefined;
  }
}

function encodeSending(sending: Sending): Buffer {
  const { at, instance, state, since, attempt, nextRetryAt, lastError, tried } = sending;
  return sealJson(SENDING_KIND, SENDING_VERSION, {
    at,
    instance,
    state,
    since,
    attempt,
    next_retry_at: nextRetryAt,
    last_error: lastError && { ...lastError, message: lastError.message.slice(0, TEXT_MAX) },
    tried: tried.slice(0, TRIED_RUNS_MAX).map((run) => [run.epoch, run.from, run.to, run.tries]),
  });
}

function toSending(value: unknown): Sending {
  const fields = object(value);
  const { next_retry_at: nextRetryAt, last_error: lastError } = fields;
  return {
    at: time(fields.at),
    instance: uuid(fields.instance),
    state: text(fields.state),
    since: time(fields.since),
    attempt: time(fields.attempt),
    nextRetryAt: nextRetryAt === undefined ? undefined : time(nextRetryAt),
    lastError: lastError === undefined ? undefined : toError(lastError),
    tried: array(fields.tried).map(toRun),
  };
}

function toError(value: unknown): NonNullable<Sending['lastError']> {
  const { code, message, at } = object(value);
  return { code: text(code), message: text(message), at: time(at) };
}

function toRun(value: unknown): TriedRun {
  const [epoch, from, to, tries] = array(value);
  return { epoch: uuid(epoch), from: seq(from), to: seq(to), tries: time(tries) };
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new UnexpectedValue('a text', value);
  return value;
}

function time(value: unknown): number {
  return count(value, Number.MAX_SAFE_INTEGER);
}
