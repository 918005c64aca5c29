/**
 * One at a time: the locks that commands hold in a checkout, one for each thing that one at a time may do.
 * What it guards is the callers' business.
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { EXIT, interrupted, LabError } from '#lab/errors.ts';
import { type LabFiles, PATHS } from '#lab/paths.ts';
import { ensureStateFolder } from '#lab/state.ts';

/**
 * lab: set-up and the services; dashboard: the page's build; tests: the containers of the
 * integration tests. One that holds `lab` may take `dashboard`, not the other way round.
 */
export type LockName = 'lab' | 'dashboard' | 'tests';

const LOCK_WAIT_MS = 30 * 60_000;
const LOCK_POLL_MS = 500;
const SQLITE_BUSY = 5;

/**
 * Runs `work` while no other ./holdfast holds the lock of that name in this checkout. The lock is
 * an exclusive transaction, which the kernel ends with its holder: there are no stale locks.
 * @param onWait called once when another holds it.
 * @throws LabError `lab_busy` after half an hour of waiting.
 */
export async function withLock<T>(
  name: LockName,
  onWait: () => void,
  signal: AbortSignal,
  work: () => Promise<T>,
  files: LabFiles = PATHS,
): Promise<T> {
  ensureStateFolder(files);
  const path = join(files.state, `${name}.lock.sqlite`);
  const deadline = performance.now() + LOCK_WAIT_MS;
  let held = tryHold(path);
  for (let waited = false; held === null; held = tryHold(path), waited = true) {
    if (!waited) onWait();
    if (performance.now() > deadline) throw busy(name);
    await delay(LOCK_POLL_MS);
    if (signal.aborted) throw interrupted();
  }
  try {
    return await work();
  } finally {
    held.release();
  }
}

/** A lock that is held until it is released, or its holder ends; null while another holds it. */
export function tryHold(path: string): { release(): void } | null {
  const database = new DatabaseSync(path);
  try {
    database.exec('BEGIN EXCLUSIVE');
    return { release: () => database.close() };
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return null;
    throw error;
  }
}

function busy(name: string): LabError {
  return new LabError({
    code: 'lab_busy',
    exitCode: EXIT.failed,
    message: `another ./holdfast has held the lock "${name}" of this checkout for half an hour`,
    next: ['Look for it: ps -ef | grep lab/main.ts'],
  });
}
