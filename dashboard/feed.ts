/**
 * What is asked when. Events say that something is new; of that only is asked, each thing at most
 * once a second and never twice at a time. Of the series only the end is asked anew, or from where
 * late frames have come in. Where events don't come all is asked every few seconds; while nobody
 * sees the page nothing is.
 */

import type { Collector, Link } from './answers.ts';
import { metricsOf } from './charts/specs.ts';
import { serverNow, setClock } from './clock.ts';
import { firstOf } from './collector-order.ts';
import { type Held, heldOf, mergeTail } from './columns.ts';
import { EventFeed, type Stored } from './events.ts';
import { isLive, type Window, windowOf } from './range.ts';
import { Repeated } from './repeated.ts';
import {
  ApiError,
  askAudit,
  askCatalogue,
  askCollectors,
  askFrames,
  askGaps,
  askLab,
  askSeries,
} from './requests.ts';
import { isSample, lacksOf } from './sample-errors.ts';
import { type Connection, type Store, shownCollector, shownId } from './state.ts';
import { MINUTE, SECOND, timeOf } from './time.ts';

const POINTS_MAX = 1_000;
const TAIL = 2 * MINUTE;
const POLL_MS = 5 * SECOND;
/** A frame that is further behind than this came late: the server says so of values, too. */
const LATE = 10 * SECOND;
/** Who there is takes the server no time: without an answer for so long it may stand still. */
const PATIENCE_MS = 3 * SECOND;
/** Something is new, and no event has told of it for so long. */
const DEAF_MS = 10 * SECOND;
const LATE_REFRESH_MS = 10 * SECOND;
/** An answer tells until when it is complete: its own time, but for what our clock is wrong by. */
const CHARTING = 2 * SECOND;
/** Slow probes, and those that need two readings, bring their metrics some samples after the first. */
const CATALOGUE_MS = 10 * SECOND;
/** So many of the newest samples tell whether a probe failed once, or goes on failing. */
const SAMPLES = 5;

export class Feed {
  readonly #store: Store;
  readonly #events: EventFeed;
  readonly #collectors = new Repeated(() => this.#tried(() => this.#askCollectors()), SECOND);
  readonly #audit = new Repeated(() => this.#tried(() => this.#askAudit()), SECOND);
  readonly #allAudits = new Repeated(() => this.#tried(() => this.#askAllAudits()), POLL_MS);
  readonly #gaps = new Repeated(() => this.#tried(() => this.#askGaps()), 2 * SECOND);
  readonly #lab = new Repeated(() => this.#tried(() => this.#askLab()), SECOND);
  readonly #series = new Repeated(() => this.#tried(() => this.#askSeries()), SECOND);
  readonly #samples = new Repeated(() => this.#tried(() => this.#askSamples()), POLL_MS);
  readonly #every: readonly Repeated[];
  /** Of each epoch, how far the events have told; frames of one come in order. */
  readonly #told = new Map<string, number>();
  #eventsOpen = false;
  /** When the last event came. */
  #heardAt = 0;
  #hasLab = false;
  /** Whose frames are no samples: they may be large, and say nothing of what they lack. */
  #noSamples: string | undefined;
  #poll: ReturnType<typeof setInterval> | undefined;
  /** From when on the series are to be asked anew; -Infinity for all. */
  #staleFrom = Number.NEGATIVE_INFINITY;
  /** When what is held was asked for, by the server's clock. */
  #askedAt = 0;
  #lateAt = Number.NEGATIVE_INFINITY;
  #wholeAt = 0;
  #metrics:
    | { readonly collector: string; readonly names: readonly string[]; readonly askedAt: number }
    | undefined;

  constructor(store: Store) {
    this.#store = store;
    this.#every = [
      this.#collectors,
      this.#audit,
      this.#allAudits,
      this.#gaps,
      this.#lab,
      this.#series,
      this.#samples,
    ];
    this.#events = new EventFeed({
      onOpen: (anew) => this.#onOpen(anew),
      onLost: () => this.#onLost(),
      onStored: (stored) => this.#onStored(stored),
      onCollector: () => this.#onCollector(),
      onLink: (link) => this.#onLink(link),
    });
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) this.stop();
      else this.start();
    });
  }

  start(): void {
    if (this.#poll !== undefined) return;
    this.#events.open();
    this.#askAll();
    this.#poll = setInterval(() => this.#onPoll(), POLL_MS);
  }

  stop(): void {
    clearInterval(this.#poll);
    this.#poll = undefined;
    this.#eventsOpen = false;
    this.#events.close();
    for (const one of this.#every) one.stop();
  }

  /** Another collector, or another range. */
  onView(): void {
    this.#staleFrom = Number.NEGATIVE_INFINITY;
    for (const one of [this.#series, this.#gaps, this.#audit, this.#samples]) one.now();
  }

  /** The link was changed by this page. */
  onLinkChanged(link: Link): void {
    this.#onLink(link);
  }

  #askAll(): void {
    this.#staleFrom = Number.NEGATIVE_INFINITY;
    for (const one of this.#every) one.now();
  }

  #onPoll(): void {
    const { collectors, audits } = this.#store.state;
    this.#collectors.soon();
    if ((collectors?.length ?? 0) > 1) this.#allAudits.soon();
    const pending = audits.get(shownId(this.#store.state) ?? '')?.totals.pending ?? 0;
    const isLate = pending > 0 || serverNow() - this.#lateAt < 2 * LATE;
    if (isLate && Date.now() - this.#wholeAt >= LATE_REFRESH_MS) {
      this.#staleFrom = Number.NEGATIVE_INFINITY;
      this.#series.soon();
    }
    if (this.#eventsOpen) return;
    for (const one of this.#every) one.soon();
  }

  #onOpen(anew: boolean): void {
    this.#eventsOpen = true;
    this.#heardAt = Date.now();
    if (this.#store.state.connection.kind !== 'live') this.#connection({ kind: 'live' });
    if (anew) this.#askAll();
  }

  #onLost(): void {
    this.#eventsOpen = false;
    if (this.#store.state.connection.kind === 'live') {
      this.#connection({ kind: 'polling', since: Date.now() });
    }
    this.#collectors.soon();
  }

  #onStored({ collector, epoch, captured_at }: Stored): void {
    this.#heardAt = Date.now();
    this.#collectors.soon();
    if (collector !== shownId(this.#store.state)) return;
    const captured = timeOf(captured_at);
    const before = this.#told.get(epoch) ?? captured;
    this.#told.set(epoch, Math.max(captured, before));
    this.#staleFrom = Math.min(this.#staleFrom, captured, before);
    if (serverNow() - Math.min(captured, before + SECOND) > LATE) this.#lateAt = serverNow();
    for (const one of [this.#series, this.#audit, this.#samples]) one.soon();
  }

  #onCollector(): void {
    for (const one of [this.#collectors, this.#audit, this.#allAudits]) one.soon();
    if (this.#hasLab) this.#lab.soon();
  }

  #onLink(link: Link): void {
    this.#store.setLink(link);
    this.#lab.soon();
  }

  /** A stream can be dead without its end having come: a proxy may hold it, or nobody sent one. */
  #reopen(): void {
    this.#onLost();
    this.#events.open();
  }

  #connection(connection: Connection): void {
    this.#store.set({ connection });
  }

  /** An answer or none: both say whether the server is there. */
  async #tried(asking: () => Promise<void>): Promise<void> {
    try {
      await asking();
      const { kind } = this.#store.state.connection;
      if (kind === 'away') this.#reopen();
      if (kind === 'live' || kind === 'polling') return;
      this.#connection(
        this.#eventsOpen ? { kind: 'live' } : { kind: 'polling', since: Date.now() },
      );
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // It is there, and does not take this question: what it has said stays true.
      if (error.status === 400) return this.#store.set({ seriesError: error.message });
      this.#away(error.message, Date.now());
      if (this.#poll !== undefined) this.#collectors.soon();
    }
  }

  #away(reason: string, since: number): void {
    const { connection } = this.#store.state;
    this.#connection({
      kind: 'away',
      since: connection.kind === 'away' ? connection.since : since,
      reason,
    });
  }

  async #askCollectors(): Promise<void> {
    const askedAt = Date.now();
    const impatience = setTimeout(
      () => this.#away('the server does not answer', askedAt),
      PATIENCE_MS,
    );
    const answer = await askCollectors().finally(() => clearTimeout(impatience));
    setClock(timeOf(answer.as_of));
    const before = shownCollector(this.#store.state);
    const { collectors } = answer;
    this.#store.set({ asOf: timeOf(answer.as_of), collectors, first: this.#firstOf(collectors) });
    const now = shownCollector(this.#store.state);
    if (now?.collector !== before?.collector) return this.onView();
    const isNews = now?.newest?.seq !== before?.newest?.seq;
    if (isNews && this.#eventsOpen && Date.now() - this.#heardAt > DEAF_MS) this.#reopen();
  }

  /** The same as before, as long as there is such a one. */
  #firstOf(collectors: readonly Collector[]): string | undefined {
    const { first } = this.#store.state;
    return collectors.some(({ collector }) => collector === first) ? first : firstOf(collectors);
  }

  async #askAudit(): Promise<void> {
    const id = this.#knownId();
    if (id === undefined) return;
    const { collectors } = await askAudit(id);
    const { audits } = this.#store.state;
    const [now, before] = [collectors[0], audits.get(id)];
    if (now === undefined) return;
    this.#store.set({ audits: new Map(audits).set(id, now) });
    const { stored: _, ...others } = now.totals;
    const { stored: __, ...othersBefore } = before?.totals ?? { stored: 0 };
    if (JSON.stringify(others) !== JSON.stringify(othersBefore)) this.#gaps.soon();
  }

  async #askAllAudits(): Promise<void> {
    const { collectors } = await askAudit();
    this.#store.set({ audits: new Map(collectors.map((audit) => [audit.collector, audit])) });
  }

  async #askGaps(): Promise<void> {
    const collector = this.#knownId();
    if (collector === undefined) return;
    const gaps = await orUndefined(askGaps(collector, this.#window()));
    if (this.#knownId() === collector) this.#store.set({ gaps });
  }

  async #askSamples(): Promise<void> {
    const { collector, newest } = shownCollector(this.#store.state) ?? {};
    if (collector === undefined || newest == null || collector === this.#noSamples) return;
    const { frames } = await askFrames(collector, newest.epoch, SAMPLES);
    if (this.#knownId() !== collector) return;
    const payloads = frames.map(({ payload }) => payload);
    this.#noSamples = payloads.some(isSample) ? undefined : collector;
    this.#store.set({ lacks: lacksOf(payloads) });
  }

  async #askLab(): Promise<void> {
    const lab = await askLab();
    this.#hasLab = lab !== null;
    this.#store.set({ lab });
  }

  async #askSeries(): Promise<void> {
    const { view } = this.#store.state;
    const collector = this.#knownId();
    if (collector === undefined) return;
    const metrics = await this.#metricsOf(collector);
    if (metrics === undefined) return;
    if (metrics.length === 0) {
      this.#hold(collector, {
        ...this.#window(),
        width: SECOND,
        completeTo: undefined,
        columns: [],
      });
    } else {
      const fits = await this.#askTail(collector, metrics);
      if (!fits) await this.#askWhole(collector, metrics);
    }
    // The view has changed meanwhile: this was the answer to another question.
    if (view !== this.#store.state.view) return this.onView();
    const { completeTo = Number.NEGATIVE_INFINITY } = this.#store.state.held?.data ?? {};
    if (metrics.length > 0 && completeTo >= this.#askedAt - CHARTING) return;
    // The server is still charting what it has stored, and that may lie anywhere.
    this.#staleFrom = Number.NEGATIVE_INFINITY;
    this.#series.soon();
  }

  /** Answers whether that was enough. */
  async #askTail(collector: string, metrics: readonly string[]): Promise<boolean> {
    const { held, view } = this.#store.state;
    if (held?.collector !== collector || this.#staleFrom === Number.NEGATIVE_INFINITY) return false;
    const { from: windowFrom, to: windowTo } = this.#window();
    // What is new is not in what is shown.
    if (!isLive(view.range) && this.#staleFrom > windowTo) return true;
    const { width, from, to } = held.data;
    const first = Math.max(from, Math.min(this.#staleFrom, to, windowTo - TAIL));
    const tail = {
      from: Math.floor(first / width) * width,
      to: Math.max(Math.ceil(windowTo / width) * width, to),
    };
    this.#staleFrom = Number.POSITIVE_INFINITY;
    const points = Math.round((tail.to - tail.from) / width);
    const answer = heldOf(await this.#orStale(askSeries(collector, metrics, tail, points)));
    if (view !== this.#store.state.view) return true;
    const data = mergeTail(held.data, answer, windowFrom - width);
    if (data === undefined) return false;
    this.#store.set({ held: { collector, range: view.range, data } });
    return true;
  }

  async #askWhole(collector: string, metrics: readonly string[]): Promise<void> {
    const { view } = this.#store.state;
    this.#staleFrom = Number.POSITIVE_INFINITY;
    this.#wholeAt = Date.now();
    const answer = await this.#orStale(askSeries(collector, metrics, this.#window(), POINTS_MAX));
    if (view !== this.#store.state.view) return;
    this.#hold(collector, heldOf(answer));
  }

  /** The answer for the whole view, be there nothing in it. */
  #hold(collector: string, data: Held): void {
    const { range } = this.#store.state.view;
    this.#store.set({ held: { collector, range, data }, seriesError: undefined });
  }

  /** What could not be had is still to be asked. */
  async #orStale<T>(asking: Promise<T>): Promise<T> {
    this.#askedAt = serverNow();
    try {
      return await asking;
    } catch (error) {
      this.#staleFrom = Number.NEGATIVE_INFINITY;
      throw error;
    }
  }

  async #metricsOf(collector: string): Promise<readonly string[] | undefined> {
    const known = this.#metrics;
    const mine = known?.collector === collector ? known : undefined;
    const isFresh = mine !== undefined && Date.now() - mine.askedAt < CATALOGUE_MS;
    if (isFresh && this.#staleFrom !== Number.NEGATIVE_INFINITY) return mine.names;
    const catalogue = await orUndefined(askCatalogue(collector));
    if (catalogue === undefined) {
      this.#store.set({ seriesError: 'this server keeps no series: HOLDFAST_SERIES is off' });
      return undefined;
    }
    const one = catalogue.collectors.find((each) => each.collector === collector);
    const names = metricsOf(one?.series.map(({ metric }) => metric) ?? []);
    if (names.join() !== mine?.names.join()) this.#staleFrom = Number.NEGATIVE_INFINITY;
    this.#metrics = { collector, names, askedAt: Date.now() };
    const first = one?.first_captured_at;
    this.#store.set({ firstCapturedAt: typeof first === 'string' ? timeOf(first) : undefined });
    return names;
  }

  /** Of whom there is nothing, nothing is asked: the address may name anybody. */
  #knownId(): string | undefined {
    return shownCollector(this.#store.state)?.collector;
  }

  #window(): Window {
    const { view, firstCapturedAt } = this.#store.state;
    return windowOf(view.range, serverNow(), firstCapturedAt);
  }
}

/** What this server does not have is undefined. */
async function orUndefined<T>(asking: Promise<T>): Promise<T | undefined> {
  try {
    return await asking;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}
