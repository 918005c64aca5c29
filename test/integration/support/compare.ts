/**
 * What was captured against what is stored, frame by frame: the same identities, each once, with
 * the same capture time and the same bytes. Works on the collector's log and the server's export
 * alone.
 */
import { createHash } from 'node:crypto';
import type { Captured, Exported } from './stack.ts';

export interface Comparison {
  readonly captured: number;
  readonly stored: number;
  /** Captured and not stored, as "epoch/seq". */
  readonly lost: readonly string[];
  /** Stored more than once. */
  readonly doubled: readonly string[];
  /** Stored and never captured. */
  readonly unexpected: readonly string[];
  /** Stored with another capture time or other bytes. */
  readonly altered: readonly string[];
}

const identity = ({ epoch, seq }: { epoch: string; seq: number }) => `${epoch}/${seq}`;

export function compare(captured: readonly Captured[], exported: readonly Exported[]): Comparison {
  const rows = new Map<string, Exported[]>();
  for (const row of exported) {
    const known = rows.get(identity(row));
    if (known) known.push(row);
    else rows.set(identity(row), [row]);
  }
  const known = new Set(captured.map(identity));
  return {
    captured: captured.length,
    stored: exported.length,
    lost: captured.map(identity).filter((id) => !rows.has(id)),
    doubled: [...rows].filter(([, same]) => same.length > 1).map(([id]) => id),
    unexpected: [...rows.keys()].filter((id) => !known.has(id)),
    altered: captured
      .filter((frame) => rows.get(identity(frame))?.some((row) => differs(frame, row)))
      .map(identity),
  };
}

function differs(frame: Captured, row: Exported): boolean {
  const payload = Buffer.from(row.payload_base64, 'base64');
  const sha256 = createHash('sha256').update(payload).digest('hex');
  return frame.captured_at !== row.captured_at || frame.payload_sha256 !== sha256;
}
