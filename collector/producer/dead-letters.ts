/**
 * Dead letters: frames that the server refused for good, kept with code and text until a person
 * decides. One file of JSON lines in the queue's directory, appended and synced before the queue
 * may forget the frame.
 *
 * Each line: {collector, epoch, seq, captured_at_us, crc32, payload_base64, code, text, rejected_at}.
 * A crash can leave the last line torn or doubled; readers skip the one and merge the other by
 * identity.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { type Frame, formatTime } from '#protocol/identity.ts';

const FILE_NAME = 'dead-letters.jsonl';

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

/** Appends a dead letter; it is on disk when this resolves. Rejects with the file system's error. */
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
  const file = await open(join(queuePath, FILE_NAME), 'a', 0o600);
  try {
    await file.appendFile(`${line}\n`);
    await file.datasync();
  } finally {
    await file.close();
  }
}
