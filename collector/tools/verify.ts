/**
 * What of a queue's files does not read, from a view that has read all of them: each damage by file
 * and place, and which frames are lost by all of it together.
 */
import {
  DEAD_LETTERS,
  letterNames,
  loadLetter,
  REPLAY,
} from '#collector/producer/queue/letter-file.ts';
import type { Epoch } from '#protocol/identity.ts';
import { type QueueView, tailBytes } from './view.ts';

interface FileDamage {
  readonly file: string;
  /** Where in the file, and how much of it; null where it is the file as such. */
  readonly offset: number | null;
  readonly bytes: number | null;
  /** One sentence for people. */
  readonly what: string;
}

export interface Verification {
  readonly segments: number;
  readonly bytes: number;
  /** That read, settled ones included. */
  readonly frames: number;
  readonly tailBytes: number;
  readonly damages: readonly FileDamage[];
  /** Frames that are neither settled nor given up, and that nothing here holds any more. */
  readonly lost: readonly { readonly epoch: Epoch; readonly from: number; readonly to: number }[];
}

/** @param view Made with `whole`. Reads the dead letters, too. */
export function verify(view: QueueView): Verification {
  const { found, missing } = view;
  return {
    segments: found.length,
    bytes: found.reduce((sum, { facts }) => sum + facts.bytes, 0),
    frames: found.reduce((sum, { facts }) => sum + facts.frames, 0),
    tailBytes: tailBytes(view),
    damages: [...checkpointDamage(view), ...found.flatMap(segmentDamages), ...letterDamages(view)],
    lost: missing.map(({ state, from, to }) => ({ epoch: state.epoch, from, to })),
  };
}

function checkpointDamage({ checkpoint }: QueueView): FileDamage[] {
  if (checkpoint.state !== 'unreadable') return [];
  const what =
    `can't be used: ${checkpoint.why}. No waiting frame is lost by it: what was confirmed already ` +
    'is sent once more, which the server notices';
  return [{ file: 'checkpoint', offset: null, bytes: null, what }];
}

function segmentDamages({ name, facts, verdict }: QueueView['found'][number]): FileDamage[] {
  if (verdict.kind === 'set-aside') {
    return [{ file: name, offset: null, bytes: facts.bytes, what: verdict.what }];
  }
  if (verdict.kind !== 'repair') return [];
  const header: FileDamage[] =
    facts.header.state === 'bad'
      ? [{ file: name, offset: 0, bytes: 20, what: 'its header does not read' }]
      : [];
  const stretches = facts.damage.map(({ offset, end, refused }) => ({
    file: name,
    offset,
    bytes: end - offset,
    what: refused
      ? 'the disk refuses to read it (EIO)'
      : 'no record of this queue, or a damaged one',
  }));
  return [...header, ...stretches];
}

function letterDamages({ files }: QueueView): FileDamage[] {
  return [DEAD_LETTERS, REPLAY].flatMap((directory) =>
    letterNames(files, directory).flatMap((name) => {
      const file = `${directory}/${name}`;
      const loaded = loadLetter(files, file);
      if (loaded.state !== 'unreadable') return [];
      return [
        { file, offset: null, bytes: null, what: `this dead letter can't be used: ${loaded.why}` },
      ];
    }),
  );
}
