/**
 * The signs of faults: that each shows where its fault is, and that nothing shows without one, as on
 * a machine that is only slow. The pipeline here is a few numbers; the link is a server on loopback.
 */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { anyOf, backlog, failing, reconnects, silence, standstill } from '#chaos/faults/effects.ts';
import type { Effect, Scene } from '#chaos/faults/fault.ts';
import { greetingInPieces, Longer, lateEnd, lateEndAtServer } from '#chaos/faults/link-effects.ts';
import { type AuditDocument, type CollectorStatus, Observer } from '#chaos/observe/observer.ts';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const none: Effect = () => Promise.reject(new Error('nothing was seen'));
const never: Effect = ({ signal }) =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

describe('of several signs', () => {
  const scene = { signal: new AbortController().signal } as Scene;

  test('whichever shows first is told, and the others are called off', async () => {
    let calledOff = false;
    const waiting: Effect = ({ signal }) => {
      signal.addEventListener('abort', () => {
        calledOff = true;
      });
      return never({ ...scene, signal });
    };
    expect(await anyOf(none, waiting, async () => 'this')(scene)).toBe('this');
    expect(calledOff).toBe(true);
  });

  test('all reasons are told where none shows', async () => {
    const other: Effect = () => Promise.reject(new Error('nor was that'));
    await expect(anyOf(none, other)(scene)).rejects.toThrow('nothing was seen; and nor was that');
  });
});

/** A pipeline that accepts a frame every so often, and stores them at once, while it is told to. */
class Pipeline {
  everyMs = 20;
  flows = true;
  state: CollectorStatus['state'] = 'Ready';
  error: string | null = null;
  connections = 1;
  accepted = 0;
  stored = 0;
  readonly scene: Scene;
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => this.#tick(), this.everyMs);
    const observer = new Observer({
      status: async () => this.#status(),
      audit: async () => this.#audit(),
    });
    closing.push(() => observer.stop());
    closing.push(() => clearInterval(this.#timer));
    this.scene = { observer, signal: new AbortController().signal } as Scene;
  }

  #tick(): void {
    this.accepted += 1;
    if (this.flows) this.stored = this.accepted;
  }

  #status(): CollectorStatus {
    const { accepted, stored, connections, state } = this;
    return {
      collector: 'c',
      state,
      last_error: this.error === null ? null : { code: this.error },
      queue: { frames: accepted - stored },
      counters: {
        ...{ captured: accepted, accepted, acked: stored, declared: 0, resent: 0, connections },
      },
    };
  }

  #audit(): AuditDocument {
    const totals = { stored: this.stored, declared: 0, pending: 0, missing: 0 };
    return { collectors: [{ collector: 'c', totals } as AuditDocument['collectors'][number]] };
  }
}

describe('of a pipeline', () => {
  let pipeline: Pipeline;

  beforeEach(() => {
    pipeline = new Pipeline();
  });

  /** What is seen of a pipeline that is in order for a while. */
  async function afterAWhile(effect: Effect, change: () => void): Promise<string> {
    const seen = effect(pipeline.scene);
    const { observer } = pipeline.scene;
    await observer.audit('it flows', ({ totals }) => totals.stored > 100);
    change();
    return seen;
  }

  test.each([
    ['the store', standstill],
    ['acks', silence],
  ])('%s stand still from the moment on at which nothing flows', async (_, effect) => {
    let stoodAt = 0;
    const seen = await afterAWhile(effect, () => {
      pipeline.flows = false;
      stoodAt = pipeline.stored;
    });
    expect(seen).toContain(`stood at ${stoodAt} frames`);
  });

  test('a backlog is more than what is usually on its way', async () => {
    let whole = true;
    const seen = await afterAWhile(backlog, () => {
      pipeline.flows = false;
      whole = false;
    });
    expect(whole, 'it was seen while all was in order').toBe(false);
    expect(seen).toMatch(/^\d+ frames waited, where \d+ come in 1.5 s$/);
  });

  test('connections count from the moment that it is looked for them', async () => {
    pipeline.connections = 7;
    const seen = await afterAWhile(reconnects(2), () => {
      pipeline.connections = 9;
    });
    expect(seen).toBe('2 connections were made');
  });

  test('an error of another kind is none of the fault', async () => {
    pipeline.error = 'closed';
    pipeline.state = 'Backoff';
    const seen = await afterAWhile(failing(['reset']), () => {
      pipeline.error = 'reset';
      pipeline.flows = false;
    });
    expect(seen).toMatch(/^reset; the store stood at/);
  });
});

describe('of the link', () => {
  const GREETING = Buffer.alloc(69, 'g');
  let server: Server;
  let scene: Scene;
  /** What the link does: milliseconds until what is said is judged, and until the end is told. */
  let thereMs: number;
  let endMs: number;
  let inPieces: boolean;
  /** Connections that the server has, by its own account. */
  let unproven: Set<Socket>;

  beforeEach(async () => {
    [thereMs, endMs, inPieces, unproven] = [0, 0, false, new Set()];
    server = createServer((socket) => converse(socket));
    server.listen(0, '127.0.0.1');
    const http = createHttpServer((_, response) => {
      response.end(`holdfast_ingest_connections{state="greeting"} ${unproven.size}\n`);
    }).listen(0, '127.0.0.1');
    await Promise.all([once(server, 'listening'), once(http, 'listening')]);
    closing.push(() => server.close());
    closing.push(() => http.close());
    closing.push(() => http.closeAllConnections());
    const urlOf = (one: { address(): unknown }) =>
      `http://127.0.0.1:${(one.address() as AddressInfo).port}`;
    const urls: Record<string, string> = { toxiproxy: urlOf(server), server: urlOf(http) };
    const ground = {
      service: (name: string) => ({ url: async () => urls[name] }),
      cannot: () => null,
    };
    scene = { ground, signal: new AbortController().signal } as unknown as Scene;
  });

  function converse(socket: Socket): void {
    socket.on('error', () => undefined);
    socket.setNoDelay();
    const all = unproven;
    all.add(socket);
    socket.on('close', () => setTimeout(() => all.delete(socket), endMs));
    socket.once('data', () => setTimeout(() => setTimeout(() => socket.destroy(), endMs), thereMs));
    if (inPieces) writeSlowly(socket, [...GREETING]);
    else socket.write(GREETING);
  }

  function writeSlowly(socket: Socket, bytes: number[]): void {
    const [first, ...rest] = bytes;
    if (first === undefined || socket.destroyed) return;
    socket.write(Buffer.of(first), () => setTimeout(() => writeSlowly(socket, rest), 1));
  }

  test('what takes longer than before by what was ordered is a sign', async () => {
    const longer = Longer.there(100);
    await longer.before(scene);
    thereMs = 100;
    expect(await longer.effect(scene)).toMatch(/judged after \d+ ms, where it took \d+ ms before$/);
  });

  test('a machine that was slow before shows nothing', async () => {
    thereMs = 150;
    const longer = Longer.there(100);
    await longer.before(scene);
    await expect(longer.effect(scene)).rejects.toThrow(/60 more are due/);
  });

  test('a link that did not answer before gives nothing to compare with', async () => {
    server.close();
    const longer = Longer.there(100);
    await longer.before(scene);
    await expect(longer.effect(scene)).rejects.toThrow('does not answer');
  });

  test('a time that is too short to tell is not tried to be told', async () => {
    await expect(Longer.upload(100_000).effect(scene)).rejects.toThrow('too little to tell');
    await expect(Longer.slices(1, 0).effect(scene)).rejects.toThrow('too little to tell');
  });

  test('what comes in many pieces was sliced', async () => {
    inPieces = true;
    thereMs = 300;
    expect(await greetingInPieces(scene)).toMatch(/in \d+ pieces$/);
  });

  test('an end that comes late here is seen, and one in time is not', async () => {
    await expect(lateEnd(200)(scene)).rejects.toThrow(/ended after \d+ ms/);
    endMs = 10_000;
    expect(await lateEnd(200)(scene)).toContain('was open here');
  });

  test('an end that comes late to the server is seen, and one in time is not', async () => {
    await expect(lateEndAtServer(200)(scene)).rejects.toThrow('no connection that ended here');
    endMs = 10_000;
    expect(await lateEndAtServer(200)(scene)).toContain('that had ended here');
  });
});
