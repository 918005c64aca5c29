/**
 * What the API takes and gives, as zod schemas: they check requests and responses, and the OpenAPI
 * document is made from them.
 */
import { z } from 'zod';
import { COLLECTOR_ID_RULE, isCollectorId, isUuid } from '#protocol/identity.ts';
import { parseTime } from './time.ts';

const collectorId = z.string().describe(`A collector's id: ${COLLECTOR_ID_RULE}.`);
const epoch = z.string().describe('An epoch: a UUIDv7, one opening of a queue by a writer.');
const seq = z.number().int().describe('1, 2, 3 … within the epoch.');
const time = z.iso
  .datetime({ precision: 6 })
  .describe('RFC 3339 in UTC with microseconds, e.g. 2026-11-21T08:12:17.000123Z.');

const collectorQuery = z
  .string()
  .refine(isCollectorId, `must be a collector id: ${COLLECTOR_ID_RULE}`)
  .optional()
  .describe('Only of this collector.');

const epochQuery = z
  .string()
  .refine(isUuid, 'must be a UUID in lower case')
  .optional()
  .describe('Only of this epoch.');

const timeQuery = z
  .string()
  .transform((text, context) => {
    const parsed = parseTime(text);
    if (parsed !== undefined) return parsed;
    context.addIssue('must be an RFC 3339 time from 1970 on, e.g. 2026-11-21T08:12:17.5Z');
    return z.NEVER;
  })
  .optional();

/** Nothing is taken; whatever is given is a mistake worth telling. */
export const noQuery = z.strictObject({});

export const auditQuery = z.strictObject({ collector: collectorQuery });

export const exportQuery = z.strictObject({ collector: collectorQuery, epoch: epochQuery });

const FRAMES_LIMIT_MAX = 1_000;

export const framesQuery = z.strictObject({
  collector: collectorQuery,
  epoch: epochQuery,
  from: timeQuery.describe('Captured at this time or later.'),
  to: timeQuery.describe('Captured before this time.'),
  order: z
    .enum(['newest', 'oldest'])
    .default('newest')
    .describe('By collector, epoch, capture time and seq: ascending, or all of them descending.'),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(FRAMES_LIMIT_MAX)
    .default(100)
    .describe('Frames in one answer, at most. There may be fewer and a next_cursor.'),
  cursor: z
    .string()
    .max(1_000)
    .optional()
    .describe('next_cursor of the answer before; all else as in the request before.'),
});

export const healthResponse = z.object({ status: z.literal('ok') });

const newest = z.object({ epoch, seq, captured_at: time, received_at: time });

export const collectorsResponse = z.object({
  as_of: time,
  collectors: z.array(
    z.object({
      collector: collectorId,
      connected: z.boolean(),
      instance: z.string().describe('The process that is, or was last, connected.'),
      connected_at: time.nullable(),
      last_heard_at: time,
      silent_since: time.nullable().describe('null while it is connected.'),
      newest: newest.nullable().describe('The newest frame that is stored.'),
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

const frameShape = {
  collector: collectorId,
  epoch,
  seq,
  captured_at: time,
  received_at: time,
  crc32: z.string().describe('Over epoch, seq, captured_at and payload; 8 hex digits.'),
};

export const framesResponse = z.object({
  frames: z.array(
    z.object({
      ...frameShape,
      payload_bytes: count,
      payload_base64: z.string(),
      payload: z.unknown().optional().describe('The payload as JSON, where it is JSON.'),
    }),
  ),
  next_cursor: z.string().nullable().describe('null at the end.'),
});

export const exportLine = z.object({
  ...frameShape,
  payload_base64: z.string(),
  payload: z.unknown().optional().describe('The payload as JSON, where it is JSON.'),
  crc_ok: z
    .literal(false)
    .optional()
    .describe('Only where the stored bytes no longer match their CRC: the row is damaged.'),
});
