/**
 * Stored frames as text: an object of JSON, a line of CSV. The payload's own text goes out as it
 * came, so no number loses digits and no key its twin on the way through a parser.
 *
 * Not here: which frames (`frame-routes.ts`, `export-routes.ts`).
 */
import { formatCrc, formatTime, frameCrc } from '#protocol/identity.ts';
import { jsonTextOf } from '#protocol/json-text.ts';
import type { StoredFrame } from '#server/store/store.ts';

const CSV_COLUMNS = [
  'collector',
  'epoch',
  'seq',
  'captured_at',
  'received_at',
  'crc32',
  'payload_bytes',
  'crc_ok',
  'payload_base64',
  'payload',
] as const;

/** The first line of a CSV export. */
export const CSV_HEADER = `${CSV_COLUMNS.join(',')}\r\n`;

/** True when the stored bytes are what was captured. */
export function isIntact(frame: StoredFrame): boolean {
  return frameCrc(frame) === frame.crc;
}

/** `crc_ok` is there, and false, when the stored bytes are not what was captured. */
export function frameJson(frame: StoredFrame, intact: boolean): string {
  const { collector, epoch, seq, capturedAt, receivedAt, payload } = frame;
  const bytes = bytesOf(payload);
  const json = jsonTextOf(bytes);
  return `{"collector":"${collector}","epoch":"${epoch}","seq":${seq},"captured_at":"${formatTime(
    capturedAt,
  )}","received_at":"${formatTime(receivedAt)}","crc32":"${formatCrc(frame.crc)}","payload_bytes":${
    bytes.length
  }${intact ? '' : ',"crc_ok":false'},"payload_base64":"${bytes.toString('base64')}"${
    json === undefined ? '' : `,"payload":${json}`
  }}`;
}

/**
 * A line by RFC 4180, its end included. No cell can call anything as a formula in a spreadsheet: no
 * JSON text begins with =, @ or a tab, or with - and goes on as more than a number; and what else
 * may begin with a + is Base64, which has no brackets.
 */
export function frameCsv(frame: StoredFrame, intact: boolean): string {
  const { collector, epoch, seq, capturedAt, receivedAt, payload } = frame;
  const bytes = bytesOf(payload);
  const json = jsonTextOf(bytes)?.trimStart();
  return `${collector},${epoch},${seq},${formatTime(capturedAt)},${formatTime(
    receivedAt,
  )},${formatCrc(frame.crc)},${bytes.length},${intact},${bytes.toString('base64')},${
    json === undefined ? '' : csvCell(json)
  }\r\n`;
}

function csvCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function bytesOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}
