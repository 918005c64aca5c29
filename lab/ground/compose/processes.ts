/**
 * What /proc tells of a service: its processes with what they take and may take, and its network
 * interfaces. The scripts run in a helper, and the functions beside them read what they print. A
 * process that ends meanwhile is left out.
 */
import type { Traffic } from '../ground.ts';

/** One of the service's own: what `docker exec` and health checks start beside it is none. */
export interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly residentBytes: number;
  readonly openFiles: number;
  /** The limit of open files that it has, and up to which it could be raised. */
  readonly softLimit: number;
  readonly hardLimit: number;
}

/** Needs no program but the shell: one line for each process that there is. */
export const PROCESS_TABLE = `
for process in /proc/[0-9]*; do
  parent= resident=0 soft= hard=
  while read -r key value _; do
    case $key in
      PPid:) parent=$value ;;
      VmRSS:) resident=$value ;;
    esac
  done 2>/dev/null < "$process/status"
  while read -r one two three four five _; do
    case "$one $two $three" in 'Max open files') soft=$four hard=$five ;; esac
  done 2>/dev/null < "$process/limits"
  set -- "$process"/fd/*
  [ -L "$1" ] && files=$# || files=0
  echo "process \${process#/proc/} $parent $resident $files $soft $hard"
done
`;

/** The first process of a container and its descendants; the first is Docker's init. */
export function readProcesses(text: string): Process[] {
  const rows = text
    .split('\n')
    .filter((line) => line.startsWith('process '))
    .map((line) => line.split(' ').slice(1).map(Number))
    .filter((row) => row.length === 6 && row.every(Number.isFinite));
  const own = new Set([1]);
  // Children may have lower numbers than their parents, once numbers have gone round.
  for (let known = 0; known < own.size; ) {
    known = own.size;
    for (const [pid = 0, parent = 0] of rows) if (own.has(parent)) own.add(pid);
  }
  return rows
    .filter(([pid = 0]) => own.has(pid))
    .map(([pid = 0, parent = 0, kib = 0, openFiles = 0, softLimit = 0, hardLimit = 0]) => ({
      ...{ pid, parent, residentBytes: kib * 1_024, openFiles, softLimit, hardLimit },
    }));
}

/** The service's program: the init process has no other child, and what it starts comes and goes. */
export function programOf(processes: readonly Process[]): Process[] {
  return processes.filter(({ parent }) => parent === 1);
}

export const INTERFACES = 'cat /proc/net/dev';

/** All interfaces together, the loopback aside. */
export function readTraffic(text: string): Traffic {
  let rxBytes = 0;
  let rxPackets = 0;
  for (const line of text.split('\n')) {
    const [, name, bytes, packets] = /^\s*([^\s:]+):\s*(\d+)\s+(\d+)/.exec(line) ?? [];
    if (name === undefined || name === 'lo') continue;
    rxBytes += Number(bytes);
    rxPackets += Number(packets);
  }
  return { rxBytes, rxPackets };
}
