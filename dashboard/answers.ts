/** What the API answers, as far as the page reads it. Types alone; times are RFC 3339 in UTC. */
import type { SeriesAnswer } from './columns.ts';

export interface CollectorsAnswer {
  readonly as_of: string;
  readonly collectors: readonly Collector[];
}

export interface Collector {
  readonly collector: string;
  readonly connected: boolean;
  readonly connected_at: string | null;
  readonly waiting: readonly { readonly address: string; readonly since: string }[];
  readonly last_heard_at: string;
  readonly silent_since: string | null;
  readonly newest: {
    readonly epoch: string;
    readonly seq: number;
    readonly captured_at: string;
    readonly received_at: string;
  } | null;
  /** Of the frames of the last minutes. */
  readonly delivery_lag: {
    readonly since: string;
    readonly p50_ms: number;
    readonly p99_ms: number;
    readonly max_ms: number;
  } | null;
}

export const FATES = ['stored', 'declared', 'rejected', 'pruned', 'pending', 'missing'] as const;
/** What can become of a frame. */
export type Fate = (typeof FATES)[number];

export interface AuditAnswer {
  readonly as_of: string;
  readonly collectors: readonly Audit[];
}

export interface Audit {
  readonly collector: string;
  readonly connected: boolean;
  readonly totals: Readonly<Record<Fate, number>>;
  readonly epochs: readonly EpochAudit[];
}

export interface EpochAudit extends Readonly<Record<Exclude<Fate, 'stored'>, readonly SeqRange[]>> {
  readonly epoch: string;
  readonly first: number;
  readonly last: number;
  readonly stored: number;
}

export interface SeqRange {
  readonly from: number;
  readonly to: number;
  readonly reason?: string;
}

export interface GapsAnswer {
  readonly as_of: string;
  readonly collector: string;
  readonly complete: boolean;
  readonly gaps: readonly Gap[];
}

export interface Gap {
  readonly epoch: string;
  readonly kind: Exclude<Fate, 'stored'>;
  readonly from: number;
  readonly to: number;
  readonly reason: string | null;
  readonly captured_after: string | null;
  readonly captured_before: string | null;
}

export interface FramesAnswer {
  /** What is no JSON has no payload. */
  readonly frames: readonly { readonly payload?: unknown }[];
}

export type LinkState = 'whole' | 'slow' | 'cut' | 'unknown';

export interface Link {
  readonly state: LinkState;
  readonly details: readonly string[];
  readonly since: string;
  readonly error: string | null;
}

export interface Fault {
  readonly from: string;
  readonly to: string | null;
  readonly state: Exclude<LinkState, 'whole'>;
  readonly details: readonly string[];
}

export interface LabAnswer {
  readonly as_of: string;
  readonly link: Link;
  readonly collector_page: string | null;
  readonly faults: readonly Fault[];
}

export type LinkAction =
  | { readonly action: 'cut' }
  | { readonly action: 'slow'; readonly latency_ms: number; readonly rate_kbps: number }
  | { readonly action: 'restore' };

export interface CatalogueAnswer {
  readonly collectors: readonly {
    readonly collector: string;
    readonly first_captured_at: string | null;
    readonly series: readonly Pick<
      SeriesAnswer['series'][number],
      'metric' | 'unit' | 'attributes'
    >[];
  }[];
}
