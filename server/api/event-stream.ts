/**
 * /api/v1/events: what happens, as server-sent events. `hello` first, then `collector` at once and
 * `stored` gathered for a moment, so that a fast collector costs a reader a few events a second.
 *
 * Invariants: a capped number of readers; a reader that doesn't read is closed; all are ended
 * before the server closes (it would wait for them for ever).
 */
import type { ServerResponse } from 'node:http';
import { formatTime } from '#protocol/identity.ts';
import type { Events, ServerEvent } from '#server/events.ts';

const COMMENT_MS = 15_000;
const GATHER_MS = 250;
/** What a reader may leave unread: minutes of events. */
const UNREAD_BYTES_MAX = 262_144;

type StoredEvent = Extract<ServerEvent, { type: 'stored' }>;

export interface EventStreamOptions {
  readonly events: Events;
  readonly storeId: string;
  readonly wallTime: () => number;
  readonly clientsMax: number;
}

export class EventStream {
  readonly #options: EventStreamOptions;
  readonly #clients = new Set<ServerResponse>();
  readonly #gathered = new Map<string, StoredEvent>();
  readonly #unwatch: () => void;
  readonly #comments: NodeJS.Timeout;
  #flush: NodeJS.Timeout | undefined;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.#unwatch = options.events.watch((event) => this.#onEvent(event));
    this.#comments = setInterval(() => this.#send(': still here\n\n'), COMMENT_MS);
    this.#comments.unref();
  }

  get full(): boolean {
    return this.#clients.size >= this.#options.clientsMax;
  }

  /** Takes over a response whose headers are not written yet. */
  add(response: ServerResponse, headers: Readonly<Record<string, string>>): void {
    const { storeId, wallTime } = this.#options;
    response.on('error', () => response.destroy());
    response.on('close', () => this.#clients.delete(response));
    response.writeHead(200, { ...headers, 'content-type': 'text/event-stream; charset=utf-8' });
    const hello = { as_of: formatTime(wallTime()), store_id: storeId };
    response.write(`retry: 1000\n${messageOf('hello', hello)}`);
    this.#clients.add(response);
  }

  close(): void {
    this.#unwatch();
    clearInterval(this.#comments);
    clearTimeout(this.#flush);
    for (const client of this.#clients) client.end();
    this.#clients.clear();
  }

  #onEvent(event: ServerEvent): void {
    if (this.#clients.size === 0) return;
    if (event.type === 'collector') {
      const { collector, connected, at } = event;
      return this.#send(messageOf('collector', { collector, connected, at: formatTime(at) }));
    }
    const key = `${event.collector} ${event.epoch}`;
    const known = this.#gathered.get(key);
    this.#gathered.set(key, known && known.to > event.to ? known : event);
    this.#flush ??= setTimeout(() => this.#sendGathered(), GATHER_MS);
  }

  #sendGathered(): void {
    this.#flush = undefined;
    for (const { collector, epoch, to, capturedAt } of this.#gathered.values()) {
      const captured_at = formatTime(capturedAt);
      this.#send(messageOf('stored', { collector, epoch, to, captured_at }));
    }
    this.#gathered.clear();
  }

  #send(text: string): void {
    for (const client of this.#clients) {
      client.write(text);
      if (client.writableLength > UNREAD_BYTES_MAX) client.destroy();
    }
  }
}

function messageOf(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
