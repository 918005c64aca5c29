/**
 * The link between collector and server: cut it, slow it, restore it, and tell how it stands. The
 * only file that speaks Toxiproxy's API, and it trusts no answer: every change is read back and
 * compared, every call has a time limit.
 *
 * Toxiproxy names directions from its client's side: upstream is towards the server (frames),
 * downstream towards the collector (acks).
 */
import { z } from 'zod';
import { EXIT, LabError } from '#lab/errors.ts';

const PROXY = 'link';
const CALL_TIMEOUT_MS = 5_000;
const STREAMS = ['upstream', 'downstream'] as const;

const toxicAnswer = z.object({
  name: z.string(),
  type: z.string(),
  stream: z.enum(STREAMS),
  toxicity: z.number(),
  attributes: z.record(z.string(), z.unknown()),
});

const proxyAnswer = z.object({ enabled: z.boolean(), toxics: z.array(toxicAnswer) });

type Toxic = z.infer<typeof toxicAnswer>;

/** How slow: added milliseconds and kilobytes a second, in each direction. */
export interface Slowness {
  latencyMs: number;
  rateKbps: number;
}

/** How the link stands: `toxics` in words, one each; empty on a link without any. */
export interface LinkState {
  kind: 'whole' | 'slow' | 'cut';
  toxics: string[];
}

export class Link {
  readonly #url: string;

  /** @param port where Toxiproxy's API is published on 127.0.0.1. */
  constructor(port: number) {
    this.#url = `http://127.0.0.1:${port}`;
  }

  /** @throws LabError `link_failed` when Toxiproxy does not answer, or has no such link. */
  async read(): Promise<LinkState> {
    const { enabled, toxics } = await this.#proxy();
    const kind = enabled ? (toxics.length === 0 ? 'whole' : 'slow') : 'cut';
    return { kind, toxics: toxics.map(describeToxic) };
  }

  /** Refuses every connection, and ends those there are. */
  async cut(): Promise<void> {
    await this.#enable(false);
  }

  /** Replaces whatever slowed the link before, and opens it when it was cut. */
  slow(slowness: Slowness): Promise<LinkState> {
    return this.#hamper(toxicsOf(slowness));
  }

  /** The same, towards the server alone and by rate alone. */
  thin(rateKbps: number): Promise<LinkState> {
    return this.#hamper([rateToxic('upstream', rateKbps)]);
  }

  /** From now on every connection ends after so many bytes in either direction. */
  limit(bytes: number): Promise<LinkState> {
    return this.#hamper(STREAMS.map((stream) => limitToxic(stream, bytes)));
  }

  async #hamper(wanted: readonly Toxic[]): Promise<LinkState> {
    await this.#removeToxics();
    for (const toxic of wanted) {
      await this.#call('POST', `/proxies/${PROXY}/toxics`, toxic);
    }
    await this.#enable(true);
    const { toxics } = await this.#proxy();
    const missing = wanted.filter((toxic) => !toxics.some((is) => same(is, toxic)));
    if (missing.length > 0 || toxics.length !== wanted.length) {
      throw this.#failure('it did not take on all that should slow it', [
        `it has: ${toxics.map(describeToxic).join('; ') || 'nothing'}`,
      ]);
    }
    return this.read();
  }

  /** Makes it whole: open, and nothing that slows it. */
  async restore(): Promise<void> {
    await this.#removeToxics();
    await this.#enable(true);
    const { toxics } = await this.#proxy();
    if (toxics.length > 0) {
      throw this.#failure('something still slows it', toxics.map(describeToxic));
    }
  }

  async #enable(enabled: boolean): Promise<void> {
    await this.#call('PATCH', `/proxies/${PROXY}`, { enabled });
    if ((await this.#proxy()).enabled !== enabled) {
      throw this.#failure(enabled ? 'it stays cut' : 'it stays open');
    }
  }

  async #removeToxics(): Promise<void> {
    for (const { name } of (await this.#proxy()).toxics) {
      await this.#call('DELETE', `/proxies/${PROXY}/toxics/${encodeURIComponent(name)}`);
    }
  }

  async #proxy(): Promise<z.infer<typeof proxyAnswer>> {
    const text = await this.#call('GET', `/proxies/${PROXY}`);
    const parsed = proxyAnswer.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    throw this.#failure('its answer is not that of Toxiproxy 2', [z.prettifyError(parsed.error)]);
  }

  async #call(method: string, path: string, body?: unknown): Promise<string> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${this.#url}${path}`, {
        method,
        signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      text = await response.text();
    } catch (cause) {
      throw this.#failure(`Toxiproxy does not answer at ${this.#url}`, [], cause);
    }
    if (response.ok) return text;
    throw this.#failure(`${method} ${path} was answered ${response.status}`, [text.trim()]);
  }

  #failure(message: string, details: readonly string[] = [], cause?: unknown): LabError {
    return new LabError({
      code: 'link_failed',
      exitCode: EXIT.failed,
      message: `the link: ${message}`,
      details,
      next: ['Is the lab running? make status', 'If not: make up'],
      cause,
    });
  }
}

function toxicsOf({ latencyMs, rateKbps }: Slowness): Toxic[] {
  return STREAMS.flatMap((stream): Toxic[] => [
    {
      name: `latency_${stream}`,
      type: 'latency',
      stream,
      toxicity: 1,
      attributes: { latency: latencyMs, jitter: 0 },
    },
    rateToxic(stream, rateKbps),
  ]);
}

function rateToxic(stream: Toxic['stream'], rateKbps: number): Toxic {
  const attributes = { rate: rateKbps };
  return { name: `rate_${stream}`, type: 'bandwidth', stream, toxicity: 1, attributes };
}

function limitToxic(stream: Toxic['stream'], bytes: number): Toxic {
  return {
    name: `limit_${stream}`,
    type: 'limit_data',
    stream,
    toxicity: 1,
    attributes: { bytes },
  };
}

function same(one: Toxic, other: Toxic): boolean {
  return (
    one.type === other.type &&
    one.stream === other.stream &&
    one.toxicity === other.toxicity &&
    Object.entries(other.attributes).every(([name, value]) => one.attributes[name] === value)
  );
}

function describeToxic({ type, stream, toxicity, attributes }: Toxic): string {
  const towards = stream === 'upstream' ? 'to the server' : 'to the collector';
  const share = toxicity === 1 ? '' : ` on ${toxicity * 100} % of connections`;
  if (type === 'latency') return `+${attributes.latency} ms ${towards}${share}`;
  if (type === 'bandwidth') return `${attributes.rate} kB/s ${towards}${share}`;
  return `${type} ${JSON.stringify(attributes)} ${towards}${share}`;
}
