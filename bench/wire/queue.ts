/**
 * A queue of samples sent in the ways that there are: encoded once or each time, over a connection for
 * each frame or one for all. What a sample is encoded into is the same bytes either way.
 */
import { randomUUID } from 'node:crypto';
import { FrameCrc } from '#protocol/identity.ts';
import type { WireFrame } from '#protocol/messages.ts';
import { capturedAtOf, payloadOf } from '../source/frames.ts';
import type { WireCommand } from './commands.ts';
import { WireConnection, type WireOptions } from './connection.ts';

type QueueCommand = Extract<WireCommand, { type: 'queue' }>;

/** As large as a message of a collector with a backlog is. */
const FRAMES_PER_MESSAGE = 800;

/** How long it took, in milliseconds, without making the samples and encoding them before. */
export async function sendQueue(
  command: QueueCommand,
): Promise<{ readonly elapsedMs: number; readonly encodedMs: number }> {
  const { port, token, collector, frames, encoded, by } = command;
  const id = randomUUID();
  const encode = encoderOf(command, new FrameCrc(id));
  const beganMs = performance.now();
  const queue = encoded === 'once' ? Array.from({ length: frames }, (_, i) => encode(i + 1)) : [];
  const encodedMs = performance.now() - beganMs;
  const frameOf = (seq: number) => queue[seq - 1] ?? encode(seq);
  const options = { port, token, collector, id, frameOf };
  const startedMs = performance.now();
  if (by === 'a connection each') await eachItsOwn(options, frames);
  else await overOne(options, frames, by);
  return { elapsedMs: performance.now() - startedMs, encodedMs };
}

/** Makes the frame with that seq, from 1, of a sample that is there. */
function encoderOf(
  { plan, firstFrame, frames }: QueueCommand,
  crcs: FrameCrc,
): (seq: number) => WireFrame {
  const samples = Array.from({ length: frames }, (_, i): unknown =>
    JSON.parse(payloadOf(plan, firstFrame + i).toString()),
  );
  return (seq) => {
    const capturedAt = capturedAtOf(plan, firstFrame + seq - 1);
    const payload = Buffer.from(JSON.stringify(samples[seq - 1]));
    return { seq, capturedAt, payload, crc: crcs.of(seq, capturedAt, payload) };
  };
}

async function eachItsOwn(options: WireOptions, frames: number): Promise<void> {
  for (let seq = 1; seq <= frames; seq += 1) {
    const connection = new WireConnection({ ...options, storedTo: seq - 1 });
    await connection.joined();
    await connection.ackedTo(connection.sendOne());
    await connection.close();
  }
}

async function overOne(
  options: WireOptions,
  frames: number,
  by: Exclude<QueueCommand['by'], 'a connection each'>,
): Promise<void> {
  const connection = new WireConnection(options);
  await connection.joined();
  if (by === 'one by one') {
    for (let i = 0; i < frames; i += 1) await connection.ackedTo(connection.sendOne());
  } else {
    connection.make(frames, by === 'singly' ? 1 : FRAMES_PER_MESSAGE);
    await connection.drain();
  }
  await connection.close();
}
