/**
 * Frames from elsewhere: a producer beside the lab's collector, whose samples and times of capture
 * are the test's.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Producer } from '#collector/producer/producer.ts';
import type { Stage } from './stage.ts';

const STORED_MS = 60_000;
const AT_A_TIME = 500;

export interface Sent {
  /** Microseconds since 1970 UTC. */
  readonly capturedAt: number;
  readonly payload: unknown;
}

/**
 * Brings these frames into the store, as a collector of that name; resolves when all are there, which
 * is before the server has charted them: a page that is opened now has to see that through.
 */
export async function deliver(stage: Stage, collector: string, frames: readonly Sent[]) {
  const queuePath = mkdtempSync(join(tmpdir(), 'holdfast-source-'));
  const producer = new Producer({
    server: stage.ground.linkEntrance,
    token: readFileSync(stage.context.files.token),
    collectorId: collector,
    queuePath,
  });
  for (let from = 0; from < frames.length; from += AT_A_TIME) {
    await Promise.all(
      frames
        .slice(from, from + AT_A_TIME)
        .map(({ capturedAt, payload }) => producer.send(JSON.stringify(payload), { capturedAt })),
    );
  }
  const { pending } = await producer.close({ deadlineMs: STORED_MS });
  rmSync(queuePath, { recursive: true });
  if (pending > 0) throw new Error(`${pending} frames of ${collector} were not stored in time`);
}
