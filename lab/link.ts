/**
 * The link between collector and server: cut it, slow it, restore it, tell how it stands, and put
 * any toxic on it. The only file that speaks Toxiproxy's API. Orders go by its own client, which
 * has no time limit, tells no reason and drops toxics from what it answers: so each has a limit
 * here, and what is there is read past it. No answer is trusted: every change is read back and
 * compared.
 *
 * One `Link` gives its orders one after the other and remembers what it has put in force, for
 * Toxiproxy forgets it when it ends (`putBack`). Orders of different ones are not kept apart.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Proxy as ProxyOfClient, Toxic as ToxicOfClient, Toxiproxy } from 'toxiproxy-node-client';
import { z } from 'zod';
import { EXIT, LabError } from '#lab/errors.ts';
import {
  describeToxic,
  isSameToxic,
  STREAMS,
  type Toxic,
  type ToxicOrder,
  toxicAnswer,
  toxicOf,
} from '#lab/toxics.ts';

const PROXY = 'link';
const CALL_TIMEOUT_MS = 5_000;
/** Its version Toxiproxy tells without waiting for anything. */
const LIFE_TIMEOUT_MS = 2_000;
/** A proxy whose deletion was not answered in time is gone within this, or stays. */
const DELETED_MS_MAX = 30_000;
const DELETED_POLL_MS = 100;
/**
 * The toxics that leave connections as they are. What the others have ended is not always gone from
 * Toxiproxy, which counts toxics off wrongly then, and panics over the next one that is added
 * (measured: `timeout` removed before a `slow_close` behind it). So those go with their proxy.
 */
const CAN_BE_TAKEN_OFF: ReadonlySet<string> = new Set(['latency', 'bandwidth', 'slicer']);
/** The name of what ends a call that takes too long, as AbortSignal has it. */
const LATE = 'TimeoutError';

const proxyAnswer = z.object({
  listen: z.string(),
  upstream: z.string(),
  enabled: z.boolean(),
  toxics: z.array(toxicAnswer),
});

type ProxyAnswer = z.infer<typeof proxyAnswer>;

/** How slow: added milliseconds and kilobytes a second, in each direction. */
export interface Slowness {
  latencyMs: number;
  rateKbps: number;
}

/** What may be asked for where people ask: by `make slow`, and on the dashboard. */
export const SLOWNESS = {
  latencyMs: { min: 0, max: 60_000, usual: 250 },
  rateKbps: { min: 1, max: 1_000_000, usual: 64 },
} as const;

/** How the link stands: `toxics` in words, one each; empty on a link without any. */
export interface LinkState {
  kind: 'whole' | 'slow' | 'cut';
  toxics: string[];
}

/** "slow (…)" */
export function describeLink({ kind, toxics }: LinkState): string {
  return toxics.length === 0 ? kind : `${kind} (${toxics.join(', ')})`;
}

export class Link {
  readonly #url: string;
  readonly #client: Toxiproxy;
  /** Where a whole link leads to; learned before it is first led elsewhere, if nobody said so. */
  #exit: string | undefined;
  readonly #entrance: string | undefined;
  /** The order before. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Orders that were given, and those of them that came to their end. */
  #given = 0;
  #done = 0;
  /** The last answer: what the proxy is made of again where Toxiproxy is stuck with it. */
  #known: ProxyAnswer | undefined;

  // What this link has put in force.
  readonly #added = new Map<string, Toxic>();
  readonly #holders = new Set<unknown>();
  #diverted: string | undefined;

  /**
   * @param api Toxiproxy's API: its URL, or the port on 127.0.0.1 that it is published on.
   * @param exit host:port that a whole link leads to; what Toxiproxy has, when left out.
   * @param entrance host:port that it listens on, as Toxiproxy takes it: to make a link again that
   *   was taken away and not made anew. Learned from the first answer, when left out.
   */
  constructor(api: string | number, exit?: string, entrance?: string) {
    this.#url = typeof api === 'string' ? api : `http://127.0.0.1:${api}`;
    this.#exit = exit;
    this.#entrance = entrance;
    this.#client = new Toxiproxy(this.#url);
  }

  /** @throws LabError `link_failed` when Toxiproxy does not answer, or has no such link. */
  async read(): Promise<LinkState> {
    const { enabled, toxics, upstream } = await this.#proxy();
    const strange = this.#exit !== undefined && upstream !== this.#exit;
    const words = [...toxics.map(describeToxic), ...(strange ? [`led to ${upstream}`] : [])];
    const kind = enabled ? (words.length === 0 ? 'whole' : 'slow') : 'cut';
    return { kind, toxics: words };
  }

  /**
   * What somebody else has changed since this link's last order, in words; null when it is as it was
   * ordered, and while an order is under way. Rejects as `read` does.
   */
  async strays(): Promise<string | null> {
    const given = this.#given;
    if (given !== this.#done) return null;
    const { enabled, upstream, toxics } = await this.#proxy();
    if (given !== this.#given) return null;
    const wanted = [...this.#added.values()];
    const exit = this.#diverted ?? this.#exit ?? upstream;
    const isIn = (list: readonly Toxic[]) => (one: Toxic) =>
      list.some((other) => other.name === one.name && isSameToxic(other, one));
    const lacks = wanted.filter((one) => !isIn(toxics)(one));
    const strange = toxics.filter((one) => !isIn(wanted)(one));
    const words = [
      ...(enabled === (this.#holders.size === 0) ? [] : [enabled ? 'opened' : 'cut']),
      ...(upstream === exit ? [] : [`led to ${upstream}`]),
      ...lacks.map((toxic) => `rid of ${describeToxic(toxic)}`),
      ...strange.map((toxic) => `given ${describeToxic(toxic)}`),
    ];
    return words.length === 0 ? null : words.join(', ');
  }

  /** Toxiproxy's own account of all its proxies, as it is answered. */
  async account(): Promise<unknown> {
    return JSON.parse((await this.#get('/proxies')) ?? 'null');
  }

  /** Refuses every connection, and ends those there are, until this holder opens it again. */
  cut(holder: unknown = this): Promise<void> {
    return this.#inTurn(async () => {
      this.#holders.add(holder);
      await this.#update({ enabled: false });
    });
  }

  /** Opens it, unless another holder has it cut. */
  open(holder: unknown = this): Promise<void> {
    return this.#inTurn(async () => {
      this.#holders.delete(holder);
      await this.#update({ enabled: this.#holders.size === 0 });
    });
  }

  /** Replaces whatever slowed the link before, and opens it when it was cut. */
  slow({ latencyMs, rateKbps }: Slowness): Promise<LinkState> {
    return this.#replace(
      STREAMS.flatMap((stream): ToxicOrder[] => [
        { type: 'latency', stream, attributes: { latency: latencyMs, jitter: 0 } },
        { type: 'bandwidth', stream, attributes: { rate: rateKbps } },
      ]),
    );
  }

  /** From now on every connection ends after so many bytes in either direction. */
  limit(bytes: number): Promise<LinkState> {
    return this.#replace(
      STREAMS.map((stream): ToxicOrder => ({ type: 'limit_data', stream, attributes: { bytes } })),
    );
  }

  /** Makes it whole: open, leading where it should, and nothing that slows it; others' too. */
  restore(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#clear();
      await this.#update({ enabled: true, upstream: this.#exit });
      const { toxics } = await this.#proxy();
      if (toxics.length === 0) return;
      throw this.#failure('something still slows it', toxics.map(describeToxic));
    });
  }

  /**
   * Adds to what is there, all of them or none. Answers the names for `remove`.
   * @throws TypeError for attributes that would end Toxiproxy, before any is added.
   */
  add(orders: readonly ToxicOrder[]): Promise<string[]> {
    return this.#inTurn(() => this.#add(orders));
  }

  /**
   * Removes by name; what is gone already is no failure. Ends the link's connections where the toxic
   * itself ends some, and where Toxiproxy hangs over it because a receiver stands still.
   */
  remove(names: readonly string[]): Promise<void> {
    return this.#inTurn(() => this.#remove(names));
  }

  /** Leads to another host:port, as Toxiproxy dials it, which ends the link's connections. */
  divert(upstream: string): Promise<void> {
    return this.#inTurn(async () => {
      this.#exit ??= (await this.#proxy()).upstream;
      this.#diverted = upstream;
      await this.#update({ upstream });
    });
  }

  /** Leads where it should again, which ends the link's connections. */
  rejoin(): Promise<void> {
    return this.#inTurn(async () => {
      this.#diverted = undefined;
      await this.#update({ upstream: this.#exit });
    });
  }

  /** Puts in force again what this link had put in force, after Toxiproxy has been started anew. */
  putBack(): Promise<void> {
    return this.#inTurn(async () => {
      const { toxics } = await this.#standing();
      const there = new Set(toxics.map(({ name }) => name));
      await this.#post([...this.#added.values()].filter(({ name }) => !there.has(name)));
      const enabled = this.#holders.size === 0;
      await this.#update({ enabled, upstream: this.#diverted ?? this.#exit });
    });
  }

  #replace(orders: readonly ToxicOrder[]): Promise<LinkState> {
    return this.#inTurn(async () => {
      await this.#clear();
      await this.#add(orders);
      await this.#update({ enabled: true, upstream: this.#exit });
      return this.read();
    });
  }

  async #clear(): Promise<void> {
    this.#added.clear();
    this.#holders.clear();
    this.#diverted = undefined;
    const { toxics } = await this.#standing().catch((error) => this.#unstick(error));
    await this.#remove(toxics.map(({ name }) => name));
  }

  async #add(orders: readonly ToxicOrder[]): Promise<string[]> {
    const taken = new Set((await this.#proxy()).toxics.map(({ name }) => name));
    const wanted = orders.map((order) => {
      const toxic = toxicOf(order, taken);
      taken.add(toxic.name);
      return toxic;
    });
    const names = wanted.map(({ name }) => name);
    for (const toxic of wanted) this.#added.set(toxic.name, toxic);
    try {
      await this.#post(wanted);
    } catch (error) {
      await this.#remove(names).catch(() => undefined); // the first failure tells more
      throw error;
    }
    return names;
  }

  async #post(wanted: readonly Toxic[]): Promise<void> {
    const proxy = this.#ofClient(await this.#proxy());
    for (const toxic of wanted) {
      type Body = Parameters<typeof proxy.addToxic>[0];
      await this.#order(`take on ${describeToxic(toxic)}`, proxy.addToxic(toxic as Body));
    }
    const { toxics } = await this.#proxy();
    const lacks = wanted.filter(
      (toxic) => !toxics.some((is) => is.name === toxic.name && isSameToxic(is, toxic)),
    );
    if (lacks.length === 0) return;
    throw this.#failure('it did not take on all that should slow it', [
      `it lacks: ${lacks.map(describeToxic).join('; ')}`,
      `it has: ${toxics.map(describeToxic).join('; ') || 'nothing'}`,
    ]);
  }

  async #remove(names: readonly string[]): Promise<void> {
    for (const name of names) this.#added.delete(name);
    const before = await this.#standing();
    const going = before.toxics.filter(({ name }) => names.includes(name));
    const staying = before.toxics.filter((toxic) => !going.includes(toxic));
    if (going.some(({ type }) => !CAN_BE_TAKEN_OFF.has(type))) {
      await this.#makeAnew({ ...before, toxics: staying });
    } else {
      await this.#takeOff(going, before).catch(async (error) => {
        if (!isLate(error) || !(await this.#lives())) throw error;
        await this.#makeAnew({ ...before, toxics: staying });
      });
    }
    const left = (await this.#proxy()).toxics.filter(({ name }) => names.includes(name));
    if (left.length > 0) throw this.#failure('something still slows it', left.map(describeToxic));
  }

  /** From living connections, which go on. */
  async #takeOff(toxics: readonly Toxic[], proxy: ProxyAnswer): Promise<void> {
    const path = this.#ofClient(proxy).getPath();
    for (const toxic of toxics) {
      type Body = ConstructorParameters<typeof ToxicOfClient>[2];
      // The client puts a name into the address as it is.
      const body = { ...toxic, name: encodeURIComponent(toxic.name) } as Body;
      const going = new ToxicOfClient(this.#client.api, path, body);
      await this.#order(`let go of ${describeToxic(toxic)}`, going.remove());
    }
  }

  async #update(change: { enabled?: boolean; upstream?: string | undefined }): Promise<void> {
    const before = await this.#standing();
    const { enabled = before.enabled, upstream = before.upstream } = change;
    const wanted = { enabled, upstream, listen: before.listen };
    await this.#order(
      enabled ? `open, towards ${upstream}` : 'close',
      this.#ofClient(before).update(wanted),
    );
    const after = await this.#proxy();
    if (after.enabled !== enabled) throw this.#failure(enabled ? 'it stays cut' : 'it stays open');
    if (after.upstream !== upstream) throw this.#failure(`it leads to ${after.upstream}`);
  }

  /** Deleting the whole proxy takes no lock that a hanging toxic holds (measured). */
  async #makeAnew(proxy: ProxyAnswer): Promise<ProxyAnswer> {
    const { listen, upstream, enabled, toxics } = proxy;
    await this.#order('be deleted', this.#ofClient(proxy).remove()).catch(async (error) => {
      // A machine that is busy may carry it out after we have given up waiting for the answer.
      if (!isLate(error) || !(await this.#goes())) throw error;
    });
    return this.#make({ listen, upstream, enabled, toxics });
  }

  /** Closed at first, so that nothing passes before its toxics are on it. */
  async #make({ listen, upstream, enabled, toxics }: ProxyAnswer): Promise<ProxyAnswer> {
    const closed = { name: PROXY, listen, upstream, enabled: false };
    await this.#order('be made anew', this.#client.createProxy(closed));
    await this.#post(toxics);
    if (enabled) await this.#update({ enabled });
    return this.#proxy();
  }

  async #goes(): Promise<boolean> {
    const deadline = performance.now() + DELETED_MS_MAX;
    while (performance.now() < deadline) {
      if ((await this.#get(`/proxies/${PROXY}`).catch(() => '')) === null) return true;
      await delay(DELETED_POLL_MS);
    }
    return false;
  }

  /** The proxy, made again where somebody has taken it away, or came to nothing between two orders. */
  async #standing(): Promise<ProxyAnswer> {
    const listen = this.#known?.listen ?? this.#entrance;
    const upstream = this.#diverted ?? this.#exit ?? this.#known?.upstream;
    const isGone = (await this.#get(`/proxies/${PROXY}`)) === null;
    if (!isGone || listen === undefined || upstream === undefined) return this.#proxy();
    const enabled = this.#holders.size === 0;
    return this.#make({ listen, upstream, enabled, toxics: [...this.#added.values()] });
  }

  /** For a proxy that an earlier order hangs in, so that it doesn't even tell how it stands. */
  async #unstick(error: unknown): Promise<ProxyAnswer> {
    if (!isLate(error) || this.#known === undefined || !(await this.#lives())) throw error;
    return this.#makeAnew({ ...this.#known, toxics: [] });
  }

  /**
   * Whether it is the proxy that hangs, or Toxiproxy as a whole stands still: then it would carry out a
   * deletion when it goes on, and nobody would make the link anew.
   */
  #lives(): Promise<boolean> {
    return this.#get('/version', LIFE_TIMEOUT_MS).then(
      () => true,
      () => false,
    );
  }

  #ofClient(proxy: ProxyAnswer): ProxyOfClient {
    return new ProxyOfClient(this.#client, { ...proxy, name: PROXY, toxics: [] });
  }

  async #proxy(): Promise<ProxyAnswer> {
    const text = await this.#get(`/proxies/${PROXY}`);
    if (text === null) throw this.#failure('Toxiproxy has none of that name');
    const parsed = proxyAnswer.safeParse(JSON.parse(text));
    if (parsed.success) {
      this.#known = parsed.data;
      return parsed.data;
    }
    throw this.#failure('its answer is not that of Toxiproxy 2', [z.prettifyError(parsed.error)]);
  }

  /** Null where there is nothing of that name. */
  async #get(path: string, timeoutMs = CALL_TIMEOUT_MS): Promise<string | null> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${this.#url}${path}`, {
        signal: AbortSignal.timeout(timeoutMs),
      });
      text = await response.text();
    } catch (cause) {
      throw this.#failure(`Toxiproxy does not answer at ${this.#url}`, [], cause);
    }
    if (response.ok) return text;
    if (response.status === 404) return null;
    throw this.#failure(`GET ${path} was answered ${response.status}`, [text.trim()]);
  }

  async #order(what: string, order: Promise<unknown>, limitMs = CALL_TIMEOUT_MS): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = new DOMException(`no answer within ${limitMs} ms`, LATE);
      timer = setTimeout(() => reject(error), limitMs);
    });
    try {
      await Promise.race([order, late]);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw this.#failure(`it did not ${what}`, [why], cause);
    } finally {
      clearTimeout(timer);
    }
  }

  /** One order after the other, whatever became of the one before. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#given += 1;
    const turn = this.#turn.then(work, work).finally(() => {
      this.#done += 1;
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
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

function isLate(error: unknown): boolean {
  return error instanceof LabError && error.cause instanceof Error && error.cause.name === LATE;
}
