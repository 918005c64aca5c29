/**
 * The lab's secret, in two files: one that the collectors have bound, and the server's copy. Chaos
 * changes the copy alone, so the right one is always the other.
 */
import { readFileSync } from 'node:fs';
import type { Inspected } from '#lab/docker.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import { writeBound } from '#lab/state.ts';

const PLACE = '/run/secrets/holdfast_token';
/** As long as the right one. */
const WRONG = 'wrong'.repeat(16).slice(0, 64);

interface Secrets {
  readonly server: Inspected;
  readonly collector: Inspected;
}

/** @throws LabError `command_failed` when both have the same file, as labs had that are older. */
export function spoilSecret({ server, collector }: Secrets): void {
  const [ours, theirs] = [fileOf(server), fileOf(collector)];
  if (ours === theirs) {
    throw new LabError({
      code: 'command_failed',
      exitCode: EXIT.usage,
      message: 'the server of this lab has no secret of its own that could be changed',
      next: ['To start the services anew: make up'],
    });
  }
  writeBound(ours, WRONG);
}

/** Puts the right one back; true when the server had another. It has to be started anew then. */
export function restoreSecret({ server, collector }: Secrets): boolean {
  const [ours, theirs] = [fileOf(server), fileOf(collector)];
  const right = readFileSync(theirs, 'utf8');
  if (ours === theirs || readFileSync(ours, 'utf8') === right) return false;
  writeBound(ours, right);
  return true;
}

function fileOf({ Name, Mounts }: Inspected): string {
  const file = Mounts.find(({ Destination }) => Destination === PLACE)?.Source;
  if (file === undefined) throw new Error(`${Name} has no secret at ${PLACE}`);
  return file;
}
