/**
 * The server's stream of events, for as long as somebody looks. Reconnects by itself; where events
 * don't come it says so. What has happened is told as "something of this is new"; what it is, the
 * API says.
 */
import type { Link } from './answers.ts';

export interface EventHandlers {
  /** Connected; `anew` where what happened meanwhile is not known. */
  readonly onOpen: (anew: boolean) => void;
  readonly onLost: () => void;
  readonly onStored: (stored: Stored) => void;
  readonly onCollector: (collector: string) => void;
  readonly onLink: (link: Link) => void;
}

export interface Stored {
  readonly collector: string;
  readonly epoch: string;
  readonly captured_at: string;
}

/** After a refusal the browser does not dial again: then we do. */
const REDIAL_MS = 2_000;

export class EventFeed {
  readonly #handlers: EventHandlers;
  #source: EventSource | undefined;
  #redial: ReturnType<typeof setTimeout> | undefined;
  #seenBefore = false;

  constructor(handlers: EventHandlers) {
    this.#handlers = handlers;
  }

  open(): void {
    this.close();
    const source = new EventSource('/api/v1/events');
    this.#source = source;
    const { onOpen, onStored, onCollector, onLink } = this.#handlers;
    const on = <T>(name: string, tell: (data: T) => void) =>
      source.addEventListener(name, ({ data }: MessageEvent<string>) =>
        tell(JSON.parse(data) as T),
      );
    on('hello', () => {
      onOpen(!this.#seenBefore);
      this.#seenBefore = true;
    });
    on('reset', () => onOpen(true));
    on<Stored>('stored', onStored);
    on<{ collector: string }>('collector', ({ collector }) => onCollector(collector));
    on<Link>('link', onLink);
    source.addEventListener('error', () => {
      this.#handlers.onLost();
      if (source.readyState === EventSource.CLOSED) this.#redialLater();
    });
  }

  close(): void {
    clearTimeout(this.#redial);
    this.#source?.close();
    this.#source = undefined;
    this.#seenBefore = false;
  }

  #redialLater(): void {
    this.#seenBefore = false;
    clearTimeout(this.#redial);
    this.#redial = setTimeout(() => this.open(), REDIAL_MS);
  }
}
