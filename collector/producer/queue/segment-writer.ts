/**
 * Writes one segment file: stages records in memory, writes them in as few calls as possible, and
 * makes them durable on request. A new file is durable under its name, header and all, before the
 * first record is staged. A file is only ever written by the opening of the queue that made it.
 *
 * After any error it must not be used again, nor the file be written to: what the operating system
 * then knows of the file is not to be trusted (`core.ts` sees to that).
 */
import type { FileHandle, FilePort } from './file-port.ts';
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

  constructor(files: FilePort, number: number, staging: Staging) {
    this.#files = files;
    this.number = number;
    this.#staging = staging.buffer;
    this.#handle = files.create(segmentName(number));
    files.write(this.#handle, encodeSegmentHeader(number));
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
    if (this.#synced === this.#written) return;
    this.#files.sync(this.#handle);
    this.#synced = this.#written;
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
    this.#files.write(this.#handle, this.#staging.subarray(0, this.#staged));
    this.#written += this.#staged;
    this.#staged = 0;
  }
}
