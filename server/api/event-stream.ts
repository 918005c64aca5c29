/**
 * /api/v1/events: what happens, as server-sent events. `hello` first, then `collector` and `link` at once and
 * `stored` gathered for a moment, so that a fast collector costs a reader a few events a second.
 *
 * Each event has an id, `run.number`. Of everything that changes the latest event is kept, up to a
 * cap: a reader that comes back with the id of the last one that it saw is told what has changed
 * since, or `reset` where that is no longer known (the server was started anew, or more has changed
 * than is kept). Events tell where to look; the truth is in the other paths.
 *
 * Invariants: ids ascend in the order in which events are sent, so nothing is missed behind the
 * last one seen; a capped number of readers and of events kept; a reader that doesn't read is
 * closed; all are ended before the server closes (it would wait for them for ever).
 */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { formatTime } from '#protocol/identity.ts';
import type { Events, ServerEvent } from '#server/events.ts';
import { linkAnswer } from '#server/lab/answers.ts';
import { putLatest } from '#server/latest.ts';

export const EVENTS_TYPE = 'text/event-stream; charset=utf-8';

/** Proxies close what is silent for a minute, or for half of one. */
const HEARTBEAT_MS = 15_000;
const GATHER_MS = 250;
/** Of how many collectors and epochs the latest event is kept: about 1 MB as text. */
const KEPT_MAX = 4_096;
/** What a reader may leave unread: all that is kept, twice. */
const UNREAD_BYTES_MAX = 2_097_152;

interface Kept {
  readonly number: number;
  readonly event: ServerEvent;
}

export interface EventStreamOptions {
  readonly events: Events;
  readonly storeId: string;
  readonly wallTime: () => number;
  readonly clientsMax: number;
}

export class EventStream {
  readonly #options: EventStreamOptions;
  /** Names this run of the server: numbers begin anew with each. */
  readonly #run = randomBytes(6).toString('hex');
  readonly #clients = new Set<ServerResponse>();
  /** By what they are about, the oldest first. */
  readonly #kept = new Map<string, Kept>();
  /** Of these, what readers have not been sent yet. */
  readonly #gathered = new Map<string, Kept>();
  readonly #unwatch: () => void;
  readonly #heartbeats: NodeJS.Timeout;
  #flush: NodeJS.Timeout | undefined;
  #lastNumber = 0;
  /** Changes up to this one are no longer all kept. */
  #forgotten = 0;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.#unwatch = options.events.watch((event) => this.#onEvent(event));
    this.#heartbeats = setInterval(() => this.#send(': still here\n\n'), HEARTBEAT_MS);
    this.#heartbeats.unref();
  }

  get full(): boolean {
    return this.#clients.size >= this.#options.clientsMax;
  }

  get clientCount(): number {
    return this.#clients.size;
  }

  /**
   * Takes over a response whose headers are not written yet.
   * @param lastEventId What its reader saw last, where it has been here before.
   */
  add(
    response: ServerResponse,
    headers: Readonly<Record<string, string>>,
    lastEventId: string | undefined,
  ): void {
    this.#sendGathered();
    response.on('error', () => response.destroy());
    response.on('close', () => this.#clients.delete(response));
    response.writeHead(200, { ...headers, 'content-type': EVENTS_TYPE });
    const { storeId, wallTime } = this.#options;
    const hello = { as_of: formatTime(wallTime()), store_id: storeId };
    if (lastEventId === undefined) {
      response.write(`retry: 1000\n${messageOf('hello', hello, this.#id(this.#lastNumber))}`);
    } else {
      response.write(`retry: 1000\n${messageOf('hello', hello)}${this.#missedSince(lastEventId)}`);
    }
    this.#clients.add(response);
  }

  close(): void {
    this.#unwatch();
    clearInterval(this.#heartbeats);
    clearTimeout(this.#flush);
    for (const client of this.#clients) client.end();
    this.#clients.clear();
  }

  #onEvent(event: ServerEvent): void {
    this.#lastNumber += 1;
    const kept = { number: this.#lastNumber, event: this.#latestOf(event) };
    const key = keyOf(event);
    this.#forgotten = putLatest(this.#kept, key, kept, KEPT_MAX)?.number ?? this.#forgotten;
    if (this.#clients.size === 0) return;
    // At the end, for numbers ascend.
    this.#gathered.delete(key);
    this.#gathered.set(key, kept);
    if (event.type === 'stored') this.#flush ??= setTimeout(() => this.#sendGathered(), GATHER_MS);
    else this.#sendGathered();
  }

  /** What was sent once more, behind later frames, is no news of the epoch's end. */
  #latestOf(event: ServerEvent): ServerEvent {
    const known = this.#kept.get(keyOf(event))?.event;
    if (event.type !== 'stored' || known?.type !== 'stored') return event;
    return known.to > event.to ? known : event;
  }

  #missedSince(lastEventId: string): string {
    const [run, number] = lastEventId.split('.');
    const seen = run === this.#run && /^\d{1,15}$/.test(number ?? '') ? Number(number) : -1;
    if (seen < this.#forgotten || seen > this.#lastNumber) {
      return messageOf('reset', {}, this.#id(this.#lastNumber));
    }
    return [...this.#kept.values()]
      .filter((kept) => kept.number > seen)
      .map((kept) => this.#textOf(kept))
      .join('');
  }

  #sendGathered(): void {
    clearTimeout(this.#flush);
    this.#flush = undefined;
    if (this.#gathered.size === 0) return;
    const texts = [...this.#gathered.values()].map((kept) => this.#textOf(kept));
    this.#gathered.clear();
    this.#send(texts.join(''));
  }

  #textOf({ number, event }: Kept): string {
    const id = this.#id(number);
    switch (event.type) {
      case 'collector': {
        const { collector, connected, at } = event;
        return messageOf('collector', { collector, connected, at: formatTime(at) }, id);
      }
      case 'stored': {
        const { collector, epoch, to, capturedAt } = event;
        const data = { collector, epoch, to, captured_at: formatTime(capturedAt) };
        return messageOf('stored', data, id);
      }
      case 'link':
        return messageOf('link', linkAnswer(event.link), id);
      default:
        return event satisfies never;
    }
  }

  #id(number: number): string {
    return `${this.#run}.${number}`;
  }

  #send(text: string): void {
    for (const client of this.#clients) {
      client.write(text);
      if (client.writableLength > UNREAD_BYTES_MAX) client.destroy();
    }
  }
}

function keyOf(event: ServerEvent): string {
  if (event.type === 'link') return 'the link'; // as no collector can be called
  return event.type === 'stored' ? `${event.collector} ${event.epoch}` : event.collector;
}

function messageOf(name: string, data: unknown, id?: string): string {
  const idLine = id === undefined ? '' : `id: ${id}\n`;
  return `${idLine}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
