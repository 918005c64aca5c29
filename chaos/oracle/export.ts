/**
 * A row of the server's export, read. Only the form is checked here; a time or a checksum that
 * makes no sense stays what it is, and is found when it is compared.
 */
import { parseTime } from './time.ts';

export interface Row {
  readonly collector: string;
  readonly epoch: string;
  readonly seq: number;
  /** Microseconds since 1970 UTC; NaN when it isn't such a time. */
  readonly capturedAt: number;
  readonly receivedAt: number;
  /** 8 hex digits. */
  readonly checksum: string;
  readonly payload: Buffer;
}

/** Undefined for what is no row. */
export function parseRow(line: string): Row | undefined {
  let value: Readonly<Record<string, unknown>> | null;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { collector, epoch, seq, captured_at, received_at, crc32, payload_base64 } = value;
  if (typeof collector !== 'string' || typeof epoch !== 'string') return undefined;
  if (typeof captured_at !== 'string' || typeof received_at !== 'string') return undefined;
  if (typeof crc32 !== 'string' || typeof payload_base64 !== 'string') return undefined;
  if (typeof seq !== 'number') return undefined;
  return {
    collector,
    epoch,
    seq,
    capturedAt: parseTime(captured_at),
    receivedAt: parseTime(received_at),
    checksum: crc32,
    payload: Buffer.from(payload_base64, 'base64'),
  };
}
