/**
 * What the API takes and gives, as zod schemas: they check requests and responses, and the OpenAPI
 * document is made from them.
 */
import { z } from 'zod';
import { COLLECTOR_ID, COLLECTOR_ID_RULE, UUID } from '#protocol/identity.ts';
import { EXPORT_FORMATS } from './export-text.ts';
import { CURSOR, LINE, positionOfCursor, positionOfLine } from './position.ts';
import { parseTime } from './time.ts';

const collectorId = z.string().describe(`A collector's id: ${COLLECTOR_ID_RULE}.`);
const epoch = z.string().describe('An epoch: a UUIDv7, one opening of a queue by a writer.');
const seq = z.number().int().describe('1, 2, 3 … within the epoch.');
export const time = z.iso
  .datetime({ precision: 6 })
  .describe('RFC 3339 in UTC with microseconds, e.g. 2026-11-21T08:12:17.000123Z.');

const oneCollectorQuery = z
  .string('must be given, once')
  .regex(COLLECTOR_ID, `must be a collector id: ${COLLECTOR_ID_RULE}`);

const collectorQuery = oneCollectorQuery
  .optional()
  .describe('Only of this collector; of one that was never heard there is nothing.');

const epochQuery = z
  .string()
  .regex(UUID, 'must be a UUID in lower case')
  .optional()
  .describe('Only of this epoch.');

export const timeQuery = z.iso
  .datetime({ offset: true, error: 'must be an RFC 3339 time, e.g. 2026-11-21T08:12:17.5Z' })
  .transform((text, context) => {
    const parsed = parseTime(text);
    if (parsed !== undefined) return parsed;
    context.addIssue('there is no such time');
    return z.NEVER;
  })
  .optional();

/**
 * For `refine` of what has both: a time before `from` is a mistake worth telling. The same time twice
 * is a range without anything in it.
 */
export function isForwards({ from, to }: { from?: number | undefined; to?: number | undefined }) {
  return from === undefined || to === undefined || from <= to;
}

export const FORWARDS = { path: ['to'], error: 'must not be before from' };

/** What selects frames. */
const frameFilter = {
  collector: collectorQuery,
  epoch: epochQuery,
  from: timeQuery.describe('Captured at this time or later.'),
  to: timeQuery.describe('Captured before this time, which is not before `from`.'),
};

/** Digits as their number; anything else as it is, to be refused by the schema behind. */
export function numberOf(text: unknown): unknown {
  return typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : text;
}

/** Nothing is taken; whatever is given is a mistake worth telling. */
export const noQuery = z.strictObject({});

export const auditQuery = z.strictObject({ collector: collectorQuery });

export const gapsQuery = z
  .strictObject({
    collector: oneCollectorQuery.describe('Of this collector.'),
    from: timeQuery.describe('Only gaps that may reach beyond this time.'),
    to: timeQuery.describe(
      'Only gaps that may begin before this time, which is not before `from`.',
    ),
  })
  .refine(isForwards, FORWARDS);

export const exportQuery = z
  .strictObject({
    ...frameFilter,
    format: z
      .enum(EXPORT_FORMATS)
      .default('ndjson')
      .describe('ndjson: an object of JSON a line. csv: RFC 4180 with a header line.'),
    after: z
      .string()
      .regex(LINE, 'must be collector, epoch, seq and captured_at of a line, with commas between')
      .transform(positionOfLine)
      .optional()
      .describe(
        'Go on behind this frame: collector, epoch, seq and captured_at of the last whole line that came, with commas between. All else as in the request before.',
      ),
  })
  .refine(isForwards, FORWARDS);

const FRAMES_LIMIT_MAX = 1_000;

export const framesQuery = z
  .strictObject({
    ...frameFilter,
    order: z
      .enum(['newest', 'oldest'])
      .default('newest')
      .describe('By collector, epoch, capture time and seq: ascending, or all of them descending.'),
    limit: z
      .preprocess(numberOf, z.int().min(1).max(FRAMES_LIMIT_MAX))
      .default(100)
      .describe('Frames in one answer, at most. There may be fewer and a next_cursor.'),
    cursor: z
      .string()
      .regex(CURSOR, 'must be a next_cursor of an answer before')
      .transform(positionOfCursor)
      .optional()
      .describe('next_cursor of the answer before; all else as in the request before.'),
  })
  .refine(isForwards, FORWARDS);

export const healthResponse = z.object({ status: z.literal('ok') });

const newest = z.object({ epoch, seq, captured_at: time, received_at: time });

const deliveryLag = z.object({
  since: time.describe('Of frames that were committed from then on.'),
  frames: z.number().int().describe('How many; a backlog that drains is among them.'),
  p50_ms: z.number().int().describe('Half of them took so long at most; up to 19 % too high.'),
  p99_ms: z.number().int(),
  max_ms: z.number().int(),
});

export const collectorsResponse = z.object({
  as_of: time,
  collectors: z.array(
    z.object({
      collector: collectorId,
      connected: z.boolean(),
      instance: z.string().describe('The process that is, or was last, connected.'),
      address: z.string().nullable().describe('Host and port of that connection.'),
      connected_at: time.nullable(),
      waiting: z
        .array(
          z.object({ instance: z.string(), address: z.string(), since: time, last_asked_at: time }),
        )
        .describe(
          'Other processes that ask to come in as this collector: give each an id of its own.',
        ),
      last_heard_at: time,
      silent_since: time.nullable().describe('null while it is connected.'),
      newest: newest.nullable().describe('The newest frame that is stored.'),
      delivery_lag: deliveryLag
        .nullable()
        .describe(
          'From capture, by the clock of the collector, to commit, by that of the server; of the last five to ten minutes. null where nothing was committed since the start.',
        ),
    }),
  ),
});

const range = z.object({ from: seq, to: seq, reason: z.string().optional() });
const count = z.number().int();

export const auditResponse = z.object({
  as_of: time.describe('When this was so. What a silent collector captured since is not known.'),
  store_id: z.string(),
  collectors: z.array(
    z.object({
      collector: collectorId,
      connected: z.boolean(),
      last_heard_at: time,
      silent_since: time.nullable().describe('null while it is connected.'),
      totals: z.object({
        stored: count,
        declared: count,
        rejected: count,
        pruned: count,
        pending: count,
        missing: count,
        duplicates_refused: count,
        conflicts_refused: count,
      }),
      epochs: z.array(
        z.object({
          epoch,
          first: count.describe('1, or 0 where no seq is known yet.'),
          last: count,
          stored: count,
          declared: z.array(range).describe('Given up by the collector, with the reason.'),
          rejected: z.array(range).describe('Refused by the server for good, with the reason.'),
          pruned: z.array(range).describe('Stored once, removed since by retention.'),
          pending: z.array(range).describe('Announced, not settled, still held by the collector.'),
          missing: z.array(range).describe('Not settled, and nobody has it.'),
          duplicates_refused: count.describe('Frames that came again, with the same bytes.'),
          conflicts_refused: count.describe('Seqs under which other bytes came later.'),
        }),
      ),
    }),
  ),
});

const neighbour = time.nullable();

export const gapsResponse = z.object({
  as_of: time.describe('When this was so.'),
  collector: collectorId,
  complete: z
    .boolean()
    .describe('False where only the newest ones are in here, for there are too many.'),
  gaps: z
    .array(
      z.object({
        epoch,
        kind: z
          .enum(['declared', 'rejected', 'pruned', 'pending', 'missing'])
          .describe('The list of the audit in which it is.'),
        from: seq,
        to: seq,
        reason: z.string().nullable().describe('Why it was declared or rejected, else null.'),
        captured_after: neighbour.describe(
          'Capture time of the stored frame before it: of its epoch, or else the last one of an older epoch; null where there is none.',
        ),
        captured_before: neighbour.describe(
          'Capture time of the stored frame behind it: of its epoch, or else the first one of a newer epoch; null where there is none.',
        ),
      }),
    )
    .describe('Newest first: by epoch and seq, descending.'),
});

export const frame = z.object({
  collector: collectorId,
  epoch,
  seq,
  captured_at: time,
  received_at: time,
  crc32: z.string().describe('Over epoch, seq, captured_at and payload; 8 hex digits.'),
  payload_bytes: count,
  crc_ok: z
    .literal(false)
    .optional()
    .describe('Only where the stored bytes no longer match their CRC: the row is damaged.'),
  payload_base64: z.string(),
  payload: z
    .unknown()
    .optional()
    .describe('The payload itself, where it is JSON of at most 100 levels.'),
});

export const framesResponse = z.object({
  frames: z.array(frame),
  next_cursor: z.string().nullable().describe('null at the end.'),
});
