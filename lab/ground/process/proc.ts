/**
 * What the kernel tells of processes, from /proc: who belongs to a group, how they stand, what they
 * use, and who was started by a supervisor of a folder, by a variable that each has in its
 * environment. There are no pid files: what /proc says is so now.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** The variable by which a supervisor's programs are found again, with its folder as the value. */
export const MARK = 'HOLDFAST_SUPERVISED_IN';

interface Stat {
  readonly pid: number;
  readonly group: number;
  /** The kernel's letter: R, S, D, T (stopped), t (traced), Z. */
  readonly state: string;
}

/** Null for a process that isn't there (any more), or isn't for this user to see. */
function readProc<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return null;
    throw error;
  }
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function statOf(pid: number): Stat | null {
  const text = readProc(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  // The program's name may hold anything, so what follows is counted from its last bracket.
  const [state, , group] = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? [];
  return state === undefined ? null : { pid, state, group: Number(group) };
}

/** The living processes of a group. */
export function groupOf(group: number): Stat[] {
  return pids()
    .map(statOf)
    .filter((one) => one !== null)
    .filter((one) => one.group === group && isAlive(one.pid));
}

/**
 * False when nothing of it is left: not its files either, which a process that is ending still has
 * for a moment, and with them its ports.
 */
export function isAlive(pid: number): boolean {
  const stat = statOf(pid);
  if (stat === null) return false;
  if (!'ZX'.includes(stat.state)) return true;
  // Its first thread is done; its files are there until the last one is.
  return (readProc(() => readdirSync(`/proc/${pid}/task`))?.length ?? 0) > 1;
}

/** True when all processes of a group stand still, and there is one. */
export function standsStill(group: number): boolean {
  const all = groupOf(group);
  return all.length > 0 && all.every(({ state }) => state === 'T' || state === 't');
}

/** True for a process that a signal has stopped, and none has continued. */
export function isStopped(pid: number): boolean {
  return statOf(pid)?.state === 'T';
}

/** The processes that a supervisor of this folder has started, now or before it died. */
export function markedWith(folder: string): number[] {
  const mark = `${MARK}=${folder}`;
  return pids().filter((pid) => {
    const environment = readProc(() => readFileSync(`/proc/${pid}/environ`, 'utf8'));
    return environment?.split('\0').includes(mark) === true;
  });
}

export interface ProcessUsage {
  readonly resident_bytes: number;
  readonly open_files: number;
}

/** Of all processes of a group together. */
export function usageOf(group: number): ProcessUsage {
  let [residentBytes, openFiles] = [0, 0];
  for (const { pid } of groupOf(group)) {
    const status = readProc(() => readFileSync(`/proc/${pid}/status`, 'utf8')) ?? '';
    residentBytes += Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    openFiles += readProc(() => readdirSync(`/proc/${pid}/fd`))?.length ?? 0;
  }
  return { resident_bytes: residentBytes, open_files: openFiles };
}

/** Bytes that a folder takes on its disk; files that go meanwhile don't count. */
export function diskBytes(folder: string): number {
  const names = readProc(() => readdirSync(folder, { withFileTypes: true })) ?? [];
  return names.reduce((sum, entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sum + diskBytes(path);
    return sum + (readProc(() => statSync(path).blocks) ?? 0) * 512;
  }, 0);
}

/** Their numbers; none of a process that is gone. */
export function threadsOf(pid: number): string[] {
  return readProc(() => readdirSync(`/proc/${pid}/task`)) ?? [];
}

/** True when a tracer holds every thread of a process. */
export function isTraced(pid: number): boolean {
  const threads = threadsOf(pid);
  return (
    threads.length > 0 &&
    threads.every((thread) => {
      const status = readProc(() => readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8'));
      return status === null || !/^TracerPid:\s+0$/m.test(status);
    })
  );
}

/** The soft limit of a process on its open files; null without one. */
export function fileLimitOf(pid: number): string | null {
  const limits = readProc(() => readFileSync(`/proc/${pid}/limits`, 'utf8')) ?? '';
  return /^Max open files\s+(\S+)/m.exec(limits)?.[1] ?? null;
}

/**
 * Descriptors of this process that it was born with and that its children would be born with, too:
 * a caller's lock, or the pipe that a caller waits on. Node.js opens none of that kind.
 */
export function inheritedDescriptors(): number[] {
  const closeOnExec = 0o2000000;
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((descriptor) => {
      if (descriptor <= 2) return false;
      const info = readProc(() => readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8')) ?? '';
      const flags = Number.parseInt(/^flags:\s+(\d+)$/m.exec(info)?.[1] ?? '', 8);
      return Number.isInteger(flags) && (flags & closeOnExec) === 0;
    })
    .filter((descriptor) => readProc(() => readlinkSync(`/proc/self/fd/${descriptor}`)) !== null);
}
