/**
 * A frame as a line of NDJSON, in the form of the server's export; `received_at` is missing, for
 * nobody has received it.
 */
import { type Frame, formatTime } from '#protocol/identity.ts';

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** @param collector Null where the queue doesn't keep the id: it is configured, or not made yet. */
export function exportRow(
  collector: string | null,
  frame: Frame,
  more: Readonly<Record<string, unknown>> = {},
): string {
  const { epoch, seq, capturedAt, crc, payload } = frame;
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  const identity = {
    collector,
    epoch,
    seq,
    captured_at: formatTime(capturedAt),
    ...more,
    crc32: crc.toString(16).padStart(8, '0'),
    payload_base64: bytes.toString('base64'),
  };
  return `${JSON.stringify({ ...identity, ...jsonOf(bytes) })}\n`;
}

function jsonOf(bytes: Buffer): { payload?: unknown } {
  try {
    return { payload: JSON.parse(UTF8.decode(bytes)) };
  } catch {
    return {};
  }
}
