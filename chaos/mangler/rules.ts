/**
 * What the mangler can be told to do, as its control API takes it, and the account that it keeps of
 * each order. A mistyped name is refused: a rule that silently does something else proves nothing.
 */
import { z } from 'zod';
import { KINDS, type Kind } from '#protocol/messages.ts';

/** Upstream is towards the server, downstream towards the collector; as Toxiproxy has it. */
export type Direction = 'upstream' | 'downstream';

const kind = z.enum(Object.keys(KINDS) as [Kind, ...Kind[]]);

/** Places lie so many bytes apart on the mean, and less than twice as many at most. */
const everyBytes = z.number().int().min(1).max(1_000_000_000);

/** Bites are told one by one up to here; further ones are only counted. */
const BITES_TOLD_MAX = 100;

const scope = {
  direction: z.enum(['upstream', 'downstream', 'both']).default('both'),
  /** Only connections on which this collector said HELLO, from its HELLO on. */
  collector: z.string().optional(),
  /** Only one connection, chosen when the rule is made: the newest, or the oldest, of those above. */
  only: z.enum(['newest', 'oldest']).optional(),
};

const within = {
  ...scope,
  /** Only messages of this kind; every byte when left out. Never true of a stream that is secured. */
  messages: kind.optional(),
  /** So many bites at most; no limit when left out. */
  times: z.number().int().min(1).max(1_000_000_000).optional(),
};

const seeded = {
  ...within,
  seed: z.number().int().min(0).max(0xffff_ffff),
  every_bytes: everyBytes,
};

const piece = {
  ...seeded,
  /** So many bytes from the place on, or the first whole message that begins behind it. */
  piece: z.union([z.literal('message'), z.number().int().min(1).max(65_536)]).default('message'),
};

export const ruleSchema = z.discriminatedUnion('do', [
  /** One bit at each place. */
  z.strictObject({ do: z.literal('flip'), ...seeded }),
  /** A piece comes twice, one right behind the other. */
  z.strictObject({ do: z.literal('double'), ...piece }),
  /** A piece doesn't come. */
  z.strictObject({ do: z.literal('drop'), ...piece }),
  /** A piece comes behind the one that followed it. */
  z.strictObject({ do: z.literal('swap'), ...piece }),
  /** So many bytes into the `nth` message the connection ends; past its length: at its end. */
  z
    .strictObject({
      do: z.literal('cut'),
      ...within,
      direction: z.enum(['upstream', 'downstream']),
      /** Counted on each connection from the making of the rule on. */
      nth: z.number().int().min(1).optional(),
      /** Counted from the connection's first byte behind the rule, where no kind is named. */
      bytes: z.number().int().min(0).default(0),
      by: z.enum(['rst', 'fin']).default('rst'),
    })
    .refine(({ messages, nth }) => messages !== undefined || nth === undefined, {
      message: 'nth counts messages of a kind: name it in messages',
    }),
  /** Every write carries at most so many bytes. */
  z.strictObject({
    do: z.literal('crumble'),
    ...within,
    bytes: z.number().int().min(1).max(65_536).default(1),
  }),
  /** Takes everything and passes nothing on, not even an end. */
  z.strictObject({ do: z.literal('black_hole'), ...scope }),
]);

/** As it is sent. */
export type RuleInput = z.input<typeof ruleSchema>;
export type Rule = z.output<typeof ruleSchema>;

export interface Bite {
  readonly connection: number;
  readonly direction: Direction;
  /** The kind of the message, where it was known. */
  readonly message: Kind | null;
  /** Bytes of this direction before it, as they came in. */
  readonly at: number;
}

/** A rule as the control API tells it. */
export interface RuleState {
  readonly id: number;
  readonly rule: Rule;
  /** The one connection that it is about; null for all. */
  readonly connection: number | null;
  /** How often it has had its effect; bytes for a black hole. */
  readonly count: number;
  /** The first of them. */
  readonly bites: readonly Bite[];
}

/** A rule in force, and what it has done so far. */
export class RuleInForce {
  readonly id: number;
  readonly rule: Rule;
  /** The one connection that it is about; undefined for all. */
  readonly connection: number | undefined;
  lifted = false;
  readonly #bites: Bite[] = [];
  #claimed = 0;
  #count = 0;

  constructor(id: number, rule: Rule, connection: number | undefined) {
    this.id = id;
    this.rule = rule;
    this.connection = connection;
  }

  get state(): RuleState {
    const { id, rule, connection = null } = this;
    return { id, rule, connection, count: this.#count, bites: this.#bites };
  }

  /** May it bite once more? It is then expected to. */
  claim(): boolean {
    const limit = 'times' in this.rule ? (this.rule.times ?? Infinity) : Infinity;
    if (this.#claimed >= limit) return false;
    this.#claimed += 1;
    return true;
  }

  /** It had its effect. */
  bit(bite: Bite, count = 1): void {
    this.#count += count;
    if (this.#bites.length < BITES_TOLD_MAX) this.#bites.push(bite);
  }
}
