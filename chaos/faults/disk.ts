/**
 * Faults of a disk under a program that runs, by strace: no room for what it writes, or syncs that
 * take long. What the bytes on the disk may suffer is `data.ts`.
 */
import { join } from 'node:path';
import { z } from 'zod';
import type { InForce } from '#lab/ground/ground.ts';
import type { CollectorStatus } from '../observe/observer.ts';
import { waitUntil } from '../observe/wait.ts';
import { between, kindOf, oneOf, whole } from './arguments.ts';
import { STORE_FILE } from './data.ts';
import { standstill } from './effects.ts';
import type { FaultKind, Scene } from './fault.ts';
import { dataOf, lastJson, NEWEST_SEGMENT, runScript } from './scripts.ts';
import { untilReady } from './services.ts';

const DISKS = ['server', 'source'] as const;
type Disk = (typeof DISKS)[number];

/** Calls that must have gone wrong for it to count. */
const WRONG_CALLS = 3;
const SLOW_CALLS = 5;
/** Acked in spite of slow syncs. */
const ACKED_FRAMES = 20;

const disk = z
  .enum(DISKS)
  .describe("server: the log of the store; source: the queue's file that is being written");

/** The file that takes what is new. */
async function fileOf({ ground }: Scene, target: Disk): Promise<string> {
  const service = ground.service(target);
  const folder = dataOf(service);
  if (target === 'server') return join(folder, `${STORE_FILE}-wal`);
  return lastJson<{ file: string }>(await runScript(service, NEWEST_SEGMENT, [folder])).file;
}

/** A fault by strace, between being put in force and being lifted. */
class Wrong {
  #inForce: InForce | undefined;

  async begin(inForce: Promise<InForce>): Promise<void> {
    this.#inForce = await inForce;
  }

  async reaches(count: number, { signal }: Scene): Promise<number> {
    await waitUntil(`${count} calls have gone wrong`, () => this.#count() >= count, {
      signal,
      describe: () => this.#count(),
    });
    return this.#count();
  }

  async lift(): Promise<void> {
    await this.#inForce?.lift();
  }

  #count(): number {
    return this.#inForce?.count() ?? 0;
  }
}

const diskFull = kindOf<{ target: Disk }>({
  kind: 'disk_full',
  summary:
    'No room on the disk: what is new can not be written, until there is room again. The source refuses frames meanwhile; the server confirms none.',
  arguments: z.strictObject({ target: disk }),
  needs: ['trace'],
  draw: (random) => ({ target: oneOf(random, DISKS) }),
  make({ target }, name) {
    const wrong = new Wrong();
    return {
      name,
      target,
      // A source without room takes no frames, so none wait.
      outage: target === 'server',
      inject: async (scene) => {
        const path = await fileOf(scene, target);
        const calls = ['pwrite64', 'write'] as const;
        const service = scene.ground.service(target);
        await wrong.begin(service.failCalls({ path, calls, how: { error: 'ENOSPC' } }));
      },
      effect: async (scene) => {
        const count = await wrong.reaches(WRONG_CALLS, scene);
        const writes = `${count} writes found no room`;
        if (target === 'server') return `${writes}; ${await standstill(scene)}`;
        const { queue } = await scene.observer.status(
          'the source says that its disk is full',
          full,
        );
        return `${writes}; the source said that its disk is full, with ${queue.frames} frames in its queue`;
      },
      lift: () => wrong.lift(),
      running: async (scene) => {
        if (target === 'server') return untilReady(scene, 'server');
        await scene.observer.status('the source has room again', (status) => !full(status));
      },
    };
  },
});

function full({ queue }: CollectorStatus): boolean {
  return 'disk_full' in queue && queue.disk_full === true;
}

const slowSync = kindOf<{ target: Disk; delay_ms: number }>({
  kind: 'slow_sync',
  summary: 'Every sync of what is new takes long, as on a disk that is worn out or shared.',
  arguments: z.strictObject({
    target: disk,
    delay_ms: whole(1, 5_000, 300, 'milliseconds that each sync takes more'),
  }),
  needs: ['trace'],
  draw: (random) => ({ target: oneOf(random, DISKS), delay_ms: between(random, 50, 500) }),
  make({ target, delay_ms: delayMs }, name) {
    const wrong = new Wrong();
    return {
      name,
      target,
      outage: false,
      inject: async (scene) => {
        const path = await fileOf(scene, target);
        const calls = ['fdatasync', 'fsync'] as const;
        await wrong.begin(
          scene.ground.service(target).failCalls({ path, calls, how: { delayMs } }),
        );
      },
      effect: async (scene) => {
        const { observer } = scene;
        const before = await observer.status('there is a status', () => true);
        const count = await wrong.reaches(SLOW_CALLS, scene);
        const after = await observer.status(
          `${ACKED_FRAMES} frames were acked in spite of it`,
          ({ counters }) => counters.acked >= before.counters.acked + ACKED_FRAMES,
        );
        const acked = after.counters.acked - before.counters.acked;
        return `${count} syncs took ${delayMs} ms more; ${acked} frames were acked meanwhile`;
      },
      lift: () => wrong.lift(),
      running: async () => undefined,
    };
  },
});

export const DISK_FAULTS: readonly FaultKind[] = [diskFull, slowSync];
