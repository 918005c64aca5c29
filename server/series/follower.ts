/**
 * Follows the store into `series.db`: finds runs of stored seqs that are not charted yet, reads their
 * frames and adds them to the buckets, a chunk at a time. Synchronous; runs in the worker.
 *
 * Each frame is charted exactly once: the seqs that are done are kept in the same transaction as the
 * buckets, so neither the order of arrival nor a kill matters. New frames come before old ones, and
 * every stream has its turn, so that charts are live while a large store is gone through.
 *
 * A bucket tree: a bucket with one frame has nothing below it on finer levels; when a second
 * frame comes, the lone one is put one level down first. So a sample a second costs nothing on the levels
 * below a second, and ten thousand of them are still told apart.
 */
import type { FollowedFrame, FollowedStore, Run } from '#server/store/followed-store.ts';
import { type Bucket, mergeInto, mergeSummary, type Summary } from './bucket.ts';
import { Catalogue } from './catalogue.ts';
import { bucketAt, COARSEST, LEVELS, widthOf } from './levels.ts';
import { deliveryLagOf, readingsOf } from './readings.ts';
import { SeriesDamage, type SeriesFile } from './series-file.ts';

/** A frame that reached the server so long after its capture is late. */
export const LATE_US = 10_000_000;

/** A chunk: some ten milliseconds of work, so that a question is not kept waiting. */
const CHUNK_FRAMES = 256;
const CHUNK_BYTES = 1_048_576;
/** Runs that are looked at in one step. */
const PAGE_RUNS = 1_000;
/** Open ones that are remembered at a time. */
const OPEN_RUNS_MAX = 10_000;
/** While much is open, what came meanwhile is looked for so often. */
const REFRESH_MS = 500;

export interface FollowerOptions {
  readonly store: FollowedStore;
  readonly file: SeriesFile;
  readonly seriesPerCollectorMax: number;
  readonly bucketsMax: number;
  /** Microseconds since 1970 UTC. */
  readonly wallTime: () => number;
}

interface ChartedFrame {
  readonly capturedAt: number;
  readonly series: ReadonlyMap<number, Summary>;
}

/** One pass over everything that is stored. */
interface Pass {
  readonly startedAt: number;
  readonly version: number;
  /** Behind which run the search goes on. */
  stream: number;
  first: number;
  searched: boolean;
  readonly endsAt: number;
  /** Runs that were found open and had no turn yet. */
  turnsDue: number;
}

/** What a step did; `idle`: there is nothing to do for now. */
export type Step = 'idle' | 'searched' | 'charted';

/** Adds frames of one collector to its buckets, within a transaction. */
interface Adding {
  readonly collector: number;
  /** For each level the first bucket that may be there. */
  readonly keptFrom: readonly number[];
  /** For each level the buckets that were made. */
  readonly added: number[];
}

export class Follower {
  readonly #options: FollowerOptions;
  #catalogue: Catalogue;
  #open: Run[] = [];
  #pass: Pass | undefined;
  /** Of the last pass that was brought to its end. */
  #done: { readonly startedAt: number; readonly version: number } | undefined;

  /** Throws SeriesDamage when the file speaks of frames that the store has not. */
  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#catalogue = new Catalogue(options.file, options.seriesPerCollectorMax);
    this.#checkNothingVanished();
  }

  get catalogue(): Catalogue {
    return this.#catalogue;
  }

  /** Every frame that was stored before this time is charted; undefined before the first pass. */
  get completeTo(): number | undefined {
    return this.#done?.startedAt;
  }

  /** Does a bit of work. Throws SQLite's errors and the store's; then nothing of it was done. */
  step(): Step {
    try {
      return this.#step();
    } catch (error) {
      // What failed is found again.
      this.#open = [];
      this.#pass = undefined;
      throw error;
    }
  }

  /**
   * Charts what is open of one collector, or of all, before anything else, as long as `mayGoOn`.
   * Answers the time before which all that was stored is charted now; undefined when it is not.
   */
  catchUp(collector: string | undefined, mayGoOn: () => boolean): number | undefined {
    const startedAt = this.#options.wallTime();
    if (collector === undefined) {
      while (mayGoOn()) {
        if (this.step() === 'idle' && (this.completeTo ?? 0) >= startedAt) return this.completeTo;
      }
      return undefined;
    }
    for (const run of this.#storedOf(collector)) {
      if (!mayGoOn() || !this.#chartWhole(run, mayGoOn)) return undefined;
    }
    return startedAt;
  }

  /** The runs of stored seqs of a collector, newest first. */
  *#storedOf(collector: string): Generator<Run> {
    const { store } = this.#options;
    for (const stream of store.streamsOf(collector)) yield* store.storedOf(stream);
  }

  /** Charts what is open of a run, newest first; false when it may not go on to its end. */
  #chartWhole(run: Run, mayGoOn: () => boolean): boolean {
    for (const open of this.#openOf(run).reverse()) {
      for (let rest: Run | undefined = open; rest; rest = this.#chart(rest)) {
        if (!mayGoOn()) return false;
      }
    }
    return true;
  }

  #step(): Step {
    this.#pass ??= this.#begin();
    if (this.#pass === undefined) return 'idle';
    if (!this.#pass.searched && this.#open.length < OPEN_RUNS_MAX) {
      this.#search(this.#pass);
      return 'searched';
    }
    const next = this.#open.shift();
    if (next !== undefined) {
      this.#takeTurn(this.#pass, next);
      return 'charted';
    }
    this.#done = this.#pass;
    this.#pass = undefined;
    return 'idle';
  }

  /** undefined when nothing was committed since the last pass. */
  #begin(): Pass | undefined {
    const { store, wallTime } = this.#options;
    const [startedAt, version] = [wallTime(), store.version()];
    if (this.#done?.version === version) {
      this.#done = { startedAt, version };
      return undefined;
    }
    const endsAt = performance.now() + REFRESH_MS;
    return { startedAt, version, stream: 0, first: 0, searched: false, endsAt, turnsDue: 0 };
  }

  #takeTurn(pass: Pass, run: Run): void {
    const rest = this.#chart(run);
    if (rest) this.#open.push(rest);
    pass.turnsDue -= 1;
    if (this.#open.length === 0 || pass.turnsDue > 0 || performance.now() < pass.endsAt) return;
    // Not at its end: the next pass finds again what is left, and what is new besides.
    this.#open = [];
    this.#pass = undefined;
  }

  #search(pass: Pass): void {
    const runs = this.#options.store.storedAfter(pass.stream, pass.first, PAGE_RUNS);
    for (const open of runs.flatMap((run) => this.#openOf(run))) this.#open.push(open);
    pass.turnsDue = this.#open.length;
    const last = runs.at(-1);
    if (last) Object.assign(pass, { stream: last.stream, first: last.from });
    pass.searched = runs.length < PAGE_RUNS;
  }

  /** The parts of a run that are not charted. */
  #openOf({ stream, from, to }: Run): Run[] {
    const open: Run[] = [];
    let next = from;
    for (const done of this.#options.file.followed(stream, from, to)) {
      if (done.from > next) open.push({ stream, from: next, to: done.from - 1 });
      next = Math.max(next, done.to + 1);
    }
    if (next <= to) open.push({ stream, from: next, to });
    return open;
  }

  /** Charts the newest chunk of a run. Answers what is left of it. */
  #chart(run: Run): Run | undefined {
    const { store, file } = this.#options;
    const [open] = this.#openOf(run).reverse();
    if (open === undefined) return undefined;
    const { stream } = run;
    const name = store.nameOf(stream);
    if (name === undefined) return undefined;
    const { frames, downTo } = store.newestOf(open, CHUNK_FRAMES, CHUNK_BYTES);
    try {
      file.transaction(() => {
        if (frames.length > 0) this.#addFrames(name.collector, frames);
        file.keepName(stream, name);
        file.follow(stream, downTo, open.to);
      });
    } catch (error) {
      this.#catalogue = new Catalogue(file, this.#options.seriesPerCollectorMax);
      throw error;
    }
    return downTo > run.from ? { stream, from: run.from, to: downTo - 1 } : undefined;
  }

  #addFrames(collector: string, frames: readonly FollowedFrame[]): void {
    const { file } = this.#options;
    const times = frames.map(({ capturedAt }) => capturedAt);
    const [first, last] = [Math.min(...times), Math.max(...times)];
    // Only what can be charted makes a collector one that is.
    let id: number | undefined;
    let leftOut = 0;
    const charted: ChartedFrame[] = [];
    for (const frame of frames) {
      const read = readingsOf(frame.payload);
      if (read.readings.length === 0 && read.leftOut === 0) continue;
      id ??= file.reach(collector, first, last);
      if (id === undefined) return;
      leftOut += read.leftOut;
      const series = new Map<number, Summary>();
      const late = frame.receivedAt - frame.capturedAt > LATE_US ? 1 : 0;
      // The lag comes first: so it always has a place, whatever the payloads bring.
      const own = read.readings.length > 0 ? [deliveryLagOf(frame)] : [];
      for (const reading of [...own, ...read.readings]) {
        const number = this.#catalogue.numberOf(id, reading);
        if (number === undefined) leftOut += 1;
        else addValue(series, number, reading.value, late);
      }
      if (series.size > 0) charted.push({ capturedAt: frame.capturedAt, series });
    }
    if (id === undefined) return;
    if (leftOut > 0) file.leaveOut(id, leftOut);
    charted.sort((a, b) => a.capturedAt - b.capturedAt);
    this.#addToLevels(id, charted);
  }

  #addToLevels(collector: number, frames: readonly ChartedFrame[]): void {
    const { file, bucketsMax } = this.#options;
    const keptFrom = LEVELS.map((_, level) => file.extent(collector, level).keptFrom);
    const adding = { collector, keptFrom, added: LEVELS.map(() => 0) };
    this.#addTo(adding, COARSEST, frames);
    for (const [level, count] of adding.added.entries()) {
      if (count > 0) file.grow(collector, level, count, bucketsMax);
    }
  }

  /** Adds frames, by capture time, to their buckets on a level and on those below it. */
  #addTo(adding: Adding, level: number, frames: readonly ChartedFrame[]): void {
    const keptFrom = adding.keptFrom[level] ?? 0;
    for (let start = 0; start < frames.length; ) {
      const number = bucketAt(level, frames[start]?.capturedAt ?? 0);
      let end = start + 1;
      while (bucketAt(level, frames[end]?.capturedAt ?? -1) === number) end += 1;
      if (number >= keptFrom) this.#addToBucket(adding, level, number, frames.slice(start, end));
      start = end;
    }
  }

  #addToBucket(
    adding: Adding,
    level: number,
    number: number,
    frames: readonly ChartedFrame[],
  ): void {
    const { file } = this.#options;
    const { collector, added } = adding;
    const startsAt = number * widthOf(level);
    const known = file.bucket(collector, level, number);
    if (known === undefined) added[level] = (added[level] ?? 0) + 1;
    const bucket: Bucket = known ?? { frames: 0, offsetUs: 0, series: new Map() };
    const lone =
      bucket.frames === 1
        ? [{ capturedAt: startsAt + bucket.offsetUs, series: copyOf(bucket.series) }]
        : [];
    for (const { series } of frames) mergeInto(bucket, series);
    bucket.frames += frames.length;
    if (bucket.frames === 1) bucket.offsetUs = (frames[0]?.capturedAt ?? startsAt) - startsAt;
    file.putBucket(collector, level, number, bucket);
    if (bucket.frames === 1 || level === 0) return;
    const below = [...lone, ...frames].sort((a, b) => a.capturedAt - b.capturedAt);
    this.#addTo(adding, level - 1, below);
  }

  /** A store that is an older copy of itself, or was salvaged, has fewer frames than are charted. */
  #checkNothingVanished(): void {
    const { store, file } = this.#options;
    for (const { stream, collector, epoch } of file.streams()) {
      const name = store.nameOf(stream);
      const same = name?.collector === collector && name.epoch === epoch;
      const held =
        same &&
        file
          .followed(stream, 1, Number.MAX_SAFE_INTEGER)
          .every(({ from, to }) => store.holds({ stream, from, to }));
      if (!held)
        throw new SeriesDamage(`the store no longer has all charted frames of ${collector}`);
    }
  }
}

function addValue(series: Map<number, Summary>, number: number, value: number, late: number): void {
  const known = series.get(number);
  if (known === undefined) {
    series.set(number, { min: value, max: value, mean: value, count: 1, late });
    return;
  }
  mergeSummary(known, { min: value, max: value, mean: value, count: 1, late });
}

function copyOf(series: ReadonlyMap<number, Summary>): Map<number, Summary> {
  return new Map([...series].map(([number, summary]) => [number, { ...summary }]));
}
