/** Kinds of faults that do nothing, of every class that the swarm's table tells apart. */
import { z } from 'zod';
import type { Fault, FaultKind } from '#chaos/faults/fault.ts';

type Shape = Pick<Fault, 'target' | 'outage' | 'needsFlow' | 'restarts'> & {
  readonly lifted: boolean;
};

const SHAPES: Readonly<Record<string, Shape>> = {
  cut: { target: 'link', outage: true, lifted: true },
  latency: { target: 'link', outage: false, lifted: true },
  slicer: { target: 'link', outage: false, lifted: true },
  kill_server: { target: 'server', outage: true, lifted: false },
  freeze_server: { target: 'server', outage: true, lifted: true },
  slow_disk_server: { target: 'server', outage: false, lifted: true },
  kill_source: { target: 'source', outage: true, lifted: false },
  freeze_source: { target: 'source', outage: true, lifted: true },
  disk_full_source: { target: 'source', outage: false, lifted: true },
  freeze_collector: { target: 'collector', outage: false, lifted: true },
  kill_collector: { target: 'collector', outage: false, lifted: false },
  full_store: { target: 'server', outage: true, lifted: true, needsFlow: true },
  other_secret: { target: 'server', outage: true, lifted: true, needsFlow: true, restarts: true },
  kill_toxiproxy: { target: 'toxiproxy', outage: true, lifted: false },
};

export function kindOf(kind: string, more: Partial<FaultKind> = {}): FaultKind {
  const shape = SHAPES[kind];
  if (shape === undefined) throw new RangeError(`no kind ${kind}`);
  const { lifted, ...facts } = shape;
  return {
    kind,
    summary: kind,
    arguments: z.record(z.string(), z.unknown()),
    needs: [],
    draw: (random) => ({ ms: Math.floor(1_000 * random()), words: `${kind}: yes, no # "x"` }),
    make: (_args, name): Fault => ({
      name,
      ...facts,
      effect: async () => 'nothing',
      inject: async () => undefined,
      ...(lifted ? { lift: async () => undefined } : {}),
      running: async () => undefined,
    }),
    ...more,
  };
}

export const KINDS: readonly FaultKind[] = Object.keys(SHAPES).map((kind) => kindOf(kind));
