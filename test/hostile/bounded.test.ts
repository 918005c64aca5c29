/**
 * Hostile input in masses: many connections, readers that never read, bombs one after the other.
 * Memory and handles stay bounded, and the healthy collector stores its frames all the while.
 */
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { encodeBody } from '#protocol/codec.ts';
import { sealEnvelope } from '#protocol/envelope.ts';
import { macKeyOf } from '#protocol/handshake.ts';
import { KINDS } from '#protocol/messages.ts';
import { seed } from '../unit/seed.ts';
import { EPOCH_A, epochOf } from '../unit/server/store-contract.ts';
import { INSTANCE, TOKEN } from '../unit/server/wire-client.ts';
import { HostileCollector, type Recipe, recipes } from './fuzz/hostile-collector.ts';
import { EPOCHS, MADE_UP_FROM, POISON_FROM } from './fuzz/universe.ts';
import { Peer } from './peer.ts';
import { Stage } from './stage.ts';
import { until } from './until.ts';

/** The default of HOLDFAST_CONNECTIONS_MAX, and what the server has beside its connections. */
const CONNECTIONS_MAX = 2_000;
const OTHER_HANDLES_MAX = 200;
/** Connections that are being opened at a time. */
const SIDE_BY_SIDE = 100;
const PINGS_PER_FLOOD = 10_000;
const KEY = macKeyOf(TOKEN);

let stage: Stage;

afterEach(() => stage.close());

async function many(count: number, one: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next; index < count; index = next) {
      next += 1;
      await one(index);
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, worker));
}

test('T03 10,000 connections that come and go leave no handle behind', async () => {
  stage = await Stage.open();
  const { server } = stage;
  const handles = server.handles;
  await many(10_000, async (index) => {
    const peer = await Peer.connect(server);
    server.peers.delete(peer);
    if (index % 2 === 0) peer.socket.resetAndDestroy();
    else peer.socket.end();
    await until('it is gone', () => peer.isClosed);
    if (index % 1_000 === 0) await stage.proveHealthy();
  });
  await stage.handlesBackTo(handles);
  await stage.proveHealthy();
});

test('T35 5,000 silent connections keep nobody out', async () => {
  stage = await Stage.open();
  const { server } = stage;
  const half = { handles: 0, rssBytes: 0 };
  await many(5_000, async (index) => {
    await Peer.connect(server);
    if (index % 500 === 0) await stage.proveHealthy();
    if (index === 2_500)
      Object.assign(half, { handles: server.handles, rssBytes: server.rssBytes });
  });
  expect(server.handles).toBeLessThanOrEqual(CONNECTIONS_MAX + OTHER_HANDLES_MAX);
  // By half of them all places are taken: what comes after costs no more.
  expect(server.rssBytes / half.rssBytes).toBeLessThan(1.5);
  await stage.proveHealthy();
  const late = await Peer.joined(server, 'late', [epochOf(EPOCH_A, 1, 3)]);
  expect(late.isClosed).toBe(false);
});

test('T33 readers that never take their acks are cut off, at a bounded cost', async () => {
  stage = await Stage.open();
  const { server } = stage;
  const floods = pingFloods();
  const rssBytes: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    const deaf = await Promise.all(
      Array.from({ length: 3 }, async (_, i) => {
        const peer = await Peer.joined(server, `deaf${round}-${i}`, [epochOf(EPOCH_A, 1, 3)]);
        peer.socket.pause();
        return { peer, sent: 0 };
      }),
    );
    const floodAll = (): boolean => {
      for (const one of deaf) {
        // A socket that isn't read doesn't hear of its end by itself.
        if (server.hasClosed(one.peer.address)) one.peer.destroy();
        else if (one.peer.socket.writableLength === 0) one.peer.raw(floods(one.sent++));
      }
      return deaf.every(({ peer }) => peer.isClosed);
    };
    await until('all are cut off', floodAll, 60_000);
    for (const { peer } of deaf) {
      expect(await server.closing(peer.address)).toMatchObject({ reason: 'overloaded' });
    }
    await stage.proveHealthy();
    rssBytes.push(server.rssBytes);
  }
  expect((rssBytes[3] ?? 0) / (rssBytes[1] ?? 0), rssBytes.join(', ')).toBeLessThan(1.3);
});

/** PINGs, each of which asks for a PONG; made once, for all peers count their messages alike. */
function pingFloods(): (index: number) => Buffer {
  const floods: Buffer[] = [];
  const ping = encodeBody({ kind: 'ping', id: 1, bytesReceived: 0, highest: undefined }).body;
  const counterOf = (index: number, i: number): number => 1 + index * PINGS_PER_FLOOD + i;
  return (index) => {
    floods[index] ??= Buffer.concat(
      Array.from({ length: PINGS_PER_FLOOD }, (_, i) =>
        sealEnvelope(KINDS.ping, 0, counterOf(index, i), ping),
      ),
    );
    return floods[index];
  };
}

test('T21 bombs one after the other cost no memory', async () => {
  stage = await Stage.open();
  const { server } = stage;
  const bomb = zstdCompressSync(Buffer.alloc(104_857_600));
  const head = Buffer.alloc(12);
  head.writeUInt32BE(1, 4);
  head.writeUInt32BE(1_114_112, 8);
  const body = Buffer.concat([head, bomb]);
  const rssBytes: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    await many(100, async (index) => {
      const peer = await Peer.joined(server, `bomber${index}`, [epochOf(EPOCH_A, 1, 3)]);
      peer.seal('frames', 1, body);
      await until('it is closed', () => peer.isClosed);
    });
    await stage.proveHealthy();
    rssBytes.push(server.rssBytes);
  }
  expect((rssBytes[3] ?? 0) / (rssBytes[1] ?? 0), rssBytes.join(', ')).toBeLessThan(1.3);
  await stage.mustHoldWhatWasSent();
});

test('T38 spoilt sessions, many at a time, leave nothing behind and nothing made up', async () => {
  stage = await Stage.open();
  const { server } = stage;
  const handles = server.handles;
  const rssBytes: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    const spoilt = fc.sample(recipes, { numRuns: 500, seed: seed + round });
    await many(spoilt.length, async (index) => {
      const recipe = spoilt[index];
      if (recipe !== undefined) await sayAll(recipe, `fuzz${round}-${index}`);
    });
    await stage.proveHealthy();
    rssBytes.push(server.rssBytes);
  }
  await stage.handlesBackTo(handles);
  expect((rssBytes[3] ?? 0) / (rssBytes[1] ?? 0), rssBytes.join(', ')).toBeLessThan(1.3);
  for (const { collector, epoch, seq, crc_ok } of await server.exported()) {
    expect(crc_ok).toBe(undefined);
    if (collector === 'healthy') continue;
    expect(EPOCHS).toContain(epoch);
    expect(seq < POISON_FROM || seq >= MADE_UP_FROM, `${collector}/${seq}`).toBe(true);
  }
});

/** A session as the recipe has it, to its end. */
async function sayAll(recipe: Recipe, collector: string): Promise<void> {
  const { server } = stage;
  const peer = await Peer.greeted(server, { answersPings: false });
  server.peers.delete(peer);
  const identity = { collector, instance: INSTANCE };
  const greetingBody = peer.wire.greetingBody ?? Buffer.alloc(0);
  const said = HostileCollector.conversation(recipe, greetingBody, identity, KEY);
  peer.raw(said.opening);
  // An opening that is spoilt may never be answered.
  if (recipe.hello === 0) await peer.next('welcome');
  if (!peer.isClosed) peer.socket.end(said.following);
  await until('it is over', () => peer.isClosed);
}
