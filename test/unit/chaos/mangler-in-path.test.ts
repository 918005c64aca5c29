/**
 * The mangler between Toxiproxy and the server: there from the first fault that needs it to the
 * last, and gone behind it, whatever went wrong.
 */
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Scene } from '#chaos/faults/fault.ts';
import { Mangling } from '#chaos/faults/mangler.ts';
import { Control } from '#chaos/mangler/control.ts';
import { Relay } from '#chaos/mangler/relay.ts';
import type { RuleInput } from '#chaos/mangler/rules.ts';
import type { Ground, Launch, Service } from '#lab/ground/ground.ts';
import type { Link } from '#lab/link.ts';

const FLIP: RuleInput = { do: 'flip', seed: 1, every_bytes: 10 };

/** A ground that can launch the mangler, here in this process, and a link that can be led to it. */
class Rig {
  readonly orders: string[] = [];
  /** What the next diversion fails with. */
  failure: Error | undefined;
  relay: Relay | undefined;
  readonly #server: Server;
  readonly #services: Service[] = [];
  #control: Control | undefined;

  static async open(): Promise<Rig> {
    const server = createServer((socket) => socket.on('error', () => undefined).resume());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Rig(server);
  }

  private constructor(server: Server) {
    this.#server = server;
  }

  get scene(): Scene {
    const ground: Partial<Ground> = {
      linkExit: 'server:9000',
      services: this.#services,
      launch: (launch) => this.#launch(launch),
      remove: (service) => this.#remove(service),
      address: ({ name }, port) => `${name}:${port}`,
    };
    const link: Pick<Link, 'divert' | 'rejoin'> = {
      divert: async (upstream) => {
        this.orders.push(`divert ${upstream}`);
        if (this.failure !== undefined) throw this.failure;
      },
      rejoin: async () => {
        this.orders.push('rejoin');
      },
    };
    const scene: Partial<Scene> = {
      ground: this.#ground(ground),
      link: link as Link,
      signal: new AbortController().signal,
    };
    return scene as Scene;
  }

  async close(): Promise<void> {
    await this.#control?.close();
    await this.relay?.close();
    this.#server.close();
  }

  /** One and the same for all scenes. */
  #ground(parts: Partial<Ground>): Ground {
    this.#known ??= parts as Ground;
    return this.#known;
  }
  #known: Ground | undefined;

  async #launch({ name, environment }: Launch): Promise<Service> {
    this.orders.push(`launch ${name} to ${environment.HOLDFAST_MANGLER_UPSTREAM}`);
    const address = this.#server.address();
    assert(typeof address === 'object' && address !== null);
    const upstream = { host: '127.0.0.1', port: address.port };
    const local = { host: '127.0.0.1', port: 0 };
    const onEvent = () => undefined;
    const relay = await Relay.listen({ ...local, upstream, connectionsMax: 8, onEvent });
    const control = await Control.listen(relay, local);
    this.relay = relay;
    this.#control = control;
    const service: Partial<Service> = {
      name,
      url: async () => `http://127.0.0.1:${control.port}`,
    };
    this.#services.push(service as Service);
    return service as Service;
  }

  async #remove({ name }: Service): Promise<void> {
    this.orders.push(`remove ${name}`);
    this.#services.splice(0);
    await this.close();
    this.#control = undefined;
    this.relay = undefined;
  }
}

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.open();
});
afterEach(() => rig.close());

const IN = ['launch mangler to server:9000', 'divert mangler:9005'];
const OUT = ['rejoin', 'remove mangler'];

test('it is put in the path once for faults that nest, and taken out behind the last', async () => {
  const [outer, inner] = [new Mangling(), new Mangling()];
  await outer.begin(rig.scene, async () => FLIP);
  await inner.begin(rig.scene, async () => FLIP);
  expect(rig.orders).toEqual(IN);
  await inner.end(rig.scene);
  expect(rig.orders).toEqual(IN);
  expect(rig.relay?.rules.map(({ lifted }) => lifted)).toEqual([false, true]);
  await outer.end(rig.scene);
  expect(rig.orders).toEqual([...IN, ...OUT]);
});

test('an end without a beginning, or a second one, does nothing', async () => {
  const mangling = new Mangling();
  await mangling.end(rig.scene);
  await mangling.begin(rig.scene, async () => FLIP);
  await mangling.end(rig.scene);
  await mangling.end(rig.scene);
  expect(rig.orders).toEqual([...IN, ...OUT]);
});

test('where the link can not be led to it, it is taken away again', async () => {
  rig.failure = new Error('no Toxiproxy');
  const mangling = new Mangling();
  await expect(mangling.begin(rig.scene, async () => FLIP)).rejects.toThrow('no Toxiproxy');
  expect(rig.orders).toEqual([...IN, ...OUT]);
});

test('a rule waits for the connection that it is about, and tells what it has done', async () => {
  const mangling = new Mangling();
  let socket: Socket | undefined;
  await mangling.begin(rig.scene, async (mangler) => {
    // Nobody is there at the first look.
    if ((await mangler.connections()).length > 0) return { do: 'black_hole', only: 'newest' };
    socket = connect(rig.relay?.port ?? 0, '127.0.0.1');
    // The mangler's going resets it.
    socket.on('error', () => undefined);
    return undefined;
  });
  socket?.write('12345');
  expect(await mangling.reaches(5, rig.scene)).toMatchObject({ count: 5, connection: 1 });
  await mangling.end(rig.scene);
  socket?.destroy();
});
