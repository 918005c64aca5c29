/**
 * Dead letters: frames that the server refused for good, kept with code and text until a person
 * decides. One file of JSON lines in the queue's directory, appended and synced before the queue
 * may forget the frame.
 *
 * Each line: {collector, epoch, seq, captured_at_us, crc32, payload_base64, code, text, rejected_at}.
 * A crash, or a disk without room, can leave the last line torn or doubled; readers skip the one
 * and merge the other by identity. A letter behind a torn one begins on a line of its own.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { type Frame, formatTime } from '#protocol/identity.ts';

const FILE_NAME = 'dead-letters.jsonl';
const OUT_OF_ROOM: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT']);

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
 * Appends a dead letter; it and the file's name are on disk when this resolves. Rejects with the
 * file system's error; see {@link isOutOfRoom}.
 */
export async function keepDeadLetter(queuePath: string, letter: DeadLetter): Promise<void> {
  const { frame, collector, code, text } = letter;
  const line = JSON.stringify({
    collector,
    epoch: frame.epoch,
    seq: frame.seq,
    captured_at_us: frame.capturedAt,
    crc32: frame.crc.toString(16).padStart(8, '0'),
    payload_base64: Buffer.from(frame.payload).toString('base64'),
    code,
    text,
    rejected_at: formatTime(letter.rejectedAt),
  });
  const file = await open(join(queuePath, FILE_NAME), 'a+', 0o600);
  try {
    const { size } = await file.stat();
    const start = size > 0 && !(await endsLine(file, size)) ? '\n' : '';
    await file.appendFile(`${start}${line}\n`);
    await file.datasync();
    if (size === 0) await syncDirectory(queuePath);
  } finally {
    await file.close();
  }
}

/** True for an error that passes by itself once the disk has room: nothing was kept. */
export function isOutOfRoom(error: unknown): boolean {
  return error instanceof Error && 'code' in error && OUT_OF_ROOM.has(String(error.code));
}

async function endsLine(file: FileHandle, size: number): Promise<boolean> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return bytesRead === 1 && buffer.toString('latin1') === '\n';
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
