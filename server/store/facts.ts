/**
 * What a store knows beside its frames, gathered from wherever it is found: who was heard, which
 * epochs there are, what is settled. Each fact was true once, and facts of later only add to it (the
 * states of settlement form a chain), so the order in which they are found doesn't matter much, nor
 * that an old version of one is found beside a newer.
 */
import { type SettledRange, SettledRanges } from '#protocol/settlement.ts';

/** A row of `collectors`. */
export interface CollectorFact {
  readonly collector: string;
  readonly instance: string;
  readonly firstHeardAt: number;
  readonly lastHeardAt: number;
}

/** A row of `streams`. */
export interface StreamFact {
  readonly id: number;
  readonly collector: string;
  readonly epoch: string;
  readonly predecessorEpoch: string | null;
  readonly predecessorLast: number | null;
  readonly lowest: number;
  readonly highest: number;
  readonly lastNamed: number;
  readonly held: number;
  readonly announcedIn: string | null;
  readonly announcedAt: number | null;
  readonly duplicatesRefused: number;
}

/** A row of `conflicts`. */
export interface ConflictFact {
  readonly stream: number;
  readonly seq: number;
  readonly capturedAt: number;
  readonly crc: number;
  readonly firstRefusedAt: number;
  readonly lastRefusedAt: number;
  readonly refused: number;
}

export class StoreFacts {
  storeId: string | undefined;
  createdAt: number | undefined;
  readonly collectors = new Map<string, CollectorFact>();
  readonly streams = new Map<number, StreamFact>();
  readonly conflicts = new Map<string, ConflictFact>();
  readonly #settled = new Map<number, SettledRanges>();
  readonly #calledStored = new Map<number, SettledRanges>();

  addCollector(found: CollectorFact): void {
    const known = this.collectors.get(found.collector);
    if (known === undefined || known.lastHeardAt <= found.lastHeardAt) {
      this.collectors.set(found.collector, found);
    }
  }

  /** The one that was announced last stands; what a stream has come to never goes down. */
  addStream(found: StreamFact): void {
    const known = this.streams.get(found.id);
    const isNewer = known === undefined || (known.announcedAt ?? 0) <= (found.announcedAt ?? 0);
    const highest = Math.max(found.highest, known?.highest ?? 0);
    const lastNamed = Math.max(found.lastNamed, known?.lastNamed ?? 0);
    this.streams.set(found.id, { ...(isNewer ? found : known), highest, lastNamed });
  }

  addConflict(found: ConflictFact): void {
    const key = `${found.stream} ${found.seq}`;
    const known = this.conflicts.get(key);
    if (known === undefined || known.refused <= found.refused) this.conflicts.set(key, found);
  }

  /** What is called stored is kept apart: rows alone can show it. */
  addSettled(stream: number, range: SettledRange): void {
    const ranges = range.state === 'stored' ? this.#calledStored : this.#settled;
    const known = ranges.get(stream);
    if (known === undefined) ranges.set(stream, new SettledRanges([range]));
    else known.add(range);
  }

  /** What is settled otherwise than by a row: declared, rejected, pruned. */
  settledOf(stream: number): readonly SettledRange[] {
    return this.#settled.get(stream)?.ranges ?? [];
  }

  /** What was called stored, whether or not there is a row. */
  calledStored(stream: number): readonly SettledRange[] {
    return this.#calledStored.get(stream)?.ranges ?? [];
  }

  /** The same, with nothing that is called stored. */
  withoutCalledStored(): StoreFacts {
    const facts = new StoreFacts();
    facts.storeId = this.storeId;
    facts.createdAt = this.createdAt;
    for (const found of this.collectors.values()) facts.addCollector(found);
    for (const found of this.conflicts.values()) facts.addConflict(found);
    for (const found of this.streams.values()) {
      facts.addStream(found);
      for (const range of this.settledOf(found.id)) facts.addSettled(found.id, range);
    }
    return facts;
  }
}
