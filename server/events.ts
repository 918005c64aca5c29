/**
 * What happens in the server, for those who watch it live. Lossy by design: a watcher that needs
 * the whole truth asks the API.
 */
import type { Epoch } from '#protocol/identity.ts';
import type { LinkReport } from './lab/link-history.ts';

/** Times in microseconds since 1970 UTC. */
export type ServerEvent =
  /** Frames of an epoch were committed; `to` and `capturedAt` are the highest of them. */
  | {
      readonly type: 'stored';
      readonly collector: string;
      readonly epoch: Epoch;
      readonly to: number;
      readonly capturedAt: number;
    }
  /** A collector was welcomed or is gone. */
  | {
      readonly type: 'collector';
      readonly collector: string;
      readonly connected: boolean;
      readonly at: number;
    }
  /** In the lab: the link is no longer as it was. */
  | { readonly type: 'link'; readonly link: LinkReport };

export type Watcher = (event: ServerEvent) => void;

export class Events {
  readonly #watchers = new Set<Watcher>();

  publish(event: ServerEvent): void {
    for (const watcher of this.#watchers) watcher(event);
  }

  /** Answers how to stop watching. */
  watch(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}
