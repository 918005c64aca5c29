/**
 * Virtual time: events in the order of their time, and between events all microtasks run to their
 * end. Nothing here waits for anything real, so a minute takes some milliseconds and the same seed
 * takes the same way.
 *
 * Here too: processes, as far as time concerns them. One that is frozen does nothing until it is
 * thawed, and then finds its timers due and its bytes arrived; one that is dead never does anything.
 */
import { Random } from './random.ts';

interface Event {
  readonly at: number;
  readonly order: number;
  readonly call: () => void;
  cancelled: boolean;
}

/** Where the wall clock stands when a history begins: microseconds since 1970 UTC. */
const EPOCH_US = 1_764_000_000_000_000;

export class World {
  readonly random: Random;
  /** Virtual milliseconds since the beginning. */
  now = 0;
  /** How often each state, step and rare event was met. */
  readonly met = new Map<string, number>();
  readonly #heap: Event[] = [];
  readonly #trace: string[] | undefined;
  #order = 0;
  #broken: Error | undefined;

  constructor(seed: number, options: { readonly trace?: boolean } = {}) {
    this.random = new Random(seed);
    this.#trace = options.trace ? [] : undefined;
  }

  /** True when `say` keeps what it is told; for lines that are dear to make. */
  get traced(): boolean {
    return this.#trace !== undefined;
  }

  get trace(): readonly string[] {
    return this.#trace ?? [];
  }

  get wallUs(): number {
    return EPOCH_US + Math.round(this.now * 1_000);
  }

  /** A line of the trace. */
  say(who: string, what: string): void {
    this.#trace?.push(`${this.now.toFixed(3).padStart(11)} ${who.padEnd(12)} ${what}`);
  }

  meet(what: string): void {
    this.met.set(what, (this.met.get(what) ?? 0) + 1);
  }

  /** Ends the history with a failure. The first one stands. */
  fail(error: Error): void {
    this.#broken ??= error;
  }

  /** Calls once, after that many milliseconds. Answers how to call it off. */
  after(ms: number, call: () => void): () => void {
    const event = { at: this.now + Math.max(ms, 0), order: this.#order, call, cancelled: false };
    this.#order += 1;
    push(this.#heap, event);
    return () => {
      event.cancelled = true;
    };
  }

  /** Runs what is due up to a time, or until `done`. Throws what went wrong. */
  async run(until: number, done: () => boolean = () => false): Promise<boolean> {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.at > until) break;
      pop(this.#heap);
      if (next.cancelled) continue;
      this.now = next.at;
      next.call();
      await microtasks();
      if (this.#broken !== undefined) throw this.#broken;
      if (done()) return true;
    }
    this.now = until;
    return done();
  }
}

/** All of them, and those that they make. */
function microtasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export class Process {
  readonly name: string;
  readonly #world: World;
  #state: 'running' | 'frozen' | 'dead' = 'running';
  #dueTimers: (() => void)[] = [];
  #dueIo: (() => void)[] = [];

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
  }

  get alive(): boolean {
    return this.#state !== 'dead';
  }

  get frozen(): boolean {
    return this.#state === 'frozen';
  }

  /** A timer of this process. */
  after(ms: number, call: () => void): () => void {
    let cancelled = false;
    const due = (): void => {
      if (!cancelled) call();
    };
    const cancel = this.#world.after(ms, () => this.#enter(due, this.#dueTimers));
    return () => {
      cancelled = true;
      cancel();
    };
  }

  /** Something from outside reaches this process: now, or when it is thawed. */
  io(call: () => void): void {
    this.#enter(call, this.#dueIo);
  }

  /** After everything that has already reached the process. */
  afterReads(call: () => void): void {
    this.#world.after(0, () => this.#enter(call, this.#dueIo));
  }

  freeze(): void {
    if (this.#state === 'running') this.#state = 'frozen';
  }

  /** Timers first, then what has arrived: the order of an event loop. */
  thaw(): void {
    if (this.#state !== 'frozen') return;
    this.#state = 'running';
    const due = [...this.#dueTimers, ...this.#dueIo];
    this.#dueTimers = [];
    this.#dueIo = [];
    for (const call of due) this.#world.after(0, () => this.#enter(call, this.#dueIo));
  }

  kill(): void {
    this.#state = 'dead';
    this.#dueTimers = [];
    this.#dueIo = [];
  }

  #enter(call: () => void, due: (() => void)[]): void {
    if (this.#state === 'dead') return;
    if (this.#state === 'frozen') due.push(call);
    else call();
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function push(heap: Event[], event: Event): void {
  let at = heap.push(event) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || before(above, event)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = event;
}

function pop(heap: Event[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    const left = heap[child];
    if (left === undefined) break;
    const right = heap[child + 1];
    if (right !== undefined && before(right, left)) child += 1;
    const smaller = heap[child];
    if (smaller === undefined || before(last, smaller)) break;
    heap[at] = smaller;
    at = child;
  }
  heap[at] = last;
}
