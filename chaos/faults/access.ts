/**
 * Faults of who may come in: a server with another secret, and a second collector that takes itself
 * for the source.
 */
import { z } from 'zod';
import { type InForce, PORT_IN_COMPOSE, type Service } from '#lab/ground/ground.ts';
import type { CollectorStatus } from '../observe/observer.ts';
import { fetchJson, waitUntil } from '../observe/wait.ts';
import { kindOf } from './arguments.ts';
import { failing } from './effects.ts';
import type { FaultKind, Scene } from './fault.ts';
import { untilReady } from './services.ts';

const NAME = 'clone';
/** What a collector says of itself whose place another one has. */
const TAKEN = 'bye_in_use';
/** Frames of the source that get in although the clone is there. */
const ACKED_FRAMES = 20;

const noArguments = z.strictObject({});
type None = z.output<typeof noArguments>;

const wrongSecret = kindOf<None>({
  kind: 'wrong_secret',
  summary:
    'The server is started with another secret, as after a rotation that forgot the collectors; then with the right one. They try again within 30 s, without a hand.',
  arguments: noArguments,
  needs: [],
  draw: () => ({}),
  make(_, name) {
    let inForce: InForce | undefined;
    return {
      name,
      target: 'server',
      outage: true,
      needsFlow: true,
      restarts: true,
      inject: async ({ ground }) => {
        inForce = await ground.changeSecret();
      },
      effect: failing(['bye_unauthorized']),
      lift: async () => inForce?.lift(),
      running: (scene) => untilReady(scene, 'server'),
    };
  },
});

const clone = kindOf<None>({
  kind: 'clone',
  summary:
    'A second collector with the id of the source and a copy of its queue, as after restoring a backup or cloning a machine. One drains, the other is told that the place is taken.',
  arguments: noArguments,
  needs: [],
  draw: () => ({}),
  make(_, name) {
    let service: Service | undefined;
    return {
      name,
      target: 'source',
      outage: false,
      inject: async (scene) => {
        service = await launchClone(scene);
      },
      effect: async (scene) => {
        if (service === undefined) throw new Error('there is no clone');
        return inUse(scene, service);
      },
      lift: async ({ ground }) => {
        if (service !== undefined) await ground.remove(service);
        service = undefined;
      },
      running: async () => undefined,
    };
  },
});

/** Without a load it makes no frames of its own, so that all there are stand in the source's ledger. */
async function launchClone({ ground, observer }: Scene): Promise<Service> {
  const { collector } = await observer.status('there is a status', () => true);
  return ground.launch({
    name: NAME,
    command: ['node', 'chaos/source/main.ts'],
    environment: {
      HOLDFAST_SERVER: ground.linkEntrance,
      HOLDFAST_COLLECTOR_ID: collector,
      HOLDFAST_QUEUE_PATH: '/queue',
      HOLDFAST_STATUS_HOST: '0.0.0.0',
      HOLDFAST_STATUS_PORT: String(PORT_IN_COMPOSE.status),
      HOLDFAST_LOAD_RATE: '0',
    },
    ports: [PORT_IN_COMPOSE.status],
    networks: ['edge'],
    data: '/queue',
    copyOf: 'source',
    joins: true,
  });
}

/** One of the two is told that the other has the place; if it is the clone, the source's frames go on. */
async function inUse({ observer, signal }: Scene, service: Service): Promise<string> {
  let told: 'clone' | 'source' | undefined;
  let last: CollectorStatus | undefined;
  await waitUntil(
    'one of the two is told that the place is taken',
    async () => {
      last = await fetchJson<CollectorStatus>(
        `${await service.url(PORT_IN_COMPOSE.status)}/status`,
      );
      if (last.last_error?.code === TAKEN) told = 'clone';
      const source = observer.statuses.at(-1)?.document;
      if (source?.state !== 'Ready' && source?.last_error?.code === TAKEN) told = 'source';
      return told !== undefined;
    },
    { signal, describe: () => last },
  );
  if (told === 'source') return 'the source was told that the place is taken, by the clone';
  const before = await observer.status('there is a status', () => true);
  const { counters } = await observer.status(
    `${ACKED_FRAMES} frames of the source were acked beside the clone`,
    ({ counters: { acked } }) => acked >= before.counters.acked + ACKED_FRAMES,
  );
  const acked = counters.acked - before.counters.acked;
  return `the clone was told that the place is taken, by the source, of which ${acked} frames were acked meanwhile`;
}

export const ACCESS_FAULTS: readonly FaultKind[] = [wrongSecret, clone];
