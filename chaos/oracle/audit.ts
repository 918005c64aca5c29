/**
 * The server's audit, read: what it says became of each seq. It is a claim, not evidence: it can
 * make a loss a declared one, it can never make one go away.
 */
import { z } from 'zod';

const range = z.object({
  from: z.number().int().min(1),
  to: z.number().int().min(1),
  reason: z.string().optional(),
});

const ranges = z.array(range);
const count = z.number().int().min(0);

export const auditSchema = z.object({
  collectors: z.array(
    z.object({
      collector: z.string(),
      totals: z.object({
        stored: count,
        declared: count,
        pruned: count,
        pending: count,
        missing: count,
        duplicates_refused: count,
      }),
      epochs: z.array(
        z.object({
          epoch: z.string(),
          last: count,
          stored: count,
          declared: ranges,
          rejected: ranges,
          pruned: ranges,
          pending: ranges,
          missing: ranges,
        }),
      ),
    }),
  ),
});

export type AuditDocument = z.output<typeof auditSchema>;
type EpochDocument = AuditDocument['collectors'][number]['epochs'][number];

/** Each list of an epoch, in which a seq stands at most once in all. */
const LISTS = ['declared', 'rejected', 'pruned', 'pending', 'missing'] as const;

/** What the audit says of a seq. `stored`: it is settled and in no list. */
export interface Claim {
  readonly state: (typeof LISTS)[number] | 'stored';
  readonly reason: string | undefined;
}

interface Listed extends Claim {
  readonly from: number;
  readonly to: number;
}

interface EpochClaims {
  readonly last: number;
  /** Lowest first. */
  readonly listed: readonly Listed[];
}

export class Audit {
  readonly document: AuditDocument;
  readonly #epochs = new Map<string, EpochClaims>();

  constructor(document: AuditDocument) {
    this.document = document;
    for (const { collector, epochs } of document.collectors) {
      for (const epoch of epochs) this.#epochs.set(`${collector} ${epoch.epoch}`, claimsOf(epoch));
    }
  }

  /** Undefined where the audit knows nothing of the seq. */
  claim(collector: string, epoch: string, seq: number): Claim | undefined {
    const claims = this.#epochs.get(`${collector} ${epoch}`);
    if (claims === undefined || seq > claims.last) return undefined;
    return find(claims.listed, seq) ?? { state: 'stored', reason: undefined };
  }
}

function claimsOf(epoch: EpochDocument): EpochClaims {
  const listed = LISTS.flatMap((state) =>
    epoch[state].map(({ from, to, reason }) => ({ state, from, to, reason })),
  );
  listed.sort((a, b) => a.from - b.from);
  return { last: epoch.last, listed };
}

function find(listed: readonly Listed[], seq: number): Listed | undefined {
  let low = 0;
  let high = listed.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((listed[middle]?.to ?? 0) < seq) low = middle + 1;
    else high = middle;
  }
  const found = listed[low];
  return found !== undefined && found.from <= seq ? found : undefined;
}
