/** A run that comes to a lab on which another one is at work. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { waitUntil } from '#chaos/observe/wait.ts';
import { withLab } from '#chaos/run/lab.ts';
import { tryHold } from '#lab/lock.ts';
import { labFiles } from '#lab/paths.ts';
import type { LabContext } from '#lab/setup.ts';

test('it touches nothing, and does not even look, until the other one has ended', async () => {
  const state = mkdtempSync(join(tmpdir(), 'holdfast-lab-'));
  const other = tryHold(join(state, 'lab.lock.sqlite'));
  const lines: string[] = [];
  const abort = new AbortController();
  let looked = 0;
  const context = {
    files: labFiles(state),
    signal: abort.signal,
    get config(): never {
      looked += 1;
      throw new Error('it looked');
    },
  } as unknown as LabContext;
  const running = withLab(
    {
      toSetUp: () => context,
      asMade: () => context,
      print: (line) => lines.push(line),
      folder: 'none',
      tracing: false,
    },
    async () => undefined,
  );
  const outcome = running.catch((error: unknown) => error);
  try {
    await waitUntil('it waits, or looks', () => lines.length > 0 || looked > 0);
    expect(lines).toEqual(['Another ./holdfast is at work on the lab; waiting for it.']);
    expect(looked).toBe(0);
    other?.release();
    expect(await outcome).toMatchObject({ message: 'it looked' });
  } finally {
    abort.abort();
    await outcome;
    rmSync(state, { recursive: true, force: true });
  }
});
