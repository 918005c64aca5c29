/**
 * The process whose connections load a server: told by its parent what to send. Ends when the
 * parent does. Exit codes: 0 closed as told, 1 failed.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { FrameCrc } from '#protocol/identity.ts';
import { answerCommands } from '../child.ts';
import { capturedAtOf, payloadOf } from '../source/frames.ts';
import type { WireCommand, WireFacts } from './commands.ts';
import { WireConnection, type WireOptions } from './connection.ts';
import { sendQueue } from './queue.ts';

let connections: WireConnection[] = [];

const NOTHING: WireFacts = { elapsedMs: 0, ackMs: [], encodedMs: 0 };

answerCommands(async (command: WireCommand): Promise<WireFacts> => {
  switch (command.type) {
    case 'open':
      connections = Array.from(
        { length: command.connections },
        (_, i) => new WireConnection(wireOptions(command, i)),
      );
      await Promise.all(connections.map((connection) => connection.joined()));
      return NOTHING;
    case 'make':
      for (const connection of connections) {
        connection.make(command.framesEach, command.framesPerMessage);
      }
      return NOTHING;
    case 'drain': {
      const startedAt = performance.now();
      await Promise.all(connections.map((connection) => connection.drain()));
      return { ...NOTHING, elapsedMs: performance.now() - startedAt };
    }
    case 'steady':
      return { ...NOTHING, ackMs: await steady(command.frames, command.perSecond) };
    case 'queue':
      return { ...NOTHING, ...(await sendQueue(command)) };
    case 'close':
      await Promise.all(connections.map((connection) => connection.close()));
      return NOTHING;
  }
});

function wireOptions({ port, token, plan, framesEach }: OpenCommand, i: number): WireOptions {
  const id = randomUUID();
  const crc = new FrameCrc(id);
  const frameOf = (seq: number) => {
    const n = i * framesEach + seq - 1;
    const [capturedAt, payload] = [capturedAtOf(plan, n), payloadOf(plan, n)];
    return { seq, capturedAt, payload, crc: crc.of(seq, capturedAt, payload) };
  };
  return { port, token, collector: `wire-${i}`, id, frameOf };
}

/** Keeps to the rate on the whole: a tick that comes late sends all that is due. */
async function steady(frames: number, perSecond: number): Promise<number[]> {
  const ackMs: number[] = [];
  const done = Promise.withResolvers<void>();
  const sentAt = connections.map(() => new Map<number, number>());
  for (const [i, connection] of connections.entries()) {
    connection.onAcked = (to) => {
      const now = performance.now();
      for (const [seq, at] of sentAt[i] ?? []) {
        if (seq > to) break;
        ackMs.push(now - at);
        sentAt[i]?.delete(seq);
      }
      if (ackMs.length === frames) done.resolve();
    };
  }
  const startedAt = performance.now();
  for (let sent = 0; sent < frames; ) {
    const due = Math.min(frames, ((performance.now() - startedAt) * perSecond) / 1_000);
    for (; sent < due; sent += 1) {
      const i = sent % connections.length;
      const now = performance.now();
      const seq = connections[i]?.sendOne() ?? 0;
      sentAt[i]?.set(seq, now);
    }
    await delay(1);
  }
  await done.promise;
  return ackMs;
}

type OpenCommand = Extract<WireCommand, { type: 'open' }>;
