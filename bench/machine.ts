/**
 * What a figure was measured on: printed with it, because it means nothing without. And what
 * processes take of it.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memory_gb: number;
  readonly node: string;
  readonly kernel: string;
  /** Of the last minute, before anything was measured: over the number of cores nothing is quiet. */
  readonly load: number;
}

/** What Linux counts CPU time in towards programs, on every architecture. */
const TICKS_PER_S = 100;

export function machine(): Machine {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
    memory_gb: Math.round(totalmem() / 1e8) / 10,
    node: process.version,
    kernel: `${process.platform} ${release()}`,
    load: loadNow(),
  };
}

/** Load of the last minute: over the number of cores nothing is quiet. */
export function loadNow(): number {
  return loadavg()[0] ?? 0;
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

/** What a process has had written to disks so far, in bytes. */
export function writtenBytes(pid: number): number {
  const io = readFileSync(`/proc/${pid}/io`, 'utf8');
  return Number(/^write_bytes: (\d+)/m.exec(io)?.[1] ?? Number.NaN);
}

/** CPU time that a process has used so far, all threads, user and system, in seconds. */
export function cpuSeconds(pid: number): number {
  // utime and stime.
  return seconds(pid, 11);
}

/** The same of all its children that have ended, and of theirs. */
export function childCpuSeconds(pid: number): number {
  // cutime and cstime.
  return seconds(pid, 13);
}

/** Two fields of `stat` together; the first one behind the name, which may hold anything, is 0. */
function seconds(pid: number, field: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[field]) + Number(fields[field + 1])) / TICKS_PER_S;
}
