/**
 * A frame as a line of NDJSON, in the form of the server's export; `received_at` is missing, for
 * nobody has received it. The payload's own text goes out as it came, so no number loses digits and
 * no key its twin on the way through a parser.
 */
import { isUtf8 } from 'node:buffer';
import { type Frame, formatTime } from '#protocol/identity.ts';

/** As in the server's export: other languages' parsers give up on what is nested deeper. */
const JSON_DEPTH_MAX = 100;

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
    crc32: crc.toString(16).padStart(8, '0'),
    payload_bytes: bytes.length,
    payload_base64: bytes.toString('base64'),
  });
  const json = jsonTextOf(bytes);
  return json === undefined ? `${fields}\n` : `${fields.slice(0, -1)},"payload":${json}}\n`;
}

/** The payload's text on one line, where it is JSON in UTF-8 that is not nested without end. */
function jsonTextOf(payload: Buffer): string | undefined {
  if (!isUtf8(payload)) return undefined;
  const text = payload.toString();
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  // Between the parts of JSON any blank is as good as a line's end; within its strings there is none.
  return depthOf(text) > JSON_DEPTH_MAX ? undefined : text.replaceAll(/[\r\n]/g, ' ');
}

/** How deep the arrays and objects of a valid JSON text lie in each other. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [part] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (part === '[' || part === '{') depth += 1;
    else if (part === ']' || part === '}') depth -= 1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}
