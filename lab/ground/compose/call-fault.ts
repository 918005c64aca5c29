/**
 * System calls on one file that go wrong, in a program that runs: strace, attached to it from a
 * helper. It detaches on SIGTERM and leaves the program as it was. All calls of the program become
 * slower while it is attached, for it has to look at each.
 *
 * A call that was failing at the moment of detaching would be answered ENOSYS, which no disk ever
 * says: so all threads of the program stand still first, outside of calls.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { LabError } from '#lab/errors.ts';
import type { CallFault, InForce } from '../ground.ts';
import { HARDENING, type Helpers } from './helper.ts';
import { labelled } from './labels.ts';

const ATTACH_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 20;
const LINES_KEPT = 10;

/**
 * Of root's powers those that it takes to stop another user's program, to see which file a handle
 * of it is, and to let it go on.
 */
const CAPABILITIES = ['SYS_PTRACE', 'DAC_READ_SEARCH', 'KILL'].flatMap((one) => ['--cap-add', one]);

/** strace, and behind it the program goes on if it had been stopped: whoever ends this container. */
const TRACE = `
pids=$1; shift
strace "$@" & trap "kill -s TERM $!" TERM
wait; wait
kill -s CONT $pids
`;

/** Stops the processes and tells their threads. */
const STOP = 'for pid; do kill -s STOP "$pid"; ls "/proc/$pid/task"; done';

export interface Tracer extends Helpers {
  /** An image with strace. */
  readonly image: string;
  /** The service, for messages, and its container. */
  readonly service: string;
  readonly container: string;
}

/** strace's own words for a fault. */
export function injection({ calls, how }: CallFault): string {
  const what = 'error' in how ? `error=${how.error}` : `delay_enter=${how.delayMs * 1_000}`;
  return `inject=${calls.join(',')}:${what}`;
}

/**
 * Resolves when all threads of the processes are attached to.
 * @throws LabError `command_failed` when they can't be.
 */
export async function traceCalls(
  tracer: Tracer,
  pids: readonly number[],
  fault: CallFault,
): Promise<InForce> {
  const { docker, project, service } = tracer;
  // Only one can trace a program, so there is one such name for each service.
  const name = `${project}-trace-${service}`;
  const attached = new Set<number>();
  const stopped = new Set<string>();
  const lines: string[] = [];
  let wrong = 0;
  const followed = docker.follow(straceArguments(tracer, name, pids, fault), (line) => {
    if (/\((?:INJECTED|DELAYED)\)$/.test(line)) wrong += 1;
    const pid = /^strace: Process (\d+) attached/.exec(line)?.[1];
    if (pid !== undefined) attached.add(Number(pid));
    const thread = /^\[pid +(\d+)\] --- stopped by /.exec(line)?.[1];
    if (thread !== undefined) stopped.add(thread);
    lines.push(line);
    if (lines.length > LINES_KEPT) lines.shift();
  });
  let ended = false;
  const end = followed.ended.then(() => {
    ended = true;
  });
  /** Not one that the engine has frozen, where nothing moves, and no thread could tell of its stop. */
  const standStill = async () => {
    if (ended || (await docker.inspect(tracer.container)).State.Paused) return;
    const order = ['exec', name, 'sh', '-c', STOP, 'sh', ...pids.map(String)];
    const { exitCode, stdout } = await docker.command(order, { timeoutMs: STOP_TIMEOUT_MS });
    const threads = exitCode === 0 ? stdout.split('\n').filter((line) => line !== '') : [];
    const deadline = performance.now() + STOP_TIMEOUT_MS;
    const isStill = () => threads.every((thread) => stopped.has(thread));
    while (!ended && !isStill() && performance.now() < deadline) await delay(POLL_MS);
  };
  const detach = async () => {
    // It ends with the program that it traces; then there is nothing to stop.
    if (!ended) await docker.command(['stop', '--time', '5', name], { timeoutMs: 30_000 });
  };
  const deadline = performance.now() + ATTACH_TIMEOUT_MS;
  while (!pids.every((pid) => attached.has(pid))) {
    if (ended || performance.now() > deadline) {
      const why = ended ? [] : ['it did not stop for strace in time'];
      await detach();
      await followed.end();
      throw new LabError({
        code: 'command_failed',
        message: `could not attach strace to ${service}`,
        details: [...why, ...lines],
        next: ['To see how the services stand: make status'],
      });
    }
    await delay(POLL_MS);
  }
  return {
    count: () => wrong,
    lift: async () => {
      await standStill();
      await detach();
      await end;
    },
  };
}

function straceArguments(
  { project, image, container }: Tracer,
  name: string,
  pids: readonly number[],
  fault: CallFault,
): string[] {
  return [
    ...['run', '--rm', '--name', name, ...labelled(project, 'helper')],
    ...['--pid', `container:${container}`, '--network', 'none'],
    ...[...HARDENING, '--user', '0:0', ...CAPABILITIES, image],
    ...['sh', '-c', TRACE, 'sh', pids.join(' ')],
    ...['-f', '-e', 'quiet=exit', '-e', 'signal=SIGSTOP'],
    ...pids.flatMap((pid) => ['-p', String(pid)]),
    ...['-P', fault.path, '-e', `trace=${fault.calls.join(',')}`, '-e', injection(fault)],
  ];
}
