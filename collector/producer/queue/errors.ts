/**
 * What can go wrong in the queue, as its users see it.
 *
 * Lives here: one error class per condition, with a stable `code`, and the form in which an error
 * crosses from the worker thread to the main thread. Not here: damage that was found and declared
 * (a report, not an error) and the queue's own mistakes (`assert`).
 *
 * Every message says what happened, where, what it means for the data and what to do.
 */
import { assertNever } from '#protocol/errors.ts';
import { COLLECTOR_ID_RULE } from '#protocol/identity.ts';

/** `transient`: it may pass by itself. `permanent`: somebody has to change something. */
export type QueueRetry = 'transient' | 'permanent';

export type QueueErrorCode =
  | 'queue_in_use'
  | 'queue_open_failed'
  | 'queue_foreign'
  | 'queue_full'
  | 'disk_full'
  | 'payload_too_large'
  | 'queue_failed'
  | 'queue_read_failed'
  | 'queue_closed'
  | 'collector_id_invalid';

/** Any failure of the queue. `cause` keeps the operating system's error where there was one. */
export abstract class QueueError extends Error {
  readonly code: QueueErrorCode;
  readonly retry: QueueRetry;

  protected constructor(code: QueueErrorCode, retry: QueueRetry, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retry = retry;
  }
}

/** Another process, or another `Queue` in this one, has the queue open. */
export class QueueInUseError extends QueueError {
  override readonly name = 'QueueInUseError';
  readonly path: string;

  constructor(path: string) {
    super(
      'queue_in_use',
      'transient',
      `the queue in ${path} is open elsewhere, and a queue has one writer at a time. ` +
        'Nothing was touched. Stop the other process, or use another queue directory',
    );
    this.path = path;
  }
}

/** The queue can't be opened: no directory, no permission, or a disk that refuses. */
export class QueueOpenError extends QueueError {
  override readonly name = 'QueueOpenError';
  readonly path: string;

  constructor(path: string, cause: unknown) {
    super(
      'queue_open_failed',
      'permanent',
      `the queue in ${path} can't be opened: ${reasonOf(cause)}. No frame in it was given up. ` +
        'Check that the directory can be created, read and written by this user and has space',
      cause,
    );
    this.path = path;
  }
}

/** The directory is in use for something else: a queue made among those files might be lost with them. */
export class QueueForeignError extends QueueError {
  override readonly name = 'QueueForeignError';
  readonly path: string;
  /** Some of what the directory holds, as a phrase. */
  readonly holds: string;

  constructor(path: string, holds: string) {
    super(
      'queue_foreign',
      'permanent',
      `${path} is no queue: it holds ${holds}, and none of a queue's files. Nothing was touched. ` +
        'A queue needs a directory of its own: name one that is empty, or is to be made',
    );
    this.path = path;
    this.holds = holds;
  }
}

/** The queue is at its limit and set to refuse; or one frame is larger than the whole limit. */
export class QueueFullError extends QueueError {
  override readonly name = 'QueueFullError';
  readonly path: string;
  readonly limitBytes: number;

  constructor(path: string, limitBytes: number) {
    super(
      'queue_full',
      'transient',
      `the queue in ${path} has no room for this frame within its limit of ${limitBytes} bytes: ` +
        'it was not accepted; those before it are kept. There is room again once the server has ' +
        'confirmed older frames; or raise the limit',
    );
    this.path = path;
    this.limitBytes = limitBytes;
  }
}

/** The disk under the queue has no room. Nothing is wrong with it: it passes once there is some. */
export class DiskFullError extends QueueError {
  override readonly name = 'DiskFullError';
  readonly path: string;

  constructor(path: string, cause: unknown) {
    super(
      'disk_full',
      'transient',
      `the disk under the queue in ${path} is full: ${reasonOf(cause)}. What waited to be written ` +
        'was not accepted; what was accepted before is kept and delivered. The queue accepts again ' +
        'by itself once there is room: free some on that disk, or raise its quota',
      cause,
    );
    this.path = path;
  }
}

/** The payload is over what any server takes; nothing was written. */
export class PayloadTooLargeError extends QueueError {
  override readonly name = 'PayloadTooLargeError';
  readonly bytes: number;
  readonly bytesMax: number;

  constructor(bytes: number, bytesMax: number) {
    super(
      'payload_too_large',
      'permanent',
      `a payload of ${bytes} bytes is over the limit of ${bytesMax}; it was not accepted. ` +
        'Split it, or send less',
    );
    this.bytes = bytes;
    this.bytesMax = bytesMax;
  }
}

/**
 * A write or a sync failed. After that the operating system may have forgotten what was written
 * without saying so again, so the queue accepts nothing more; a new opening reads back and checks
 * what is really there.
 */
export class QueueFailedError extends QueueError {
  override readonly name = 'QueueFailedError';
  readonly path: string;
  /** What it was about to do, as a phrase: `write frames`. */
  readonly operation: string;

  constructor(path: string, operation: string, cause: unknown) {
    super(
      'queue_failed',
      'permanent',
      `the queue in ${path} has failed: it could not ${operation}: ${reasonOf(cause)}. Frames ` +
        'confirmed before are on the disk. Those that wait now are not confirmed; any of them ' +
        'that reached the disk will be sent after the next start. Check the disk (space, health, ' +
        'permissions) and start again: the queue verifies itself when it is opened',
      cause,
    );
    this.path = path;
    this.operation = operation;
  }
}

/**
 * Frames could not be read, and not because of damage (a sector that the disk refuses is damage).
 * Nothing is given up: the next read tries again.
 */
export class QueueReadError extends QueueError {
  override readonly name = 'QueueReadError';
  readonly file: string;

  constructor(file: string, cause: unknown) {
    super(
      'queue_read_failed',
      'transient',
      `frames can't be read from ${file}: ${reasonOf(cause)}. None was given up: the next read ` +
        'tries again, and appending goes on. If it persists, check the disk',
      cause,
    );
    this.file = file;
  }
}

/** The queue was closed before, or while, this was asked of it. */
export class QueueClosedError extends QueueError {
  override readonly name = 'QueueClosedError';
  readonly path: string;

  constructor(path: string) {
    super(
      'queue_closed',
      'permanent',
      `the queue in ${path} is closed: what was asked of it was not done, and a frame given to ` +
        'it now was not accepted. Open the queue again first',
    );
    this.path = path;
  }
}

/** The file that keeps the collector's id holds something else. */
export class CollectorIdError extends QueueError {
  override readonly name = 'CollectorIdError';
  readonly file: string;
  readonly found: string;

  constructor(file: string, found: string) {
    super(
      'collector_id_invalid',
      'permanent',
      `${file} holds ${JSON.stringify(found)}, which is no collector id (${COLLECTOR_ID_RULE}). ` +
        'Frames are not affected. Write the id back under which the server knows this collector, ' +
        'or delete the file to be given a new one',
    );
    this.file = file;
    this.found = found;
  }
}

/** An operating system's error in a few words, without a stack. */
function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

interface CauseFacts {
  readonly message: string;
  readonly code: string | undefined;
}

/** The errors that arise in the worker thread, as plain data for the way to the main thread. */
export type QueueErrorFacts =
  | { readonly code: 'queue_in_use'; readonly path: string }
  | { readonly code: 'queue_foreign'; readonly path: string; readonly holds: string }
  | {
      readonly code: 'queue_open_failed' | 'disk_full';
      readonly path: string;
      readonly cause: CauseFacts;
    }
  | {
      readonly code: 'queue_failed';
      readonly path: string;
      readonly operation: string;
      readonly cause: CauseFacts;
    }
  | { readonly code: 'queue_read_failed'; readonly file: string; readonly cause: CauseFacts }
  | { readonly code: 'collector_id_invalid'; readonly file: string; readonly found: string };

/** The data of an error of the worker; `undefined` for an exception that is a mistake of ours. */
export function toFacts(error: unknown): QueueErrorFacts | undefined {
  if (error instanceof QueueInUseError) return { code: 'queue_in_use', path: error.path };
  if (error instanceof QueueForeignError) {
    return { code: 'queue_foreign', path: error.path, holds: error.holds };
  }
  if (error instanceof QueueOpenError) {
    return { code: 'queue_open_failed', path: error.path, cause: causeFacts(error) };
  }
  if (error instanceof DiskFullError) {
    return { code: 'disk_full', path: error.path, cause: causeFacts(error) };
  }
  if (error instanceof QueueFailedError) {
    const { path, operation } = error;
    return { code: 'queue_failed', path, operation, cause: causeFacts(error) };
  }
  if (error instanceof QueueReadError) {
    return { code: 'queue_read_failed', file: error.file, cause: causeFacts(error) };
  }
  if (error instanceof CollectorIdError) {
    return { code: 'collector_id_invalid', file: error.file, found: error.found };
  }
  return undefined;
}

export function fromFacts(facts: QueueErrorFacts): QueueError {
  switch (facts.code) {
    case 'queue_in_use':
      return new QueueInUseError(facts.path);
    case 'queue_foreign':
      return new QueueForeignError(facts.path, facts.holds);
    case 'queue_open_failed':
      return new QueueOpenError(facts.path, cause(facts.cause));
    case 'disk_full':
      return new DiskFullError(facts.path, cause(facts.cause));
    case 'queue_failed':
      return new QueueFailedError(facts.path, facts.operation, cause(facts.cause));
    case 'queue_read_failed':
      return new QueueReadError(facts.file, cause(facts.cause));
    case 'collector_id_invalid':
      return new CollectorIdError(facts.file, facts.found);
    default:
      return assertNever(facts);
  }
}

function causeFacts(error: QueueError): CauseFacts {
  const code =
    error.cause instanceof Error && 'code' in error.cause ? String(error.cause.code) : undefined;
  return { message: reasonOf(error.cause), code };
}

function cause(facts: CauseFacts): Error {
  const error = new Error(facts.message);
  return facts.code === undefined ? error : Object.assign(error, { code: facts.code });
}
