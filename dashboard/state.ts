/**
 * All that the page shows, in one place. Parts of it are replaced, never changed; who watches is
 * told once for all that was replaced until the browser draws.
 */
import type { Audit, Collector, GapsAnswer, LabAnswer, Link } from './answers.ts';
import type { Held } from './columns.ts';
import type { Range } from './range.ts';
import type { Lack } from './sample-errors.ts';
import type { View } from './url-state.ts';

export type Connection =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  /** The server answers, but events don't come. */
  | { readonly kind: 'polling'; readonly since: number }
  /** `since` by this browser's clock. */
  | { readonly kind: 'away'; readonly since: number; readonly reason: string };

/** What is held of a collector's series, and for which range it was asked. */
interface HeldFor {
  readonly collector: string;
  readonly range: Range;
  readonly data: Held;
}

export interface State {
  readonly view: View;
  readonly connection: Connection;
  /** By the server's clock; undefined until it has answered. */
  readonly asOf: number | undefined;
  readonly collectors: readonly Collector[] | undefined;
  /** The collector that is shown to who has chosen none; it stays while others come and go. */
  readonly first: string | undefined;
  readonly audits: ReadonlyMap<string, Audit>;
  readonly gaps: GapsAnswer | undefined;
  /** Undefined: not known yet. null: there is none. */
  readonly lab: LabAnswer | null | undefined;
  readonly held: HeldFor | undefined;
  /** Why there are no series. */
  readonly seriesError: string | undefined;
  readonly firstCapturedAt: number | undefined;
  /** What the shown collector's newest samples lack. */
  readonly lacks: readonly Lack[];
}

export class Store {
  #state: State;
  readonly #watchers = new Set<(state: State) => void>();
  #pending = false;

  constructor(state: State) {
    this.#state = state;
  }

  get state(): State {
    return this.#state;
  }

  set(change: Partial<State>): void {
    this.#state = { ...this.#state, ...change };
    if (this.#pending) return;
    this.#pending = true;
    requestAnimationFrame(() => {
      this.#pending = false;
      for (const watcher of this.#watchers) watcher(this.#state);
    });
  }

  watch(watcher: (state: State) => void): void {
    this.#watchers.add(watcher);
  }

  setLink(link: Link): void {
    const { lab } = this.#state;
    if (lab != null) this.set({ lab: { ...lab, link } });
  }
}

/** What is shown may be old. */
export function isAway({ connection }: Pick<State, 'connection'>): boolean {
  return connection.kind === 'away';
}

/** The collector that is shown: the chosen one, or the first. */
export function shownId({ view, first }: Pick<State, 'view' | 'first'>): string | undefined {
  return view.collector ?? first;
}

/** Whether nothing is known yet of the series of what is shown: neither values nor that there are none. */
export function isLoading(state: State): boolean {
  const { held, view } = state;
  return held?.collector !== shownId(state) || held?.range !== view.range;
}

/** What is held of the series of the shown collector. */
export function shownHeld(state: State): Held | undefined {
  return state.held?.collector === shownId(state) ? state.held?.data : undefined;
}

export function shownCollector(state: State | undefined): Collector | undefined {
  if (state === undefined) return undefined;
  const id = shownId(state);
  return state.collectors?.find(({ collector }) => collector === id);
}
