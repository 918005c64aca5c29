/**
 * Faults of what is on the disks: a damaged queue, a store put back to an older copy, a database that
 * somebody else has locked. Disks that have no room, or take their time, are `disk.ts`.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { PORT_IN_COMPOSE } from '#lab/ground/ground.ts';
import type { CollectorStatus } from '../observe/observer.ts';
import { between, kindOf, whole } from './arguments.ts';
import { standstill } from './effects.ts';
import type { FaultKind, Scene } from './fault.ts';
import {
  COUNT_SET_ASIDE,
  DAMAGE_SEGMENT,
  dataOf,
  HOLD_LOCK,
  lastJson,
  REMOVE,
  runIn,
  runScript,
} from './scripts.ts';
import { untilReady } from './services.ts';

/** The store's database, by docs/store-format.md. */
export const STORE_FILE = 'holdfast.db';
/** Beside the store; removed again. */
const OLDER_COPY = 'chaos-older-copy.db';

/** Thirds of the file, as places from 0 to 1. */
const PARTS = { start: 0, middle: 1 / 3, end: 2 / 3 } as const;
type Part = keyof typeof PARTS;
const PART_NAMES = Object.keys(PARTS) as [Part, ...Part[]];

const damagedQueue = kindOf<{ bytes: number; where: Part | 'anywhere' }>({
  kind: 'damaged_queue',
  summary:
    "Bytes of the source's newest queue file change on the disk; then it is killed, and meets them when it starts.",
  arguments: z.strictObject({
    bytes: whole(1, 65_536, 64, 'bytes in a row that change'),
    where: z
      .enum([...PART_NAMES, 'anywhere'])
      .default('anywhere')
      .describe('the third of the file that they are in'),
  }),
  needs: [],
  // Frames that only the queue had are lost, and declared as damaged: whoever asks for this allows it.
  make({ bytes, where }, name) {
    let before = 0;
    let generation = '';
    let damage = '';
    return {
      name,
      target: 'source',
      outage: false,
      inject: async ({ ground, random }) => {
        const source = ground.service('source');
        const folder = dataOf(source);
        const place = where === 'anywhere' ? random() : PARTS[where] + random() / 3;
        before = Number(await runScript(source, COUNT_SET_ASIDE, [folder]));
        ({ generation } = await source.state());
        const output = await runScript(source, DAMAGE_SEGMENT, [folder, bytes, place]);
        const done = lastJson<{ file: string; at: number; bytes: number; of: number }>(output);
        damage = `${done.bytes} bytes of ${done.file} were changed from byte ${done.at} of ${done.of} on`;
        await source.kill();
      },
      effect: async (scene) => {
        const source = scene.ground.service('source');
        await untilReady(scene, 'source', generation);
        const after = Number(await runScript(source, COUNT_SET_ASIDE, [dataOf(source)]));
        if (after <= before) throw new Error(`${damage}; nothing was set aside by the start`);
        return `${damage}; the start met them and set the file aside`;
      },
      running: (scene) => untilReady(scene, 'source', generation),
    };
  },
});

const olderStore = kindOf<{ frames: number }>({
  kind: 'older_store',
  summary:
    "The store is put back to a copy that was made while it worked, by the server's own backup and restore; collectors send again what it lacks.",
  arguments: z.strictObject({
    frames: whole(1, 1_000_000, 500, 'frames of the source that the copy lacks at least'),
  }),
  needs: [],
  make({ frames }, name) {
    let lostBefore = 0;
    let lacks = 0;
    let aside: string[] = [];
    return {
      name,
      target: 'server',
      outage: false,
      inject: async ({ ground, observer }) => {
        const server = ground.service('server');
        const copy = join(dataOf(server), OLDER_COPY);
        aside = [copy];
        await runScript(server, REMOVE, [copy]);
        const { totals: then } = await observer.audit('there is an audit', () => true);
        await runIn(server, ['node', 'server/main.ts', 'store', 'backup', copy]);
        const { totals: now } = await observer.audit(
          `${frames} frames are stored that the copy lacks`,
          ({ totals }) => totals.stored >= then.stored + frames,
        );
        lacks = now.stored - then.stored;
        lostBefore = lostByStore(observer.statuses.at(-1)?.document);
        await server.stop();
        try {
          const told = await runIn(server, ['node', 'server/main.ts', 'store', 'restore', copy]);
          const moved = /the files that were there are in (.+)$/m.exec(told)?.[1];
          if (moved !== undefined) aside.push(moved);
        } finally {
          await server.start();
        }
      },
      effect: async ({ observer }) => {
        const status = await observer.status(
          'the source notices that the store lost what it had confirmed',
          (one) => lostByStore(one) > lostBefore,
        );
        const noticed = lostByStore(status) - lostBefore;
        return `the store was put back by about ${lacks} frames of the source, which found ${noticed} of what was confirmed gone`;
      },
      running: async (scene) => {
        await untilReady(scene, 'server');
        await runScript(scene.ground.service('server'), REMOVE, aside);
      },
    };
  },
});

/** Frames that servers no longer had of what they had confirmed; the samples keep all of `/status`. */
function lostByStore(status: CollectorStatus | undefined): number {
  const counters: Readonly<Record<string, number>> = status?.counters ?? {};
  return counters.lost_by_store ?? 0;
}

const lockedDatabase = kindOf<{ seconds: number }>({
  kind: 'locked_database',
  summary:
    "Another program holds the lock for writing on the server's database, as a backup tool or a forgotten shell does.",
  arguments: z.strictObject({ seconds: whole(1, 120, 8, 'how long') }),
  needs: [],
  draw: (random) => ({ seconds: between(random, 2, 8) }),
  make({ seconds }, name) {
    let holding: Promise<string> = Promise.resolve('');
    return {
      name,
      target: 'server',
      outage: true,
      needsFlow: true,
      inject: async ({ ground }) => {
        const server = ground.service('server');
        const file = join(dataOf(server), STORE_FILE);
        holding = runScript(server, HOLD_LOCK, [file, seconds]);
        // Told by `running`, which waits for it.
        holding.catch(() => undefined);
      },
      effect: async (scene) => {
        const seen = await standstill(scene);
        const reason = await refusal(scene);
        return reason === undefined ? seen : `${seen}; ${reason}`;
      },
      running: async (scene) => {
        lastJson(await holding);
        await untilReady(scene, 'server');
      },
    };
  },
});

/** Why the server says that it can't commit; undefined where it doesn't. */
async function refusal({ ground, signal }: Scene): Promise<string | undefined> {
  const url = `${await ground.service('server').url(PORT_IN_COMPOSE.api)}/readyz`;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(3_000)]);
  const response = await fetch(url, { signal: limit }).catch(() => undefined);
  if (response?.status !== 503) return undefined;
  return `the server said: ${(await response.text()).trim()}`;
}

export const DATA_FAULTS: readonly FaultKind[] = [damagedQueue, olderStore, lockedDatabase];
