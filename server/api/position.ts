/**
 * Places in the order of frames as text: the cursor of a page, and the end of an export that is to
 * go on. Both name a frame by what never changes, so neither is moved by what comes in meanwhile.
 */
import { type Epoch, formatTime, isCollectorId, isUuid } from '#protocol/identity.ts';
import type { FramePosition } from '#server/store/store.ts';
import { parseTime } from './time.ts';

/** Opaque to whoever is given it. */
export function cursorOf({ collector, epoch, capturedAt, seq }: FramePosition): string {
  return Buffer.from(JSON.stringify([collector, epoch, capturedAt, seq])).toString('base64url');
}

/** undefined when it is none of ours. */
export function positionOfCursor(cursor: string): FramePosition | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts) || parts.length !== 4) return undefined;
  const [collector, epoch, capturedAt, seq]: unknown[] = parts;
  return positionOf(collector, epoch, capturedAt, seq);
}

/** What the first four fields of a line say, as CSV has them: collector, epoch, seq, captured_at. */
export function lineOf({ collector, epoch, capturedAt, seq }: FramePosition): string {
  return `${collector},${epoch},${seq},${formatTime(capturedAt)}`;
}

/** undefined when these are not the fields of a line. */
export function positionOfLine(fields: string): FramePosition | undefined {
  const [collector, epoch, seq = '', capturedAt = '', ...more] = fields.split(',');
  if (more.length > 0 || !/^\d+$/.test(seq)) return undefined;
  return positionOf(collector, epoch, parseTime(capturedAt), Number(seq));
}

function positionOf(
  collector: unknown,
  epoch: unknown,
  capturedAt: unknown,
  seq: unknown,
): FramePosition | undefined {
  const ours =
    typeof collector === 'string' &&
    isCollectorId(collector) &&
    typeof epoch === 'string' &&
    isUuid(epoch) &&
    Number.isSafeInteger(capturedAt) &&
    Number.isSafeInteger(seq);
  if (!ours) return undefined;
  return { collector, epoch: epoch as Epoch, capturedAt: Number(capturedAt), seq: Number(seq) };
}
