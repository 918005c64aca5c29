/**
 * A frame as a line of NDJSON, in the form of the server's export; `received_at` is missing, for
 * nobody has received it.
 */
import { type Frame, formatCrc, formatTime } from '#protocol/identity.ts';
import { jsonTextOf } from '#protocol/json-text.ts';

/** @param collector Null where the queue doesn't keep the id: it is configured, or not made yet. */
export function exportRow(
  collector: string | null,
  frame: Frame,
  more: Readonly<Record<string, unknown>> = {},
): string {
  const { epoch, seq, capturedAt, crc, payload } = frame;
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  const fields = JSON.stringify({
    collector,
    epoch,
    seq,
    captured_at: formatTime(capturedAt),
    ...more,
    crc32: formatCrc(crc),
    payload_bytes: bytes.length,
    payload_base64: bytes.toString('base64'),
  });
  const json = jsonTextOf(bytes);
  return json === undefined ? `${fields}\n` : `${fields.slice(0, -1)},"payload":${json}}\n`;
}
