/**
 * Dead letters: frames that the server refused for good, kept with code and text until a person
 * decides. One file each in `dead-letters/` of the queue's directory, whole and durable before the
 * queue may forget the frame; so they can be listed, dropped and sent again while a collector runs,
 * and none depends on another. A letter that is to be sent again is moved to `replay/`, where the
 * queue takes it from (`queue/replay.ts`).
 *
 * A file is named by its frame, `<epoch>-<seq in 16 digits>.json`, and holds one line of JSON:
 * {collector, epoch, seq, captured_at_us, crc32, payload_base64, code, text, rejected_at}. A frame
 * that is refused a second time replaces its letter.
 */
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectories } from '#protocol/directories.ts';
import { type Frame, formatCrc, formatTime } from '#protocol/identity.ts';
import { DEAD_LETTERS, letterName } from './queue/letter-file.ts';

export interface DeadLetter {
  readonly collector: string;
  readonly frame: Frame;
  /** Why it was refused, as the server named it. */
  readonly code: string;
  /** The server's words. */
  readonly text: string;
  /** Microseconds since 1970 UTC. */
  readonly rejectedAt: number;
}

/**
 * Keeps a dead letter; it and its name are on disk when this resolves. The same letter that lies
 * there already is not written again: or connections that break before its frame is settled would
 * have it written with each of them. Rejects with the file system's error.
 */
export async function keepDeadLetter(queuePath: string, letter: DeadLetter): Promise<void> {
  const { frame, collector, code, text } = letter;
  const content = JSON.stringify({
    collector,
    epoch: frame.epoch,
    seq: frame.seq,
    captured_at_us: frame.capturedAt,
    crc32: formatCrc(frame.crc),
    payload_base64: Buffer.from(frame.payload).toString('base64'),
    code,
    text,
  }).slice(0, -1);
  const directory = join(queuePath, DEAD_LETTERS);
  if (makeDirectories(directory) !== undefined) await syncDirectory(queuePath);
  const path = join(directory, letterName(frame.epoch, frame.seq));
  if (!(await beginsWith(path, `${content},`))) {
    await put(path, `${content},"rejected_at":"${formatTime(letter.rejectedAt)}"}\n`);
  }
  await syncDirectory(directory);
}

/** False also for a file that isn't there, or can't be read. */
async function beginsWith(path: string, beginning: string): Promise<boolean> {
  try {
    return (await readFile(path, 'utf8')).startsWith(beginning);
  } catch {
    return false;
  }
}

/** In place of what is there, whole or not at all. */
async function put(path: string, content: string): Promise<void> {
  const temporary = `${path}.tmp`;
  try {
    await writeDurably(temporary, content);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function writeDurably(path: string, content: string): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.datasync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
