/** What the API works with; `main.ts` brings it. */
import type { Logger } from 'pino';
import type { Registry as MetricsRegistry } from 'prom-client';
import type { ApiGuardOptions } from '#server/access/api-guard.ts';
import type { LagSummary } from '#server/delivery-lag.ts';
import type { Events } from '#server/events.ts';
import type { WaitingInstance } from '#server/ingest/registry.ts';
import type { Lab } from '#server/lab/lab.ts';
import type { SeriesIndex } from '#server/series/series-index.ts';
import type { Store } from '#server/store/store.ts';
import type { ConnectedSession } from './answers.ts';

export interface ApiOptions {
  readonly version: string;
  readonly store: Store;
  readonly events: Events;
  readonly metrics: MetricsRegistry;
  readonly log: Logger;
  /** Microseconds since 1970 UTC. */
  readonly wallTime: () => number;
  /** The welcomed session of a collector. */
  readonly connected: (collector: string) => ConnectedSession | undefined;
  readonly deliveryLag: (collector: string) => LagSummary | undefined;
  /** Other processes that ask to come in as a collector; time in microseconds since 1970 UTC. */
  readonly waiting: (collector: string, now: number) => readonly WaitingInstance[];
  /** Whether collectors can connect. */
  readonly listening: () => boolean;
  /** HTTP connections at a time; more are closed as they come. */
  readonly connectionsMax: number;
  readonly eventClientsMax: number;
  /** undefined where series are switched off. */
  readonly series?: SeriesIndex | undefined;
  /** undefined outside a lab. */
  readonly lab?: Lab | undefined;
  readonly guard: ApiGuardOptions;
  /** What the dashboard's build has made; it may not be there. */
  readonly pageFolder: string;
}
