/**
 * The link: a proxy of a real Toxiproxy, and what can be done to it. Every order is read back and
 * compared, because Toxiproxy takes an attribute that it doesn't know without a word, and has a
 * time limit, because its client has none.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Proxy as ProxyOfClient, Toxiproxy } from 'toxiproxy-node-client';
import { fetchJson } from './wait.ts';

const API_MS_MAX = 10_000;

export type Direction = 'upstream' | 'downstream';

/** Upstream is towards the server, downstream towards the collector. */
export interface Toxic {
  readonly type: 'latency' | 'bandwidth' | 'timeout' | 'slicer' | 'limit_data' | 'reset_peer';
  readonly stream: Direction;
  readonly attributes: Readonly<Record<string, number>>;
}

interface LinkState {
  readonly enabled: boolean;
  readonly toxics: readonly (Toxic & { readonly name: string; readonly toxicity: number })[];
}

export class Link {
  readonly #url: string;
  #proxy: ProxyOfClient;

  static async open(url: string, { listen, upstream }: { listen: string; upstream: string }) {
    const proxy = await inTime(
      'make the link',
      new Toxiproxy(url).createProxy({
        name: 'link',
        listen,
        upstream,
      }),
    );
    return new Link(url, proxy);
  }

  private constructor(url: string, proxy: ProxyOfClient) {
    this.#url = url;
    this.#proxy = proxy;
  }

  /** What Toxiproxy says of all its proxies. */
  state(): Promise<Record<string, LinkState>> {
    return fetchJson(`${this.#url}/proxies`);
  }

  async cut(): Promise<void> {
    await this.#enable(false);
  }

  async restore(): Promise<void> {
    await this.#enable(true);
  }

  async add(toxics: readonly Toxic[]): Promise<void> {
    for (const toxic of toxics) {
      const name = nameOf(toxic);
      await inTime(`add ${name}`, this.#proxy.addToxic({ ...toxic, name, toxicity: 1 }));
    }
    const there = (await this.#read()).toxics;
    for (const toxic of toxics) {
      const wanted = { ...toxic, name: nameOf(toxic), toxicity: 1 };
      if (there.some((one) => isDeepStrictEqual(one, wanted))) continue;
      throw new Error(`Toxiproxy did not take ${JSON.stringify(wanted)}: ${JSON.stringify(there)}`);
    }
  }

  async remove(toxics: readonly Toxic[]): Promise<void> {
    for (const toxic of toxics) {
      const name = nameOf(toxic);
      const found = await inTime(`find ${name}`, this.#proxy.getToxic(name));
      await inTime(`remove ${name}`, found.remove());
    }
    const gone = new Set(toxics.map(nameOf));
    const left = (await this.#read()).toxics.filter(({ name }) => gone.has(name));
    if (left.length > 0) throw new Error(`Toxiproxy kept ${JSON.stringify(left)}`);
  }

  async #enable(enabled: boolean): Promise<void> {
    const { listen, upstream } = this.#proxy;
    const order = `set enabled to ${enabled}`;
    this.#proxy = await inTime(order, this.#proxy.update({ enabled, listen, upstream }));
    if ((await this.#read()).enabled !== enabled) throw new Error(`Toxiproxy did not ${order}`);
  }

  async #read(): Promise<LinkState> {
    const { link } = await this.state();
    if (link === undefined) throw new Error('Toxiproxy has forgotten the link: did it restart?');
    return link;
  }
}

function nameOf({ type, stream }: Toxic): string {
  return `${type}_${stream}`;
}

async function inTime<T>(what: string, order: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new Error(`Toxiproxy did not ${what} within ${API_MS_MAX} ms`);
    timer = setTimeout(() => reject(error), API_MS_MAX);
  });
  try {
    return await Promise.race([order, late]);
  } catch (error) {
    throw new Error(`Toxiproxy could not ${what}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
