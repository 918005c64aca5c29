/**
 * A program under strace, which has some of its calls on one file fail or wait: the first process
 * of a container only, so that the restart policy brings back one whose disk is in order. strace
 * runs beside the program and not above it (-D): signals and exit codes pass as without it. What it
 * did is read from its log, in a folder of this machine.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServiceContainer } from './service.ts';

/** Where the container has the folder of the log. */
const FOLDER = '/trace';
const LOG = 'calls';

/** A call that goes wrong, by its number among the calls of its kind on the file, from 1 on. */
export interface CallFault {
  readonly call: 'fdatasync' | 'fsync' | 'pwrite64' | 'write';
  readonly from: number;
  readonly to: number;
  readonly how: { readonly error: 'EIO' | 'ENOSPC' } | { readonly delayMs: number };
}

export interface TracedFile {
  /** In the container. */
  readonly path: string;
  readonly fault: CallFault;
}

// The signal that ends the load goes to all processes of the container, and would end strace.
const SCRIPT = `
[ -e ${FOLDER}/${LOG} ] && exec "$@"
trap '' USR2
exec strace -f -D --seccomp-bpf -o ${FOLDER}/${LOG} \
  -P "$TRACED_PATH" -e trace="$TRACED_CALL" -e inject="$TRACED_FAULT" "$@"
`;

/** The command under strace. */
export function underStrace(command: readonly string[]): string[] {
  return ['sh', '-c', SCRIPT, 'sh', ...command];
}

export class Tracing {
  readonly fault: CallFault;
  readonly #log: string;

  /** Gives the container what `underStrace` needs; `folder` is made for it. */
  static of(container: ServiceContainer, folder: string, { path, fault }: TracedFile): Tracing {
    container.withFolder(folder, FOLDER).withEnvironment({
      TRACED_PATH: path,
      TRACED_CALL: fault.call,
      TRACED_FAULT: expression(fault),
    });
    return new Tracing(fault, join(folder, LOG));
  }

  private constructor(fault: CallFault, log: string) {
    this.fault = fault;
    this.#log = log;
  }

  /** How many calls have begun, and how many of them went wrong. */
  get calls(): { readonly begun: number; readonly wrong: number } {
    const text = existsSync(this.#log) ? readFileSync(this.#log, 'utf8') : '';
    return {
      begun: text.match(new RegExp(` ${this.fault.call}\\(`, 'g'))?.length ?? 0,
      wrong: text.match(/\((?:INJECTED|DELAYED)\)$/gm)?.length ?? 0,
    };
  }
}

function expression({ call, from, to, how }: CallFault): string {
  const what = 'error' in how ? `error=${how.error}` : `delay_enter=${how.delayMs * 1_000}`;
  return `${call}:${what}:when=${from}..${to}`;
}
