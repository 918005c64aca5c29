/**
 * Places in the order of frames as text: the cursor of a page, and the end of an export that is to
 * go on. Both name a frame by what never changes, so neither is moved by what comes in meanwhile.
 */
import { COLLECTOR_ID, UUID } from '#protocol/identity.ts';
import type { FramePosition } from '#server/store/store.ts';
import { parseTime } from './time.ts';

const [ID, EPOCH] = [COLLECTOR_ID, UUID].map(({ source }) => source.slice(1, -1));
/** As times are written in answers; a day too many is one of the next month. */
const TIME =
  '\\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d\\.\\d{6}Z';

/** The form of a cursor, which is opaque to whoever is given it. */
export const CURSOR = new RegExp(`^(${ID})~(${EPOCH})~(\\d{1,16})~(\\d{1,16})$`);

/** The form of a line's first four fields, as CSV has them: collector, epoch, seq, captured_at. */
export const LINE = new RegExp(`^(${ID}),(${EPOCH}),(\\d{1,16}),(${TIME})$`);

export function cursorOf({ collector, epoch, capturedAt, seq }: FramePosition): string {
  return `${collector}~${epoch}~${capturedAt}~${seq}`;
}

/** undefined when it is none of ours. */
export function positionOfCursor(cursor: string): FramePosition | undefined {
  const [, collector = '', epoch = '', capturedAt, seq] = CURSOR.exec(cursor) ?? [];
  if (seq === undefined) return undefined;
  return { collector, epoch, capturedAt: bounded(capturedAt), seq: bounded(seq) };
}

/** undefined when these are not the fields of a line. */
export function positionOfLine(fields: string): FramePosition | undefined {
  const [, collector = '', epoch = '', seq, time = ''] = LINE.exec(fields) ?? [];
  const capturedAt = parseTime(time);
  if (capturedAt === undefined) return undefined;
  return { collector, epoch, capturedAt, seq: bounded(seq) };
}

/** What is past the largest seq and time there can be is behind them. */
function bounded(digits: string | undefined): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
}
