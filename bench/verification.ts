/**
 * Whether the store holds what was sent: every frame once, bit for bit, nothing else. Judged from
 * the server's export and what the frames must be (`source/frames.ts`), not from what the source
 * or the server count.
 */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { formatTime } from '#protocol/identity.ts';
import { BenchError } from './errors.ts';
import { capturedAtOf, type FramePlan, indexOf, payloadOf } from './source/frames.ts';

/** In frames; all but `sent` and `stored` are defects. */
export interface Verification {
  readonly sent: number;
  /** Rows that the export gave. */
  readonly stored: number;
  readonly lost: number;
  readonly duplicated: number;
  /** Other bytes, or another capture time, than the frame was made with. */
  readonly altered: number;
  /** Rows that were never sent. */
  readonly unexpected: number;
}

export function holds({ lost, duplicated, altered, unexpected }: Verification): boolean {
  return lost + duplicated + altered + unexpected === 0;
}

/** Reads the whole export of a server on which nothing but these frames 0 … sent − 1 came in. */
export async function verify(api: string, plan: FramePlan, sent: number): Promise<Verification> {
  const response = await fetch(`${api}/api/v1/export`);
  if (response.status !== 200 || response.body === null) {
    throw new BenchError(`the export was answered ${response.status}`);
  }
  const seen = new Uint8Array(sent);
  const counts = { stored: 0, duplicated: 0, altered: 0, unexpected: 0 };
  for await (const line of createInterface({ input: Readable.fromWeb(response.body) })) {
    counts.stored += 1;
    const row = JSON.parse(line) as { captured_at: string; payload_base64: string };
    const payload = Buffer.from(row.payload_base64, 'base64');
    const n = indexOf(payload);
    if (n === undefined || n >= sent) {
      counts.unexpected += 1;
      continue;
    }
    if (seen[n] === 1) counts.duplicated += 1;
    seen[n] = 1;
    const same =
      payload.equals(payloadOf(plan, n)) && row.captured_at === formatTime(capturedAtOf(plan, n));
    if (!same) counts.altered += 1;
  }
  const lost = seen.reduce((sum, one) => sum + 1 - one, 0);
  return { sent, lost, ...counts };
}
