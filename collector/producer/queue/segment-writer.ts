/**
 * Writes one segment file: stages records in memory, writes them in as few calls as possible, and
 * makes them durable on request. A new file is durable under its name, header and all, before the
 * first record is staged. A file is only ever written by the opening of the queue that made it.
 *
 * When there is no room (NoSpaceError), `cutBack` must come before anything else. After any other
 * error it must not be used again, nor the file be written to: what the operating system then knows
 * of the file is not to be trusted (`core.ts` sees to both).
 */
import { type FileHandle, type FilePort, NoSpaceError } from './file-port.ts';
import {
  EPOCH_RECORD_BYTES,
  type EpochRecord,
  encodeEpoch,
  encodeFrame,
  encodeGap,
  encodeSegmentHeader,
  frameRecordBytes,
  GAP_RECORD_BYTES,
  RECORD_BYTES_MAX,
  SEGMENT_HEADER_BYTES,
  segmentName,
} from './segment.ts';
import type { Gap } from './types.ts';

/** Room for the largest record; small ones are written in pieces of this size. */
const STAGING_BYTES = 2 * RECORD_BYTES_MAX;

/** The memory in which records are put together; one for all segments of a queue, one at a time. */
export class Staging {
  readonly buffer = Buffer.allocUnsafeSlow(STAGING_BYTES);
}

export class SegmentWriter {
  readonly number: number;
  readonly #files: FilePort;
  readonly #staging: Buffer;
  readonly #handle: FileHandle;
  #staged = 0;
  #written = SEGMENT_HEADER_BYTES;
  #synced = SEGMENT_HEADER_BYTES;
  /** A write began since the last sync: there may be bytes in the file behind `#synced`. */
  #isDirty = false;

  /** @throws NoSpaceError: then there is no such file, durably. */
  constructor(files: FilePort, number: number, staging: Staging) {
    this.#files = files;
    this.number = number;
    this.#staging = staging.buffer;
    this.#handle = files.create(segmentName(number));
    try {
      files.write(this.#handle, encodeSegmentHeader(number));
    } catch (error) {
      files.close(this.#handle);
      if (error instanceof NoSpaceError) {
        files.unlink(segmentName(number));
        files.syncDirectory('');
      }
      throw error;
    }
    files.sync(this.#handle);
    files.syncDirectory('');
  }

  /** The file's size once everything staged is written. */
  get bytes(): number {
    return this.#written + this.#staged;
  }

  get hasUnsynced(): boolean {
    return this.bytes > this.#synced;
  }

  /** Answers the record's offset in the file. */
  stageFrame(epochBytes: Buffer, seq: number, capturedAt: number, payload: Uint8Array): number {
    const at = this.#reserve(frameRecordBytes(payload.length));
    const position = this.#written + at;
    encodeFrame(this.#staging, at, position, { epochBytes, seq, capturedAt, payload });
    return position;
  }

  stageEpoch(record: EpochRecord): void {
    const at = this.#reserve(EPOCH_RECORD_BYTES);
    encodeEpoch(this.#staging, at, this.#written + at, record);
  }

  stageGap(gap: Gap): void {
    const at = this.#reserve(GAP_RECORD_BYTES);
    encodeGap(this.#staging, at, this.#written + at, gap);
  }

  /** Returns when everything staged is durable. */
  sync(): void {
    this.#write();
    if (!this.#isDirty) return;
    this.#files.sync(this.#handle);
    this.#synced = this.#written;
    this.#isDirty = false;
  }

  /**
   * Gives up everything that is not durable, and durably so: after a crash, too, none of it may be
   * found beside other records with the same numbers.
   */
  cutBack(): void {
    this.#staged = 0;
    this.#written = this.#synced;
    if (!this.#isDirty) return;
    this.#files.truncate(segmentName(this.number), this.#synced);
    this.#files.sync(this.#handle);
    this.#isDirty = false;
  }

  close(): void {
    this.#files.close(this.#handle);
  }

  /** Makes room for a record; answers where it goes in the staging memory. */
  #reserve(bytes: number): number {
    if (this.#staged + bytes > this.#staging.length) this.#write();
    const at = this.#staged;
    this.#staged += bytes;
    return at;
  }

  #write(): void {
    if (this.#staged === 0) return;
    this.#isDirty = true;
    this.#files.write(this.#handle, this.#staging.subarray(0, this.#staged));
    this.#written += this.#staged;
    this.#staged = 0;
  }
}
