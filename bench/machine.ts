/**
 * What a figure was measured on: printed with it, because it means nothing without.
 */
import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { medianOf } from './figures.ts';

export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memory_gb: number;
  readonly node: string;
  readonly kernel: string;
  /** Of the last minute, before anything was measured: over the number of cores nothing is quiet. */
  readonly load: number;
  /** Median of writing 4 KiB behind a file's end and syncing them, on the disk of the benchmark. */
  readonly fdatasync_ms: number;
}

const SYNCS = 200;
const SYNC_BYTES = 4_096;
/** What Linux counts CPU time in towards programs, on every architecture. */
const TICKS_PER_S = 100;

/** `directory` is on the disk that is measured. */
export function machine(directory: string): Machine {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
    memory_gb: Math.round(totalmem() / 1e8) / 10,
    node: process.version,
    kernel: `${process.platform} ${release()}`,
    load: loadNow(),
    fdatasync_ms: Math.round(fdatasyncMs(directory) * 1_000) / 1_000,
  };
}

/** Load of the last minute: over the number of cores nothing is quiet. */
export function loadNow(): number {
  return loadavg()[0] ?? 0;
}

function fdatasyncMs(directory: string): number {
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
  return medianOf(times);
}

/** Resident memory of a process, in bytes. Linux alone tells; Toxiproxy's program needs it anyway. */
export function residentBytes(pid: number): number {
  return statusBytes(pid, 'VmRSS');
}

/** The most that it ever was. */
export function peakResidentBytes(pid: number): number {
  return statusBytes(pid, 'VmHWM');
}

function statusBytes(pid: number, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) * 1_024;
}

/** CPU time that a process has used so far, all threads, user and system, in seconds. */
export function cpuSeconds(pid: number): number {
  // The name in brackets may hold anything; utime and stime are the 12th and 13th field behind it.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}
