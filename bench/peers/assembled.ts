/** A peer out of its parts: its two programs, the way its records are given to it, and its sink. */
import type { Arrivals } from './arrivals.ts';
import { type Edge, fill, offer } from './handover.ts';
import type { Peer } from './peer.ts';

interface Parts extends Pick<Peer, 'edge' | 'central'> {
  readonly way: Edge;
  readonly arrivals: Arrivals;
  /** What was started for it, ended with it in the reverse order; the peer has it from now on. */
  readonly started: AsyncDisposableStack;
}

export function assembled({ edge, central, way, arrivals, started }: Parts): Peer {
  const owned = started.move();
  return {
    edge,
    central,
    fill: (first, count) => fill(way, first, count),
    offer: (first, count, perSecond) => offer(way, first, count, perSecond),
    stored: (count, withinMs) => arrivals.stored(count, withinMs),
    arrivals: async () => arrivals.all(),
    stop: () => owned.disposeAsync(),
  };
}
