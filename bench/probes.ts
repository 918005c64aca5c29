/**
 * What the machine itself can do at this moment: a fixed piece of work on one core, and making a few
 * bytes durable. Measured before each part of a run, so that figures of two runs can be compared by
 * what they were worth on their machines.
 */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { type Summary, summaryOf } from './figures.ts';

export interface Probes {
  /** Pieces of work a second: CRCs, and objects made to text and back, as the programs do. */
  readonly processorPerS: Summary;
  /** Writing 4 KiB behind a file's end and syncing them, on the disk of the benchmark. */
  readonly fdatasyncMs: Summary;
}

const SYNCS = 200;
const SYNC_BYTES = 4_096;
const WORK_SAMPLES = 9;
const PIECES = 400;
const PIECE_BYTES = 16_384;

/** `directory` is on the disk that is measured. */
export function probe(directory: string): Probes {
  return {
    processorPerS: summaryOf({ samples: Array.from({ length: WORK_SAMPLES }, workPerS) }),
    fdatasyncMs: summaryOf({ samples: syncTimesMs(directory) }),
  };
}

function workPerS(): number {
  const bytes = Buffer.alloc(PIECE_BYTES, 1);
  const value = {
    seq: 1,
    metrics: Array.from({ length: 16 }, (_, i) => ({ name: 'm', value: i })),
  };
  const startedAt = performance.now();
  let text = '';
  for (let i = 0; i < PIECES; i += 1) {
    value.seq = crc32(bytes, i);
    text = JSON.stringify(JSON.parse(JSON.stringify(value)));
    bytes[i] = text.length & 0xff;
  }
  return (PIECES / (performance.now() - startedAt)) * 1_000;
}

function syncTimesMs(directory: string): number[] {
  const path = join(directory, 'sync-probe');
  const file = openSync(path, 'wx');
  const bytes = Buffer.alloc(SYNC_BYTES, 1);
  const times: number[] = [];
  for (let i = 0; i < SYNCS; i += 1) {
    const startedAt = performance.now();
    writeSync(file, bytes);
    fdatasyncSync(file);
    times.push(performance.now() - startedAt);
  }
  closeSync(file);
  rmSync(path);
  return times;
}
