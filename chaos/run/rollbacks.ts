/**
 * Making a lab whole: at the end of every scenario, and at the start of a run, for one before it
 * that died. What a run has in its hands is noted in a file of the lab's state for as long as it
 * goes on, so that the next one knows.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Ground } from '#lab/ground/ground.ts';
import type { Link } from '#lab/link.ts';
import { PATHS } from '#lab/paths.ts';
import { writeWhole } from '#lab/state.ts';

const LINK_MS_MAX = 30_000;
const POLL_MS = 200;

const note = z.object({
  /** Its folder, for a message. */
  folder: z.string(),
  /** The lab was not up before it. */
  brought_up: z.boolean(),
});

export type RunNote = z.output<typeof note>;

const notePath = (state: string) => join(state, 'chaos.json');

export function writeRunNote(value: RunNote, state: string = PATHS.state): void {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  writeWhole(notePath(state), `${JSON.stringify(value)}\n`, 0o600);
}

/** Of a run that never came to its end; null when there is none. */
export function readRunNote(state: string = PATHS.state): RunNote | null {
  const path = notePath(state);
  if (!existsSync(path)) return null;
  try {
    return note.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    // It tells nothing that could be relied on, and the lab is healed whatever it says.
    return { folder: 'unknown', brought_up: false };
  }
}

export function removeRunNote(state: string = PATHS.state): void {
  rmSync(notePath(state), { force: true });
}

/**
 * The ground healed and the link open, without toxics. In words what had to be mended; nothing on a
 * lab that was whole. Rejects when it can't be made whole.
 */
export async function makeWhole(ground: Ground, link: Link): Promise<string[]> {
  const mended = await ground.heal();
  const was = await restoreLink(link);
  return was === null ? mended : [...mended, `the link was ${was}: restored`];
}

/** Waits for a Toxiproxy that is coming back. How the link was, in words; null when it was whole. */
export async function restoreLink(link: Link): Promise<string | null> {
  const deadline = performance.now() + LINK_MS_MAX;
  for (;;) {
    try {
      const { kind, toxics } = await link.read();
      if (kind === 'whole') return null;
      await link.restore();
      return kind === 'cut' ? kind : toxics.join(', ');
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await delay(POLL_MS);
  }
}
