/**
 * Faults of the server's limits: more silent connections than it may have, fewer files than it
 * needs, and both met at once by a server that stood still. A collector has to get in all the same.
 */
import { z } from 'zod';
import type { InForce } from '#lab/ground/ground.ts';
import { waitUntil } from '../observe/wait.ts';
import { between, kindOf, whole } from './arguments.ts';
import { Crowd } from './crowd.ts';
import { silence } from './effects.ts';
import type { FaultKind, Scene } from './fault.ts';
import { entranceUrl, untilReady } from './services.ts';

/** Stored in spite of it. */
const STORED_FRAMES = 20;
/** A server that stands still lets the kernel take so many for it, and less than its backlog. */
const BEHIND_ITS_BACK = 400;
/** How long a thawed server may take for the source, before the crowd leaves. */
const CROWDED_MS_MAX = 45_000;

const crowd = kindOf<{ connections: number }>({
  kind: 'crowd',
  summary:
    'Silent connections come through the link and stay, more than the server cares to have: those that were there longest have to go, and no collector is kept out.',
  arguments: z.strictObject({
    connections: whole(1, 4_000, 500, 'how many; each takes a file of Toxiproxy, too'),
  }),
  needs: [],
  draw: (random) => ({ connections: between(random, 50, 500) }),
  make({ connections }, name) {
    let silent: Crowd | undefined;
    return {
      name,
      target: 'server',
      outage: false,
      inject: async (scene) => {
        silent = new Crowd(await entranceUrl(scene));
        await silent.grow(connections, scene.signal);
      },
      effect: async (scene) => {
        if (silent === undefined) throw new Error('there is no crowd');
        const files = await arrived(scene, silent, connections);
        return `${describe(silent)}, the server had ${files} files open; ${await stillStored(scene)}`;
      },
      lift: async () => silent?.close(),
      running: async () => undefined,
    };
  },
});

const fileLimit = kindOf<{ limit: number }>({
  kind: 'file_limit',
  summary:
    'The server may have fewer files open than connections want: those that say nothing have to go, so that the source gets in.',
  arguments: z.strictObject({
    limit: whole(64, 65_536, 128, 'files that it may have open'),
  }),
  needs: ['limit_files'],
  draw: (random) => ({ limit: between(random, 96, 256) }),
  make({ limit }, name) {
    let inForce: InForce | undefined;
    let silent: Crowd | undefined;
    return {
      name,
      target: 'server',
      outage: false,
      inject: async (scene) => {
        inForce = await scene.ground.service('server').limitFiles(limit);
        silent = new Crowd(await entranceUrl(scene));
        await silent.grow(limit, scene.signal);
      },
      effect: async (scene) => {
        const one = silent;
        if (one === undefined) throw new Error('there is no crowd');
        await waitUntil('the server turns silent connections away', () => one.turnedAway > 0, {
          signal: scene.signal,
          describe: () => describe(one),
        });
        return `at a limit of ${limit} files ${describe(one)}; ${await stillStored(scene)}`;
      },
      lift: async () => {
        silent?.close();
        await inForce?.lift();
      },
      running: (scene) => untilReady(scene, 'server'),
    };
  },
});

const frozenAtLimit = kindOf<{ limit: number; connections: number }>({
  kind: 'frozen_at_limit',
  summary:
    'The server stands still at a low limit of files while silent connections pile up: when it goes on it has more of them than files, and the source still gets in.',
  arguments: z.strictObject({
    limit: whole(600, 65_536, 1_024, 'files that it may have open'),
    connections: whole(1, 4_000, 1_100, 'silent connections, of which 400 come while it stands'),
  }),
  needs: ['limit_files'],
  make({ limit, connections }, name) {
    let inForce: InForce | undefined;
    let silent: Crowd | undefined;
    return {
      name,
      target: 'server',
      outage: true,
      inject: async (scene) => {
        const server = scene.ground.service('server');
        inForce = await server.limitFiles(limit);
        silent = new Crowd(await entranceUrl(scene));
        const later = Math.min(connections, BEHIND_ITS_BACK);
        await silent.grow(connections - later, scene.signal);
        await arrived(scene, silent, connections - later);
        await server.freeze();
        await silent.grow(later, scene.signal);
      },
      effect: async (scene) => {
        const server = scene.ground.service('server');
        const { frozen } = await server.state();
        if (!frozen) throw new Error('the server is not frozen, by the account of the ground');
        const { open_files: files } = await server.usage();
        if (silent === undefined) throw new Error('there is no crowd');
        const seen = await silence(scene);
        return `the server stood still with ${files} of ${limit} files open, and ${describe(silent)}; ${seen}`;
      },
      lift: async (scene) => {
        try {
          await scene.ground.service('server').thaw();
          // The crowd stays until the source is in beside it, or it is clear that it gets in by none.
          await ackedAgain(scene).catch(() => undefined);
        } finally {
          silent?.close();
          await inForce?.lift();
        }
      },
      running: (scene) => untilReady(scene, 'server'),
    };
  },
});

function describe({ open, turnedAway }: Crowd): string {
  return `${open} silent connections were there and ${turnedAway} had been turned away`;
}

/**
 * Toxiproxy takes connections before it dials: waits until the server has them, or turns some away.
 * Answers how many files it has open.
 */
async function arrived(
  { ground, signal }: Scene,
  silent: Crowd,
  connections: number,
): Promise<number> {
  const server = ground.service('server');
  let files = 0;
  await waitUntil(
    `the server has ${connections} silent connections, or turns some away`,
    async () => {
      files = (await server.usage()).open_files;
      return files >= connections || silent.turnedAway > 0;
    },
    { signal, describe: () => `${files} open files, ${describe(silent)}` },
  );
  return files;
}

async function stillStored({ observer }: Scene): Promise<string> {
  const before = await observer.audit('there is an audit', () => true);
  const after = await observer.audit(
    `${STORED_FRAMES} frames of the source are stored beside the crowd`,
    ({ totals }) => totals.stored >= before.totals.stored + STORED_FRAMES,
  );
  return `${after.totals.stored - before.totals.stored} frames of the source were stored beside them`;
}

async function ackedAgain({ observer }: Scene): Promise<void> {
  const before = await observer.status('there is a status', () => true);
  await observer.status(
    'frames are acked again beside the crowd',
    ({ state, counters }) => state === 'Ready' && counters.acked > before.counters.acked,
    CROWDED_MS_MAX,
  );
}

export const LIMIT_FAULTS: readonly FaultKind[] = [crowd, fileLimit, frozenAtLimit];
