/**
 * The numbers of series and which collector has which, as `series.db` keeps them, in memory: each
 * reading of each frame is looked up here.
 *
 * Invariant: what is here is in the file, or in the transaction that runs; after one that failed,
 * a new catalogue is made.
 */
import type { Reading } from './readings.ts';
import { SERIES_MAX, type SeriesFile, type SeriesName } from './series-file.ts';

export class Catalogue {
  readonly #file: SeriesFile;
  readonly #perCollectorMax: number;
  readonly #numbers = new Map<string, number>();
  readonly #names = new Map<number, SeriesName>();
  /** By the collector's id. */
  readonly #had = new Map<number, Set<number>>();

  constructor(file: SeriesFile, perCollectorMax: number) {
    this.#file = file;
    this.#perCollectorMax = perCollectorMax;
    for (const { id, ...name } of file.series()) this.#know(id, name);
  }

  /** The number of a reading's series; undefined when one more series is too many. */
  numberOf(collector: number, reading: Reading): number | undefined {
    const had = this.ofCollector(collector);
    const known = this.#numbers.get(keyOf(reading));
    if (known !== undefined && had.has(known)) return known;
    // The delivery lag is the first of each collector, and is none of those that are allowed.
    if (had.size > this.#perCollectorMax) return undefined;
    if (known === undefined && this.#numbers.size >= SERIES_MAX) return undefined;
    const number = known ?? this.#add(reading);
    this.#file.addSeriesOf(collector, number);
    had.add(number);
    return number;
  }

  nameOf(number: number): SeriesName | undefined {
    return this.#names.get(number);
  }

  ofCollector(collector: number): Set<number> {
    const known = this.#had.get(collector);
    if (known) return known;
    const read = new Set(this.#file.seriesOf(collector));
    this.#had.set(collector, read);
    return read;
  }

  #add({ metric, unit, attributes }: Reading): number {
    const name = { metric, unit, attributes };
    const number = this.#file.addSeries(name);
    this.#know(number, name);
    return number;
  }

  #know(number: number, name: SeriesName): void {
    this.#numbers.set(keyOf(name), number);
    this.#names.set(number, name);
  }
}

/** Attributes are JSON and begin with a bracket, so the parts can't run into each other. */
function keyOf({ metric, unit, attributes }: SeriesName): string {
  return `${attributes}${unit}\n${metric}`;
}
