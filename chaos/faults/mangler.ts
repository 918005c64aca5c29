/**
 * The mangler in the link's path: launched between Toxiproxy and the server when the first fault
 * needs it, and taken away behind the last, for faults nest. Both change where the link leads to,
 * which ends its connections once.
 */
import type { Ground, Service } from '#lab/ground/ground.ts';
import { ManglerClient } from '../mangler/client.ts';
import type { ConnectionState } from '../mangler/relay.ts';
import type { RuleInput, RuleState } from '../mangler/rules.ts';
import { waitUntil } from '../observe/wait.ts';
import type { Scene } from './fault.ts';

const NAME = 'mangler';
/** Those of docs/configuration.md. */
const RELAY_PORT = 9005;
const CONTROL_PORT = 9006;

interface InPath {
  readonly service: Service;
  readonly mangler: ManglerClient;
}

interface Shared {
  users: number;
  inPath: Promise<InPath>;
}

const shared = new WeakMap<Ground, Shared>();

/** Resolves when the link leads through it. Each use has to be ended by `leave`. */
async function enter(scene: Scene): Promise<ManglerClient> {
  const { ground } = scene;
  const known = shared.get(ground);
  const one = known ?? { users: 0, inPath: putInPath(scene) };
  one.users += 1;
  shared.set(ground, one);
  try {
    return (await one.inPath).mangler;
  } catch (error) {
    await leave(scene);
    throw error;
  }
}

/** Behind the last use the link leads straight to the server again. */
async function leave({ ground, link }: Scene): Promise<void> {
  const one = shared.get(ground);
  if (one === undefined) return;
  one.users -= 1;
  if (one.users > 0) return;
  shared.delete(ground);
  await link.rejoin();
  const service = ground.services.find(({ name }) => name === NAME);
  if (service !== undefined) await ground.remove(service);
}

async function putInPath({ ground, link, signal }: Scene): Promise<InPath> {
  const service = await ground.launch({
    name: NAME,
    command: ['node', 'chaos/mangler/main.ts'],
    environment: {
      HOLDFAST_MANGLER_HOST: '0.0.0.0',
      HOLDFAST_MANGLER_PORT: String(RELAY_PORT),
      HOLDFAST_MANGLER_CONTROL_HOST: '0.0.0.0',
      HOLDFAST_MANGLER_CONTROL_PORT: String(CONTROL_PORT),
      HOLDFAST_MANGLER_UPSTREAM: ground.linkExit,
    },
    ports: [RELAY_PORT, CONTROL_PORT],
    networks: ['edge', 'central'],
  });
  let mangler: ManglerClient | undefined;
  await waitUntil(
    'the mangler relays',
    async () => {
      mangler = new ManglerClient(await service.url(CONTROL_PORT));
      await mangler.healthy();
      return true;
    },
    { signal },
  );
  if (mangler === undefined) throw new Error('the mangler relays, and has no client');
  await link.divert(ground.address(service, RELAY_PORT));
  return { service, mangler };
}

/** A rule in force at the mangler, from `begin` to `end`. */
export class Mangling {
  #mangler: ManglerClient | undefined;
  #rule: RuleState | undefined;

  /** What the rule is may depend on the connections that there are; undefined: not yet. */
  async begin(
    scene: Scene,
    choose: (mangler: ManglerClient) => Promise<RuleInput | undefined>,
  ): Promise<void> {
    const mangler = await enter(scene);
    this.#mangler = mangler;
    await waitUntil(
      'the connection that is meant comes through the mangler',
      async () => {
        const rule = await choose(mangler);
        if (rule !== undefined) this.#rule = await mangler.make(rule);
        return rule !== undefined;
      },
      { signal: scene.signal, describe: () => mangler.connections() },
    );
  }

  /** Ends the connections that there are, where the rule is about handshakes. */
  async renew(): Promise<void> {
    await this.#mangler?.reset();
  }

  connections(): Promise<ConnectionState[]> {
    if (this.#mangler === undefined) throw new Error('the mangler is not in the path');
    return this.#mangler.connections();
  }

  /** Waits until the rule has had its effect so often. */
  async reaches(count: number, { signal }: Scene): Promise<RuleState> {
    let state = await this.#state();
    await waitUntil(
      `the mangler has done it ${count} times`,
      async () => {
        state = await this.#state();
        return state.count >= count;
      },
      { signal, describe: async () => ({ rule: state, connections: await this.connections() }) },
    );
    return state;
  }

  async end(scene: Scene): Promise<void> {
    const mangler = this.#mangler;
    const rule = this.#rule;
    this.#mangler = undefined;
    if (mangler === undefined) return;
    try {
      if (rule !== undefined) await mangler.lift(rule.id);
    } finally {
      await leave(scene);
    }
  }

  #state(): Promise<RuleState> {
    if (this.#mangler === undefined || this.#rule === undefined) {
      throw new Error('no rule of the mangler is in force');
    }
    return this.#mangler.rule(this.#rule.id);
  }
}
