/**
 * The relay: takes connections, dials the upstream for each, and passes bytes both ways through the
 * rules in force. Without rules it is a plain relay: half-closes pass as such, resets as resets,
 * and who reads slowly is waited for. Nothing that a connection does ends it.
 */
import { once } from 'node:events';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { setImmediate as immediate } from 'node:timers/promises';
import { Flow } from './flow.ts';
import type { Direction, Rule, RuleState } from './rules.ts';
import { RuleInForce } from './rules.ts';
import type { Cut, Output } from './stages.ts';

/** How long an orderly cut waits for both ends to close, and a reset for bytes to be on their way. */
const CLOSE_MS = 5_000;
/** Accounts of rules that were lifted stay readable up to so many. */
const LIFTED_MAX = 100;

const DIRECTIONS = ['upstream', 'downstream'] as const;
const NOTHING = Buffer.alloc(0);

export interface RelayOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly upstream: { readonly host: string; readonly port: number };
  /** More are closed at once. */
  readonly connectionsMax: number;
  readonly onEvent: (event: RelayEvent) => void;
}

type RelayEvent =
  | { readonly event: 'listen_failing'; readonly error: Error }
  | { readonly event: 'dial_failed'; readonly error: Error }
  | { readonly event: 'rule_made'; readonly rule: RuleState }
  | { readonly event: 'rule_lifted'; readonly rule: RuleState };

/** A connection as the control API tells it. */
export interface ConnectionState {
  readonly id: number;
  /** As its HELLO named it; null before, and where the stream isn't understood. */
  readonly collector: string | null;
  /** Secured, or no protocol of ours: rules that name messages have no effect on it. */
  readonly opaque: boolean;
  /** That have come in, each way. */
  readonly bytes: { readonly [direction in Direction]: number };
}

/** No connection is there that a rule could be about. */
export class NoConnectionError extends Error {
  override readonly name = 'NoConnectionError';
  readonly code = 'no_connection';
}

export class Relay {
  readonly #server: Server;
  readonly #options: RelayOptions;
  readonly #connections = new Map<number, Connection>();
  readonly #rules = new Map<number, RuleInForce>();
  /** How many connections each rule has met. */
  readonly #met = new Map<number, number>();
  #lastConnection = 0;
  #lastRule = 0;

  /** Rejects when the address can't be listened on. */
  static async listen(options: RelayOptions): Promise<Relay> {
    const relay = new Relay(options);
    relay.#server.listen(options.port, options.host);
    await once(relay.#server, 'listening');
    relay.#server.on('error', (error) => options.onEvent({ event: 'listen_failing', error }));
    return relay;
  }

  private constructor(options: RelayOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) =>
      this.#onClient(client),
    );
    this.#server.maxConnections = options.connectionsMax;
  }

  /** The port that is listened on. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get connections(): ConnectionState[] {
    return [...this.#connections.values()].map(({ state }) => state);
  }

  /** Those that were lifted lately included. */
  get rules(): (RuleState & { readonly lifted: boolean })[] {
    return [...this.#rules.values()].map((rule) => ({ ...rule.state, lifted: rule.lifted }));
  }

  /**
   * In force from the next byte on, on the connections that there are and on those that come.
   * @throws NoConnectionError when it is to be about one, and there is none.
   */
  add(rule: Rule): RuleState {
    this.#lastRule += 1;
    const inForce = new RuleInForce(this.#lastRule, rule, this.#chosen(rule));
    this.#rules.set(inForce.id, inForce);
    for (const connection of this.#connections.values()) this.#apply(inForce, connection);
    this.#options.onEvent({ event: 'rule_made', rule: inForce.state });
    return inForce.state;
  }

  /** Its last account; undefined when there is no such rule in force. */
  lift(id: number): RuleState | undefined {
    const rule = this.#rules.get(id);
    if (rule === undefined || rule.lifted) return undefined;
    rule.lifted = true;
    for (const connection of this.#connections.values()) connection.onLifted();
    const lifted = [...this.#rules.values()].filter((one) => one.lifted);
    for (const old of lifted.slice(0, -LIFTED_MAX)) this.#forget(old);
    this.#options.onEvent({ event: 'rule_lifted', rule: rule.state });
    return rule.state;
  }

  /** Resets all connections that there are, and tells how many: so that there are new handshakes. */
  reset(): number {
    for (const connection of this.#connections.values()) connection.reset();
    return this.#connections.size;
  }

  /** Stops listening and resets what is connected. */
  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.reset();
    await closed;
  }

  #forget({ id }: RuleInForce): void {
    this.#rules.delete(id);
    this.#met.delete(id);
  }

  #chosen({ only, collector }: Rule): number | undefined {
    if (only === undefined) return undefined;
    const ids = this.connections
      .filter((one) => collector === undefined || one.collector === collector)
      .map(({ id }) => id);
    const id = only === 'newest' ? ids.at(-1) : ids[0];
    if (id !== undefined) return id;
    const whose = collector === undefined ? '' : ` of ${collector}`;
    throw new NoConnectionError(`no connection${whose} is here that the rule could be about`);
  }

  #apply(rule: RuleInForce, connection: Connection): void {
    const ordinal = this.#met.get(rule.id) ?? 0;
    this.#met.set(rule.id, ordinal + 1);
    connection.add(rule, ordinal);
  }

  #onClient(client: Socket): void {
    const { upstream, onEvent } = this.#options;
    const server = dial({ ...upstream, allowHalfOpen: true, noDelay: true });
    this.#lastConnection += 1;
    const connection = new Connection(this.#lastConnection, client, server);
    server.once('error', (error) => {
      if (connection.state.bytes.downstream === 0) onEvent({ event: 'dial_failed', error });
    });
    this.#connections.set(connection.id, connection);
    for (const rule of this.#rules.values()) if (!rule.lifted) this.#apply(rule, connection);
    void connection.run().finally(() => this.#connections.delete(connection.id));
  }
}

class Connection {
  readonly id: number;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #flows: { readonly [direction in Direction]: Flow };
  readonly #holes = new Set<RuleInForce>();
  /** It was cut in an orderly way: what still comes is read and dropped. */
  #isCut = false;
  /** One end is gone, and the other wasn't told. */
  #isBroken = false;
  #overdue: NodeJS.Timeout | undefined;

  constructor(id: number, client: Socket, server: Socket) {
    this.id = id;
    this.#client = client;
    this.#server = server;
    // Each way is read, and sees the errors; a socket without a listener would end the process.
    for (const socket of [client, server]) socket.on('error', () => undefined);
    const collector = () => this.#flows.upstream.tracker.collector;
    const flow = (direction: Direction) => new Flow({ connection: id, direction, collector });
    this.#flows = { upstream: flow('upstream'), downstream: flow('downstream') };
  }

  get state(): ConnectionState {
    const { upstream, downstream } = this.#flows;
    return {
      id: this.id,
      collector: upstream.tracker.collector ?? null,
      opaque: upstream.tracker.opaque || downstream.tracker.opaque,
      bytes: { upstream: upstream.bytes, downstream: downstream.bytes },
    };
  }

  add(rule: RuleInForce, ordinal: number): void {
    for (const direction of DIRECTIONS) this.#flows[direction].add(rule, ordinal);
    const isAbout = rule.connection === undefined || rule.connection === this.id;
    if (rule.rule.do === 'black_hole' && isAbout) this.#holes.add(rule);
  }

  /** Where an end was lost in a black hole, the other learns of it now. */
  onLifted(): void {
    if (this.#isBroken && !this.#isHeld) this.reset();
  }

  reset(): void {
    this.#client.resetAndDestroy();
    this.#server.resetAndDestroy();
  }

  /** Resolves when both ways have ended; never rejects. */
  async run(): Promise<void> {
    await Promise.all(DIRECTIONS.map((direction) => this.#pump(direction)));
    clearTimeout(this.#overdue);
    this.#client.destroy();
    this.#server.destroy();
  }

  /** In a black hole; nothing that happens at one end reaches the other. */
  get #isHeld(): boolean {
    const collector = this.#flows.upstream.tracker.collector;
    return [...this.#holes].some(
      ({ lifted, rule }) =>
        !lifted && (rule.collector === undefined || rule.collector === collector),
    );
  }

  async #pump(direction: Direction): Promise<void> {
    const upstream = direction === 'upstream';
    const from = upstream ? this.#client : this.#server;
    const to = upstream ? this.#server : this.#client;
    const flow = this.#flows[direction];
    try {
      if (from.connecting) await once(from, 'connect');
      for await (const chunk of from.iterator({ destroyOnReturn: false })) {
        if (!this.#isCut) await this.#pass(to, flow.push(chunk));
      }
      if (!this.#isCut) await this.#pass(to, flow.flush());
      if (this.#isHeld) this.#isBroken = true;
      else to.end();
    } catch {
      // The connection is lost at one end: the other is told so, unless nothing passes.
      if (this.#isHeld) this.#isBroken = true;
      else to.resetAndDestroy();
    }
  }

  async #pass(to: Socket, out: readonly (Output | Cut)[]): Promise<void> {
    to.cork();
    for (const one of out) {
      if ('cut' in one) {
        to.uncork();
        return this.#cut(to, one.cut);
      }
      if (one.apart) {
        to.uncork();
        await written(to, one.bytes);
        // Whoever reads gets to see it before the next.
        await immediate();
        to.cork();
      } else {
        to.write(one.bytes);
      }
    }
    to.uncork();
    if (to.writableNeedDrain) await written(to, NOTHING);
  }

  /** What came before it gets through. */
  async #cut(to: Socket, by: Cut['cut']): Promise<void> {
    this.#isCut = true;
    this.#overdue = setTimeout(() => this.reset(), CLOSE_MS);
    if (by === 'rst') {
      await written(to, NOTHING);
      this.reset();
      return;
    }
    this.#client.end();
    this.#server.end();
  }
}

/** Resolves when the kernel has all bytes up to these, or never will. */
function written(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => socket.write(bytes, () => resolve()));
}
