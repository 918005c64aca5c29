/** What the lab's paths take and give, as zod schemas. */
import { z } from 'zod';
import { SLOWNESS } from '#lab/link.ts';
import { time } from '#server/api/schemas.ts';

const details = z.array(z.string()).describe('What is on the link, in words, one each.');

export const linkResponse = z.object({
  state: z.enum(['whole', 'slow', 'cut', 'unknown']).describe('unknown: Toxiproxy did not say.'),
  details,
  since: time.describe('Since when it is so, as far as this server has seen.'),
  error: z.string().nullable().describe('Why it is unknown; null where it is not.'),
});

export const fault = z.object({
  from: time,
  to: time.nullable().describe('null while it goes on.'),
  state: z.enum(['slow', 'cut', 'unknown']),
  details,
});

export const labResponse = z.object({
  as_of: time,
  link: linkResponse,
  collector_page: z
    .string()
    .nullable()
    .describe("The collector's own page, which is there while the link is cut, too."),
  faults: z
    .array(fault)
    .describe('Oldest first, whoever made them; the latest 500, as seen once a second.'),
});

const { latencyMs, rateKbps } = SLOWNESS;

export const linkOrder = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('cut') }),
  z.strictObject({
    action: z.literal('slow'),
    latency_ms: z
      .int()
      .min(latencyMs.min)
      .max(latencyMs.max)
      .default(latencyMs.usual)
      .describe('Milliseconds that everything takes longer, in each direction.'),
    rate_kbps: z
      .int()
      .min(rateKbps.min)
      .max(rateKbps.max)
      .default(rateKbps.usual)
      .describe('Kilobytes a second, in each direction.'),
  }),
  z.strictObject({ action: z.literal('restore') }),
]);
