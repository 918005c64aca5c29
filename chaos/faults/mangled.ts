/**
 * Faults of the bytes on the link, done by the mangler: changed, doubled, lost and in the wrong
 * order; a connection that ends in the middle of a chosen message; one of which nothing comes
 * through any more while others pass. What they may cost is connections, never a row.
 */
import { z } from 'zod';
import type { ConnectionState } from '../mangler/relay.ts';
import type { RuleInput } from '../mangler/rules.ts';
import { waitUntil } from '../observe/wait.ts';
import { between, type Direction, direction, kindOf, oneOf, whole } from './arguments.ts';
import type { FaultKind, Scene } from './fault.ts';
import { Mangling } from './mangler.ts';

/** So often it has to have happened; the first connection that breaks may be a chance. */
const BITES = 3;
const WAYS = ['flip', 'double', 'drop', 'swap'] as const;
type Way = (typeof WAYS)[number];

const IN_WORDS: Readonly<Record<Way, string>> = {
  flip: 'bits were flipped',
  double: 'pieces came twice',
  drop: 'pieces were lost',
  swap: 'pieces came in the wrong order',
};

/** So long is a piece where no message can be told. */
const SECURED_PIECE_BYTES = 500;

/** On a link that is secured nothing can be told by its message, nor by whose it is. */
const whose = z
  .enum(['source', 'all'])
  .default('source')
  .describe('the connections of the source alone, or all; with TLS: all');

/** The mangler's word for a direction. */
const DIRECTIONS = { up: 'upstream', down: 'downstream', both: 'both' } as const;

interface CorruptArguments {
  how: Way;
  direction: Direction;
  every_bytes: number;
  piece: 'message' | number;
  whose: 'source' | 'all';
}

const corrupt = kindOf<CorruptArguments>({
  kind: 'corrupt',
  summary:
    'Bytes change on the way: bits flip, pieces come twice, never, or in the wrong order, as with a broken router or proxy.',
  arguments: z.strictObject({
    how: z.enum(WAYS).default('flip').describe('what happens to them'),
    direction,
    every_bytes: whole(100, 100_000_000, 20_000, 'bytes between two places, on the mean'),
    piece: z
      .union([z.literal('message'), z.number().int().min(1).max(65_536)])
      .default('message')
      .describe(
        'a whole message, or so many bytes; flip: always one bit; with TLS: bytes, 500 for a message',
      ),
    whose,
  }),
  needs: [],
  draw: (random) => ({
    how: oneOf(random, WAYS),
    direction: oneOf(random, ['up', 'down', 'both'] as const),
    // Acks are few bytes: a busy server's were seen to be under 2,700 in a minute.
    every_bytes: between(random, 200, 1_000),
    piece: random() < 0.5 ? 'message' : between(random, 1, 2_000),
    whose: oneOf(random, ['source', 'all'] as const),
  }),
  make(args, name) {
    const mangling = new Mangling();
    let connections = 0;
    return {
      name,
      target: 'link',
      outage: false,
      inject: async (scene) => {
        const rule = corruption(args, scene);
        await mangling.begin(scene, async () => rule);
        connections = await connectionsOf(scene);
      },
      effect: async (scene) => {
        const { count } = await mangling.reaches(BITES, scene);
        // The mangler's coming cost one; so many more are the fault's.
        const lost = await connectionsLost(scene, connections, 2);
        return `${count} ${IN_WORDS[args.how]}; ${lost}`;
      },
      lift: (scene) => mangling.end(scene),
      running: async () => undefined,
    };
  },
});

function corruption(args: CorruptArguments, scene: Scene): RuleInput {
  const plain = scene.ground.cannot('plain') === null;
  const common = {
    direction: DIRECTIONS[args.direction],
    every_bytes: args.every_bytes,
    seed: Math.floor(scene.random() * 2 ** 32),
    ...(plain && args.whose === 'source' ? { collector: collectorOf(scene) } : {}),
  };
  if (args.how === 'flip') return { do: 'flip', ...common };
  const piece = plain || args.piece !== 'message' ? args.piece : SECURED_PIECE_BYTES;
  return { do: args.how, ...common, piece };
}

/** Which way each kind of message goes; the others go both ways. */
const CUT_KINDS = {
  greeting: 'downstream',
  hello: 'upstream',
  welcome: 'downstream',
  frames: 'upstream',
  gap: 'upstream',
  ack: 'downstream',
  epochs: 'upstream',
  settled: 'downstream',
} as const;
type CutKind = keyof typeof CUT_KINDS;
const CUT_KIND_NAMES = Object.keys(CUT_KINDS) as [CutKind, ...CutKind[]];

interface CutAtArguments {
  message: CutKind;
  nth: number;
  bytes: number;
  by: 'rst' | 'fin';
  times: number;
}

const cutAt = kindOf<CutAtArguments>({
  kind: 'cut_at',
  summary:
    'Connections of the source end in the middle of a message, at the byte that is named: in the handshake, within frames, within an ack.',
  arguments: z.strictObject({
    message: z.enum(CUT_KIND_NAMES).describe('in which kind of message (protocol/PROTOCOL.md)'),
    nth: whole(1, 1_000_000, 1, 'in which of them, counted on each connection'),
    bytes: whole(0, 1_114_130, 20, 'so many bytes into it; past its length: at its end'),
    by: z.enum(['rst', 'fin']).default('rst').describe('how both ends are told'),
    times: whole(1, 1_000_000, 5, 'connections that end so; then they pass'),
  }),
  needs: ['plain'],
  draw: (random) => ({
    message: oneOf(random, ['greeting', 'hello', 'welcome', 'frames', 'ack'] as const),
    nth: 1,
    bytes: between(random, 0, 60),
    by: oneOf(random, ['rst', 'fin'] as const),
    times: between(random, 1, 8),
  }),
  make({ message, nth, bytes, by, times }, name) {
    const mangling = new Mangling();
    return {
      name,
      target: 'link',
      outage: false,
      inject: async (scene) => {
        // Before its HELLO nobody can tell whose connection it is.
        const scope = message === 'greeting' ? {} : { collector: collectorOf(scene) };
        const where = { direction: CUT_KINDS[message], messages: message, nth, bytes };
        await mangling.begin(scene, async () => ({ do: 'cut', ...where, by, times, ...scope }));
        await mangling.renew();
      },
      effect: async (scene) => {
        const wanted = Math.min(times, BITES);
        const { count } = await mangling.reaches(wanted, scene);
        return `${count} connections ended ${bytes} bytes into ${message} ${nth}, by ${by.toUpperCase()}`;
      },
      lift: (scene) => mangling.end(scene),
      running: async () => undefined,
    };
  },
});

const WHICH = ['source', 'newest', 'oldest'] as const;

const blackHoleOne = kindOf<{ which: (typeof WHICH)[number] }>({
  kind: 'black_hole_one',
  summary:
    'One single connection leads nowhere any more, and nobody is told, while others on the same link pass: a forgotten entry in the state of a firewall.',
  arguments: z.strictObject({
    which: z
      .enum(WHICH)
      .default('source')
      .describe("the source's, or the newest or the oldest that there is"),
  }),
  needs: ['plain'],
  draw: () => ({ which: 'source' }),
  make({ which }, name) {
    const mangling = new Mangling();
    let before: readonly ConnectionState[] = [];
    let connections = 0;
    return {
      name,
      target: 'link',
      outage: false,
      inject: async (scene) => {
        const only = which === 'oldest' ? 'oldest' : 'newest';
        const scope = which === 'source' ? { collector: collectorOf(scene) } : {};
        await mangling.begin(scene, async (mangler) => {
          before = await mangler.connections();
          const there = before.filter(
            ({ collector, bytes }) =>
              bytes.downstream > 0 && (which !== 'source' || collector === scope.collector),
          );
          return there.length === 0 ? undefined : { do: 'black_hole', only, ...scope };
        });
        connections = await connectionsOf(scene);
      },
      effect: async (scene) => {
        const { connection, count } = await mangling.reaches(1, scene);
        const swallowed = `nothing came through connection ${connection} (${count} bytes so far)`;
        const passed = await othersPass(scene, mangling, before, connection);
        if (which !== 'source') return `${swallowed}; ${passed}`;
        return `${swallowed}; ${passed}; ${await connectionsLost(scene, connections, 1)}`;
      },
      lift: (scene) => mangling.end(scene),
      running: async () => undefined,
    };
  },
});

/** Those that were there beside it when it began go on. */
async function othersPass(
  { signal }: Scene,
  mangling: Mangling,
  before: readonly ConnectionState[],
  connection: number | null,
): Promise<string> {
  const others = before.filter(({ id }) => id !== connection);
  if (others.length === 0) return 'no other connection was there';
  let passed = 0;
  await waitUntil(
    'bytes of the other connections pass',
    async () => {
      const now = await mangling.connections();
      passed = sum(now.filter(({ id }) => others.some((other) => other.id === id))) - sum(others);
      return passed > 0;
    },
    { signal, describe: () => mangling.connections() },
  );
  return `${passed} bytes of ${others.length} others passed`;
}

function sum(connections: readonly ConnectionState[]): number {
  return connections.reduce((all, { bytes }) => all + bytes.upstream + bytes.downstream, 0);
}

function collectorOf({ observer }: Scene): string {
  const known = observer.statuses.at(-1)?.document.collector;
  if (known === undefined) throw new Error('the source has not said yet who it is');
  return known;
}

async function connectionsOf({ observer }: Scene): Promise<number> {
  const { counters } = await observer.status('there is a status', () => true);
  return counters.connections;
}

/** The source has made so many more than when the fault began. */
async function connectionsLost({ observer }: Scene, before: number, more: number): Promise<string> {
  const { counters, last_error } = await observer.status(
    `the source has made ${more} more connections`,
    ({ counters: { connections } }) => connections >= before + more,
  );
  const made = counters.connections - before;
  const why = last_error === null ? '' : `, the last after: ${last_error.code}`;
  return `the source made ${made} more connections${why}`;
}

export const MANGLED_FAULTS: readonly FaultKind[] = [corrupt, cutAt, blackHoleOne];
