/** The mangler's control API from the other side: orders, each within a time limit. */
import type { ConnectionState } from './relay.ts';
import type { RuleInput, RuleState } from './rules.ts';

const CALL_TIMEOUT_MS = 5_000;

/** An order that the mangler didn't take, in its own words. */
class ManglerError extends Error {
  override readonly name = 'ManglerError';
  /** The HTTP status; undefined when there was no answer. */
  readonly status: number | undefined;

  constructor(message: string, status: number | undefined, cause?: unknown) {
    super(message, { cause });
    this.status = status;
  }
}

export class ManglerClient {
  readonly #url: string;

  /** `http://host:port` of its control API. */
  constructor(url: string) {
    this.#url = url;
  }

  /** Rejects unless it relays. */
  async healthy(): Promise<void> {
    await this.#call('GET', '/healthz');
  }

  connections(): Promise<ConnectionState[]> {
    return this.#call('GET', '/connections');
  }

  /** Resets all connections that there are, so that there are new handshakes. */
  async reset(): Promise<void> {
    await this.#call('DELETE', '/connections');
  }

  /** In force when this resolves. */
  make(rule: RuleInput): Promise<RuleState> {
    return this.#call('POST', '/rules', rule);
  }

  /** Of a rule that is in force, or was lately. */
  async rule(id: number): Promise<RuleState> {
    const rules = await this.#call<RuleState[]>('GET', '/rules');
    const found = rules.find((rule) => rule.id === id);
    if (found === undefined) throw new ManglerError(`the mangler knows no rule ${id}`, 404);
    return found;
  }

  /** Its last account. */
  lift(id: number): Promise<RuleState> {
    return this.#call('DELETE', `/rules/${id}`);
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
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
      throw new ManglerError(`the mangler does not answer at ${this.#url}`, undefined, cause);
    }
    if (response.ok) return JSON.parse(text) as T;
    const what = `the mangler answered ${method} ${path} with ${response.status}: ${text.trim()}`;
    throw new ManglerError(what, response.status);
  }
}
