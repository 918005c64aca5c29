/**
 * Faults of a disk under a program that runs, by strace: no room for what it writes, syncs that take
 * long, I/O errors. What the bytes on the disk may suffer is `data.ts`.
 */
import { join } from 'node:path';
import { z } from 'zod';
import type { CallFault, InForce } from '#lab/ground/ground.ts';
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
/** Aims at a file that is taken by another. */
const TRIES_MAX = 5;
const CALLS = { write: ['pwrite64', 'write'], sync: ['fdatasync', 'fsync'] } as const;
/** Acked in spite of slow syncs. */
const ACKED_FRAMES = 20;

const disk = z
  .enum(DISKS)
  .describe("server: the log of the store; source: the queue's file that is being written");

/** The file that takes what is new; of the store, the log. */
async function fileOf(
  { ground }: Scene,
  target: Disk,
  ofStore = `${STORE_FILE}-wal`,
): Promise<string> {
  const service = ground.service(target);
  const folder = dataOf(service);
  if (target === 'server') return join(folder, ofStore);
  return lastJson<{ file: string }>(await runScript(service, NEWEST_SEGMENT, [folder])).file;
}

/** Which calls on which disk go wrong, and how. */
interface Aim extends Omit<CallFault, 'path'> {
  readonly target: Disk;
  /** Of the store this file, not its log. */
  readonly ofStore?: string | undefined;
}

/** A fault by strace, between being put in force and being lifted. */
class Wrong {
  #inForce: InForce | undefined;

  /**
   * Puts it in force on the file that takes what is new. While strace is being attached, which takes
   * seconds on a busy machine, the source may have begun another one: then it aims anew.
   */
  async begin(scene: Scene, { target, ofStore, ...call }: Aim): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      const path = await fileOf(scene, target, ofStore);
      this.#inForce = await scene.ground.service(target).failCalls({ ...call, path });
      if (tries === TRIES_MAX || (await fileOf(scene, target, ofStore)) === path) return;
      if (this.#count() > 0) return;
      await this.#inForce.lift();
    }
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
      needsFlow: true,
      inject: async (scene) => {
        await wrong.begin(scene, { target, calls: CALLS.write, how: { error: 'ENOSPC' } });
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
        await wrong.begin(scene, { target, calls: CALLS.sync, how: { delayMs } });
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

const CALL_NAMES = ['write', 'sync'] as const;
/** The exit code of a program that ends itself. */
const OWN_END = 1;

const diskErrorArguments = z.strictObject({
  target: disk,
  call: z.enum(CALL_NAMES).default('sync').describe('what fails'),
  file: z
    .enum(['log', 'database'])
    .default('log')
    .describe(
      'of the server: the log of its store, or the database that a checkpoint brings it to',
    ),
});

const diskError = kindOf<z.output<typeof diskErrorArguments>>({
  kind: 'disk_error',
  summary:
    'Writes or syncs fail as on a disk that dies. The program ends itself, for nobody knows what such a disk has; its restart policy brings back one that reads it anew.',
  arguments: diskErrorArguments,
  needs: ['trace'],
  draw: (random) => ({
    target: oneOf(random, DISKS),
    call: oneOf(random, CALL_NAMES),
    file: 'log',
  }),
  make({ target, call, file }, name) {
    const wrong = new Wrong();
    let generation = '';
    let known = 0;
    return {
      name,
      target,
      outage: true,
      needsFlow: true,
      restarts: true,
      inject: async (scene) => {
        const service = scene.ground.service(target);
        ({ generation } = await service.state());
        known = service.exits.length;
        const ofStore = file === 'log' ? undefined : STORE_FILE;
        await wrong.begin(scene, { target, ofStore, calls: CALLS[call], how: { error: 'EIO' } });
      },
      effect: async (scene) => {
        await wrong.reaches(1, scene);
        const { exits } = scene.ground.service(target);
        const ended = () => exits.slice(known).some(({ code }) => code === OWN_END);
        await waitUntil(`the ${target} ends itself`, ended, {
          signal: scene.signal,
          describe: () => exits.slice(known),
        });
        return `a ${call} failed, and the ${target} ended itself`;
      },
      lift: () => wrong.lift(),
      running: (scene) => untilReady(scene, target, generation),
    };
  },
});

export const DISK_FAULTS: readonly FaultKind[] = [diskFull, slowSync, diskError];
