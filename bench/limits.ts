/**
 * Limit probes: how fast the same frames go to the same disk, or over the same link, when nothing has
 * to be proven about them. Drains and ingest are held against these, measured beside them in the same run.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { decodeBody } from '#protocol/codec.ts';
import { MessageWriter } from '#protocol/envelope.ts';
import { Framer } from '#protocol/framer.ts';
import { FrameCrc } from '#protocol/identity.ts';
import type { WireFrame } from '#protocol/messages.ts';
import { perSecond } from './figures.ts';
import { inTime } from './in-time.ts';
import { type Bench, startLink } from './pipeline.ts';
import { capturedAtOf, type FramePlan, payloadOf } from './source/frames.ts';
import { BareFlow } from './wire/bare-flow.ts';

const SYNC_EVERY_BYTES = 262_144;
const ROWS_PER_TRANSACTION = 4_096;
const ROWS_PER_STATEMENT = 16;
const FRAMES_PER_MESSAGE = 800;
const CHECKPOINT_EVERY_BYTES = 8_388_608;
/** What a frame costs on the wire beside its payload, about. */
const FRAME_OVERHEAD_BYTES = 12;
const CARRIED_WITHIN_MS = 60_000;

function bytesOf({ payloadBytes }: FramePlan, frames: number): number {
  return frames * (payloadBytes + FRAME_OVERHEAD_BYTES);
}

/** Frames per second of writing their bytes to one file, with an fdatasync for each 256 KiB. */
export function fileLimit(directory: string, plan: FramePlan, frames: number): number {
  const chunk = Buffer.alloc(SYNC_EVERY_BYTES);
  payloadOf({ ...plan, payloadBytes: SYNC_EVERY_BYTES }, 0).copy(chunk);
  const file = openSync(join(directory, 'file-limit'), 'w');
  const startedAt = performance.now();
  for (let left = bytesOf(plan, frames); left > 0; left -= chunk.length) {
    writeSync(file, chunk, 0, Math.min(left, chunk.length));
    fdatasyncSync(file);
  }
  const elapsedMs = performance.now() - startedAt;
  closeSync(file);
  return perSecond(frames, elapsedMs);
}

/**
 * Frames per second of sending as many bytes over one bare socket, through a Toxiproxy as a drain goes,
 * to a sink in this process that counts them and nothing else; the dial is part of it. `directory` is for
 * Toxiproxy's file.
 */
export async function socketLimit(
  bench: Bench,
  directory: string,
  plan: FramePlan,
  frames: number,
): Promise<number> {
  const bytes = bytesOf(plan, frames);
  const flow = await BareFlow.listen();
  try {
    const { port, toxiproxy } = await startLink(bench, directory, flow.port);
    const startedAt = performance.now();
    flow.start(port, bytes);
    await inTime(
      flow.arrived(bytes),
      CARRIED_WITHIN_MS,
      `a bare socket did not carry ${bytes} bytes`,
    );
    const elapsedMs = performance.now() - startedAt;
    await toxiproxy.stop();
    return perSecond(frames, elapsedMs);
  } finally {
    flow.stop();
  }
}

/** How an ingest limit was reached. */
export interface IngestLimit {
  readonly framesPerS: number;
  /** Of the time, what parsing and the CRCs took, 0 to 1. */
  readonly parsingShare: number;
}

/**
 * How fast one process takes the bytes of FRAMES messages, parses them, checks every CRC, inserts
 * the rows into a table with the indexes of the server's and commits them, each transaction synced
 * (WAL, synchronous=FULL) and the log checkpointed as it grows. No network, no threads, no settlement, no
 * other side. Making the messages is not timed.
 */
export function ingestLimit(directory: string, plan: FramePlan, frames: number): IngestLimit {
  const database = new DatabaseSync(join(directory, `limit-${process.hrtime.bigint()}`));
  const rows = new LimitRows(database);
  const messages = new LimitMessages(plan);
  let parsingMs = 0;
  let writingMs = 0;
  for (let left = frames; left > 0; left -= ROWS_PER_TRANSACTION) {
    const bytes = messages.make(Math.min(left, ROWS_PER_TRANSACTION));
    const startedAt = performance.now();
    const parsed = messages.parse(bytes);
    const parsedAt = performance.now();
    rows.commit(parsed);
    parsingMs += parsedAt - startedAt;
    writingMs += performance.now() - parsedAt;
  }
  database.close();
  const elapsedMs = parsingMs + writingMs;
  return { framesPerS: perSecond(frames, elapsedMs), parsingShare: parsingMs / elapsedMs };
}

/** Frames as they come over a connection, and back. */
class LimitMessages {
  readonly #plan: FramePlan;
  readonly #epoch = randomUUID();
  readonly #crc = new FrameCrc(this.#epoch);
  readonly #writer = new MessageWriter();
  readonly #framer = new Framer();
  #seq = 0;

  constructor(plan: FramePlan) {
    this.#plan = plan;
    this.#framer.liftLimit();
  }

  make(count: number): Buffer[] {
    const messages: Buffer[] = [];
    for (let left = count; left > 0; left -= FRAMES_PER_MESSAGE) {
      const frames = Array.from({ length: Math.min(left, FRAMES_PER_MESSAGE) }, () => {
        this.#seq += 1;
        const seq = this.#seq;
        const capturedAt = capturedAtOf(this.#plan, seq);
        const payload = payloadOf(this.#plan, seq);
        return { seq, capturedAt, payload, crc: this.#crc.of(seq, capturedAt, payload) };
      });
      messages.push(this.#writer.write({ kind: 'frames', epochIndex: 0, frames }).bytes);
    }
    return messages;
  }

  parse(messages: readonly Buffer[]): WireFrame[] {
    const parsed: WireFrame[] = [];
    for (const bytes of messages) {
      this.#framer.push(bytes);
      for (let raw = this.#framer.next(); raw; raw = this.#framer.next()) {
        const message = decodeBody(raw.kind, raw.flags, raw.body);
        if (message.kind !== 'frames') throw new Error(`a message of kind ${message.kind}`);
        for (const frame of message.frames) {
          const { seq, capturedAt, payload, crc } = frame;
          if (this.#crc.of(seq, capturedAt, payload) !== crc) throw new Error('a wrong CRC');
          parsed.push(frame);
        }
      }
    }
    return parsed;
  }
}

/** Rows of one stream in a table like the server's, several to a statement, for that is the fastest way. */
class LimitRows {
  readonly #database: DatabaseSync;
  readonly #insertOne: StatementSync;
  readonly #insertMany: StatementSync;
  #uncheckpointedBytes = 0;

  constructor(database: DatabaseSync) {
    this.#database = database;
    database.exec(`
      PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA wal_autocheckpoint = 0;
      PRAGMA cache_size = -16384;
      CREATE TABLE frames (stream_id INTEGER NOT NULL, seq INTEGER NOT NULL,
        captured_at INTEGER NOT NULL, received_at INTEGER NOT NULL, crc INTEGER NOT NULL,
        payload BLOB NOT NULL, PRIMARY KEY (stream_id, seq)) STRICT;
      CREATE INDEX frames_by_capture ON frames (stream_id, captured_at, seq);`);
    const insert = 'INSERT INTO frames VALUES ';
    const row = '(1, ?, ?, 0, ?, ?)';
    this.#insertOne = database.prepare(insert + row);
    this.#insertMany = database.prepare(insert + Array(ROWS_PER_STATEMENT).fill(row).join(', '));
  }

  commit(frames: readonly WireFrame[]): void {
    this.#database.exec('BEGIN IMMEDIATE');
    let from = 0;
    for (; from + ROWS_PER_STATEMENT <= frames.length; from += ROWS_PER_STATEMENT) {
      const values: (number | Uint8Array)[] = [];
      for (let i = from; i < from + ROWS_PER_STATEMENT; i += 1) {
        const frame = frames[i];
        if (frame) values.push(frame.seq, frame.capturedAt, frame.crc, frame.payload);
      }
      this.#insertMany.run(...values);
    }
    for (const { seq, capturedAt, crc, payload } of frames.slice(from)) {
      this.#insertOne.run(seq, capturedAt, crc, payload);
    }
    this.#database.exec('COMMIT');
    for (const { payload } of frames) this.#uncheckpointedBytes += payload.length;
    if (this.#uncheckpointedBytes < CHECKPOINT_EVERY_BYTES) return;
    this.#uncheckpointedBytes = 0;
    this.#database.exec('PRAGMA wal_checkpoint(PASSIVE)');
  }
}
