/**
 * Toxiproxy's toxics: their names, attributes and ranges, and what each does in words. The ranges
 * are narrower than Toxiproxy's own, which ends over a negative rate, a slice of no bytes or one
 * that varies by more than its size. How they get there is `link.ts`.
 *
 * The rest of its behaviour that matters here, measured with 2.12.0: `timeout` drops what comes from
 * the first byte on and closes when nothing has come for that long (0: never), and its removal closes
 * the connections that it held; `reset_peer` acts on the first bytes of connections opened after it;
 * `bandwidth` 0 holds bytes back and drops none; `limit_data` counts from the moment of its adding.
 */
import { z } from 'zod';

export const STREAMS = ['upstream', 'downstream'] as const;

/** Toxiproxy's words: upstream is towards the server (frames), downstream towards the collector (acks). */
export type Stream = (typeof STREAMS)[number];

const HOUR_MS = 3_600_000;

function whole(min: number, max: number, what: string) {
  return z.number().int().min(min).max(max).describe(what);
}

/** The attributes of each toxic, in Toxiproxy's words and units. */
export const TOXIC_ATTRIBUTES = {
  latency: z
    .strictObject({
      latency: whole(0, HOUR_MS, 'milliseconds that everything takes longer'),
      jitter: whole(0, HOUR_MS, 'milliseconds more or less, at random').default(0),
    })
    .refine(({ latency, jitter }) => jitter <= latency, 'the jitter is more than the latency'),
  bandwidth: z.strictObject({
    rate: whole(0, 1_000_000, 'kilobytes a second; 0 holds everything back and drops nothing'),
  }),
  slow_close: z.strictObject({
    delay: whole(0, HOUR_MS, 'milliseconds by which the end of a connection comes later'),
  }),
  timeout: z.strictObject({
    timeout: whole(
      0,
      HOUR_MS,
      'everything is dropped; milliseconds without any until the connection is closed, 0: never',
    ),
  }),
  // Its timer holds Toxiproxy's lock: nothing else can be ordered meanwhile.
  reset_peer: z.strictObject({
    timeout: whole(0, 5_000, 'milliseconds from the first bytes of a connection to its reset'),
  }),
  slicer: z
    .strictObject({
      average_size: whole(1, 65_536, 'bytes of a slice'),
      size_variation: whole(0, 65_535, 'bytes more or less; less than the slice').default(0),
      delay: whole(0, 1_000_000, 'microseconds between slices').default(0),
    })
    .refine((one) => one.size_variation < one.average_size, 'the slice varies by its whole size'),
  limit_data: z.strictObject({
    bytes: whole(0, 1_000_000_000, 'bytes after which a connection ends'),
  }),
} as const;

type ToxicType = keyof typeof TOXIC_ATTRIBUTES;

/** What is to be put on the link, on every connection. */
export type ToxicOrder = {
  [Type in ToxicType]: {
    readonly type: Type;
    readonly stream: Stream;
    readonly attributes: z.input<(typeof TOXIC_ATTRIBUTES)[Type]>;
  };
}[ToxicType];

/** What is there, as Toxiproxy tells it; others may have put there what is unknown here. */
export const toxicAnswer = z.object({
  name: z.string(),
  type: z.string(),
  stream: z.enum(STREAMS),
  /** The share of connections that it acts on. */
  toxicity: z.number(),
  attributes: z.record(z.string(), z.unknown()),
});

export type Toxic = z.infer<typeof toxicAnswer>;

/**
 * The order as Toxiproxy takes it, with a name that none of `taken` has: its type and stream.
 * @throws TypeError for attributes that Toxiproxy should not be given.
 */
export function toxicOf(
  { type, stream, attributes }: ToxicOrder,
  taken: ReadonlySet<string>,
): Toxic {
  const checked = TOXIC_ATTRIBUTES[type].safeParse(attributes);
  if (!checked.success) throw new TypeError(`${type}: ${z.prettifyError(checked.error)}`);
  let name = `${type}_${stream}`;
  for (let number = 2; taken.has(name); number += 1) name = `${type}_${stream}_${number}`;
  return { name, type, stream, toxicity: 1, attributes: checked.data };
}

/** Toxiproxy takes an attribute that it doesn't know without a word, so what it has is compared. */
export function isSameToxic(one: Toxic, other: Toxic): boolean {
  return (
    one.type === other.type &&
    one.stream === other.stream &&
    one.toxicity === other.toxicity &&
    Object.entries(other.attributes).every(([name, value]) => one.attributes[name] === value)
  );
}

export function describeToxic({ type, stream, toxicity, attributes }: Toxic): string {
  const towards = stream === 'upstream' ? 'to the server' : 'to the collector';
  const share = toxicity === 1 ? '' : ` on ${toxicity * 100} % of connections`;
  return `${inWords(type, attributes)} ${towards}${share}`;
}

function inWords(type: string, attributes: Toxic['attributes']): string {
  if (type === 'bandwidth') return `${attributes.rate} kB/s`;
  if (type !== 'latency') return `${type} ${JSON.stringify(attributes)}`;
  const { latency, jitter } = attributes;
  return jitter === 0 || jitter === undefined ? `+${latency} ms` : `+${latency} ± ${jitter} ms`;
}
