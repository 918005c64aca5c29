/** What the paths of the series take and give, as zod schemas; the OpenAPI document has them too. */
import { z } from 'zod';
import { COLLECTOR_ID, COLLECTOR_ID_RULE } from '#protocol/identity.ts';
import { FORWARDS, isForwards, numberOf, timeQuery } from '#server/api/schemas.ts';
import { FORMS } from './series-query.ts';

const POINTS_MAX = 5_000;
/** Of one parameter that may be given more than once: all of them have to fit into the request's head. */
const VALUES_MAX = 32;

const time = z.iso.datetime({ precision: 6 }).describe('RFC 3339 in UTC with microseconds.');

/** A parameter that may be there never, once or often. */
function several<T extends z.ZodType>(value: T) {
  return z.preprocess(
    (given) => (given === undefined ? undefined : [given].flat()),
    z.array(value).max(VALUES_MAX).optional(),
  );
}

const collectors = several(
  z.string().regex(COLLECTOR_ID, `must be a collector id: ${COLLECTOR_ID_RULE}`),
).describe('Only of this collector; may be given more than once.');

const attribute = z
  .string()
  .regex(/^[^=]+=/, 'must be key=value; key= finds what lacks that attribute')
  .transform((text) => {
    const at = text.indexOf('=');
    return { key: text.slice(0, at), value: text.slice(at + 1) };
  });

export const seriesQuery = z
  .strictObject({
    collector: collectors,
    metric: several(z.string().min(1)).describe('Only this metric; may be given more than once.'),
    attribute: several(attribute).describe(
      'key=value: only series with this attribute; key= those without it. All that are given have to hold.',
    ),
    from: timeQuery.describe('Captured at this time or later; without it from the first frame on.'),
    to: timeQuery.describe(
      'Captured before this time, which is not before `from`; without it to the last frame.',
    ),
    points: z
      .preprocess(numberOf, z.int().min(1).max(POINTS_MAX))
      .default(1_000)
      .describe('Buckets of a series, at most. Their width is the finest round one for that.'),
    form: z
      .enum(FORMS)
      .default('buckets')
      .describe(
        'buckets: a list of buckets for each series. columns: a list for each of their values.',
      ),
  })
  .refine(isForwards, FORWARDS);

export const catalogueQuery = z.strictObject({ collector: collectors });

const names = {
  metric: z.string(),
  unit: z.string().describe('Empty where the payloads tell none.'),
  attributes: z.record(z.string(), z.string()),
};
const completeTo = time
  .nullable()
  .describe('All that was stored before this time is in here; null while that is not known.');

const lateMeaning = 'How many of these reached the server over 10 s after their capture.';

const seriesHead = {
  complete_to: completeTo,
  from: time.nullable().describe('Start of the first bucket; null where there is nothing.'),
  to: time.nullable().describe('End of the last bucket.'),
  bucket_seconds: z.number().nullable(),
};

export const seriesResponse = z.object({
  ...seriesHead,
  series: z.array(
    z.object({
      collector: z.string(),
      ...names,
      buckets: z
        .array(
          z.object({
            t: time.describe('Start of the bucket, on capture time.'),
            min: z.number(),
            max: z.number(),
            mean: z.number(),
            count: z.number().int(),
            late: z.number().int().describe(lateMeaning),
          }),
        )
        .describe('By time; a bucket without values is left out.'),
    }),
  ),
});

const numbers = z.array(z.number());
const integers = z.array(z.number().int());

export const columnsResponse = z.object({
  ...seriesHead,
  series: z
    .array(
      z.object({
        collector: z.string(),
        ...names,
        t: integers.describe('Start of each bucket, in milliseconds behind `from`; ascending.'),
        mean: numbers,
        min: numbers.nullable().describe('null where it is the mean in every bucket, as is max.'),
        max: numbers.nullable(),
        count: integers.nullable().describe('null where it is 1 in every bucket.'),
        late: integers.nullable().describe(`${lateMeaning} null where it is 0 in every bucket.`),
      }),
    )
    .describe('All lists of a series have the same length; a bucket without values is left out.'),
});

export const catalogueResponse = z.object({
  complete_to: completeTo,
  collectors: z.array(
    z.object({
      collector: z.string(),
      first_captured_at: time,
      last_captured_at: time,
      left_out: z
        .number()
        .int()
        .describe('Numbers that are not charted because of a limit: see docs/series.md.'),
      series: z.array(z.object(names)),
    }),
  ),
});
