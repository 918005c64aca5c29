/**
 * A modelled store: what is committed survives the server, what is not doesn't. It is held to the
 * same contract as the one on SQLite (`test/unit/server/store-contract.ts`), and uses the same
 * settlement and audit.
 *
 * A disk holds the committed jobs, in order; a job is applied whole, at one moment. Answers come
 * after that moment, so a server that dies between the two has stored what it never acknowledged.
 * A power loss takes the jobs that were not synced, which a right store has none of.
 */
import { RANGES_PER_MESSAGE_MAX } from '#protocol/limits.ts';
import type { EpochAnnouncement, WireFrame } from '#protocol/messages.ts';
import {
  GAP_REASONS,
  REJECT_CODES,
  type SettledRange,
  SettledRanges,
} from '#protocol/settlement.ts';
import { auditEpoch, totalsOf } from '#server/store/audit.ts';
import {
  type AnnounceAnswer,
  type Announcement,
  type CollectorAudit,
  type CommitOutcome,
  type FrameFilter,
  type FramePage,
  type FramePosition,
  type FrameQuery,
  type GapQuery,
  type Heard,
  type KnownCollector,
  type PlacedGaps,
  type PruneOutcome,
  type PruneRequest,
  type Store,
  type StoredFrame,
  StoreError,
  type StoreStatus,
  type StoreSummary,
  type StreamBatch,
  type StreamId,
} from '#server/store/store.ts';

type Item =
  | { readonly kind: 'announce'; readonly announcement: Announcement }
  | { readonly kind: 'batch'; readonly batch: StreamBatch }
  | { readonly kind: 'heard'; readonly heard: readonly Heard[] }
  | { readonly kind: 'prune'; readonly request: PruneRequest };
type Result = AnnounceAnswer | CommitOutcome | PruneOutcome | undefined;

interface Stream {
  readonly id: StreamId;
  readonly collector: string;
  readonly epoch: string;
  lowest: number;
  highest: number;
  lastNamed: number;
  held: boolean;
  announcedIn: string | undefined;
  readonly settled: SettledRanges;
  readonly rows: StoredFrame[];
  readonly frames: Map<number, StoredFrame>;
  readonly conflicts: Map<number, number>;
  duplicatesRefused: number;
  batches: number;
}

interface Collector {
  instance: string;
  lastHeardAt: number;
}

/** What the store's disk holds. */
export class StoreDisk {
  readonly storeId: string;
  readonly streams: Stream[] = [];
  readonly #collectors = new Map<string, Collector>();
  readonly #byName = new Map<string, Stream>();
  /** All rows, in the order of their arrival. */
  readonly #arrivals: StoredFrame[] = [];
  readonly #jobs: (readonly Item[])[] = [];
  #synced = 0;

  /** Hears of rare events. */
  meet: (what: string) => void = () => {};
  /** Hears what collectors declare. */
  onDeclared: (collector: string, epoch: string, from: number, to: number) => void = () => {};

  constructor(storeId: string) {
    this.storeId = storeId;
  }

  /** How many jobs were committed. */
  get jobs(): number {
    return this.#jobs.length;
  }

  /** Commits a job: all of it. Not safe from a power loss before `sync`. */
  commit(items: readonly Item[]): Result[] {
    this.#jobs.push(items);
    return items.map((item) => this.#apply(item));
  }

  sync(): void {
    this.#synced = this.#jobs.length;
  }

  /** The disk after a power loss. */
  afterPowerLoss(): StoreDisk {
    return this.#synced === this.#jobs.length ? this : this.asOf(this.#synced);
  }

  /** The disk as it was after so many jobs: an older copy. */
  asOf(jobs: number): StoreDisk {
    const older = new StoreDisk(this.storeId);
    for (const items of this.#jobs.slice(0, jobs)) older.commit(items);
    older.sync();
    older.meet = this.meet;
    older.onDeclared = this.onDeclared;
    return older;
  }

  find(collector: string, epoch: string): Stream | undefined {
    return this.#byName.get(`${collector} ${epoch}`);
  }

  /** True when this frame's row is there. */
  holds(collector: string, epoch: string, seq: number): boolean {
    return this.find(collector, epoch)?.frames.has(seq) === true;
  }

  /** How many batches of a collector's were taken, whatever became of them. */
  batchesOf(collector: string | undefined): number {
    return this.streams.reduce(
      (sum, stream) => sum + (stream.collector === collector ? stream.batches : 0),
      0,
    );
  }

  settles(collector: string, epoch: string, seq: number): boolean {
    return this.find(collector, epoch)?.settled.has(seq) === true;
  }

  collectors(): KnownCollector[] {
    return [...this.#collectors].sort(byKey).map(([collector, { instance, lastHeardAt }]) => {
      const streams = this.streams
        .filter((stream) => stream.collector === collector && stream.frames.size > 0)
        .sort((a, b) => (a.epoch < b.epoch ? 1 : -1));
      const seqs = [...(streams[0]?.frames.keys() ?? [])];
      const frame = streams[0]?.frames.get(Math.max(...seqs));
      const newest = frame && {
        epoch: frame.epoch,
        seq: frame.seq,
        capturedAt: frame.capturedAt,
        receivedAt: frame.receivedAt,
      };
      return { collector, instance, lastHeardAt, newest };
    });
  }

  audit(only?: string): CollectorAudit[] {
    return [...this.#collectors]
      .sort(byKey)
      .filter(([collector]) => only === undefined || collector === only)
      .map(([collector, { lastHeardAt }]) => ({
        collector,
        lastHeardAt,
        epochs: this.streams
          .filter((stream) => stream.collector === collector)
          .sort((a, b) => (a.epoch < b.epoch ? -1 : 1))
          .map((stream) =>
            auditEpoch(
              { ...stream, conflictsRefused: stream.conflicts.size },
              stream.settled.ranges,
            ),
          ),
      }));
  }

  /** All frames, by collector, epoch and seq. */
  frames(): StoredFrame[] {
    return this.streams
      .toSorted((a, b) => compare([a.collector, a.epoch], [b.collector, b.epoch]))
      .flatMap(({ rows }) => rows.toSorted((a, b) => a.seq - b.seq));
  }

  #apply(item: Item): Result {
    switch (item.kind) {
      case 'announce':
        return this.#announce(item.announcement);
      case 'batch':
        return this.#take(item.batch);
      case 'heard':
        for (const heard of item.heard) this.#hear(heard);
        return undefined;
      case 'prune':
        return this.#prune(item.request);
    }
  }

  #prune({ receivedBefore = 0, keepBytes = Number.POSITIVE_INFINITY }: PruneRequest): PruneOutcome {
    const rows = this.#arrivals;
    const first = rows.findIndex(({ receivedAt }) => receivedAt >= receivedBefore);
    const boundary = first < 0 ? rows.length - 1 : first;
    let bytes = rows.reduce((sum, { payload }) => sum + payload.length, 0);
    let pruned = 0;
    while (rows.length > 1 && (pruned < boundary || bytes > keepBytes)) {
      if (pruned === PRUNED_FRAMES_MAX) return { pruned, more: true };
      const row = rows.shift() as StoredFrame;
      bytes -= row.payload.length;
      pruned += 1;
      const stream = this.find(row.collector, row.epoch) as Stream;
      stream.frames.delete(row.seq);
      stream.rows.splice(stream.rows.indexOf(row), 1);
      stream.settled.add({ from: row.seq, to: row.seq, state: 'pruned', code: 0 });
    }
    return { pruned, more: false };
  }

  #hear({ collector, at, highest }: Heard): void {
    const known = this.#collectors.get(collector);
    if (known !== undefined) known.lastHeardAt = Math.max(known.lastHeardAt, at);
    const stream = highest && this.streams[highest.stream];
    if (highest && stream) stream.highest = Math.max(stream.highest, highest.seq);
  }

  #announce(announcement: Announcement): AnnounceAnswer {
    const { collector, instance, connection, at, epochs, complete } = announcement;
    if (epochs.length > 1) this.meet('several epochs announced at once');
    const lastHeardAt = Math.max(this.#collectors.get(collector)?.lastHeardAt ?? 0, at);
    this.#collectors.set(collector, { instance, lastHeardAt });
    const streams = epochs.map((epoch) => this.#announceEpoch(announcement, epoch));
    if (complete) {
      for (const stream of this.streams) {
        if (stream.collector !== collector || stream.announcedIn === connection) continue;
        stream.held = false;
      }
    }
    const settled = epochs.map(({ lowest, highest }, index) => {
      const { settled: ranges, conflicts } = streams[index] as Stream;
      const within = ranges.within(lowest, highest).slice(0, RANGES_PER_MESSAGE_MAX);
      const last = within.at(-1)?.to ?? 0;
      const refused = [...conflicts.keys()].filter((seq) => seq >= lowest && seq <= last);
      if (refused.length === 0) return within;
      const answer = new SettledRanges(without(within, refused));
      for (const seq of refused) answer.add(rejected(seq, REJECT_CODES.conflict));
      return answer.ranges.slice(0, RANGES_PER_MESSAGE_MAX);
    });
    const collectorsKnown = this.#collectors.size;
    return { streams: streams.map(({ id }) => id), settled, collectorsKnown };
  }

  #announceEpoch({ collector, connection }: Announcement, epoch: EpochAnnouncement): Stream {
    if (epoch.predecessor !== undefined) {
      const before = this.#stream(collector, epoch.predecessor.epoch);
      before.lastNamed = Math.max(before.lastNamed, epoch.predecessor.lastSeq);
    }
    const stream = this.#stream(collector, epoch.epoch);
    const again = stream.announcedIn === connection;
    stream.lastNamed = Math.max(stream.lastNamed, stream.highest);
    stream.lowest = again ? Math.min(stream.lowest, epoch.lowest) : epoch.lowest;
    stream.highest = again ? Math.max(stream.highest, epoch.highest) : epoch.highest;
    stream.held = true;
    stream.announcedIn = connection;
    return stream;
  }

  #stream(collector: string, epoch: string): Stream {
    const known = this.find(collector, epoch);
    if (known !== undefined) return known;
    const stream: Stream = {
      id: this.streams.length,
      collector,
      epoch,
      lowest: 1,
      highest: 0,
      lastNamed: 0,
      held: false,
      announcedIn: undefined,
      settled: new SettledRanges(),
      rows: [],
      frames: new Map(),
      conflicts: new Map(),
      duplicatesRefused: 0,
      batches: 0,
    };
    this.streams.push(stream);
    this.#byName.set(`${collector} ${epoch}`, stream);
    return stream;
  }

  #take({ stream: id, receivedAt, frames, gaps, rejects }: StreamBatch): CommitOutcome {
    const stream = this.streams[id];
    if (stream === undefined) throw new StoreError('internal', `no stream ${id}`);
    const conflicts: number[] = [];
    let duplicates = 0;
    for (const frame of frames) {
      const fate = this.#insert(stream, frame, receivedAt);
      if (fate === 'duplicate') duplicates += 1;
      if (fate === 'conflict') conflicts.push(frame.seq);
    }
    const stored = without(runsOf(frames), conflicts);
    const crossed = stored.some(({ from, to }) =>
      stream.settled.within(from, to).some(({ state }) => state === 'declared'),
    );
    if (crossed) this.meet('gap crossed by a late store');
    const taken: SettledRange[] = [
      ...gaps.map(({ from, to, reason }) => declared(from, to, GAP_REASONS[reason])),
      ...rejects.map(({ seq, code }) => rejected(seq, REJECT_CODES[code])),
    ];
    for (const { from, to } of gaps) this.onDeclared(stream.collector, stream.epoch, from, to);
    for (const range of [...taken, ...stored]) {
      stream.settled.add(range);
      stream.highest = Math.max(stream.highest, range.to);
    }
    stream.duplicatesRefused += duplicates;
    stream.batches += 1;
    const settled = [...stored, ...taken].flatMap(({ from, to }) =>
      stream.settled.within(from, to),
    );
    return { settled, conflicts, duplicates };
  }

  #insert(stream: Stream, frame: WireFrame, receivedAt: number): 'new' | 'duplicate' | 'conflict' {
    const { seq, capturedAt, crc, payload } = frame;
    const row = stream.frames.get(seq);
    if (stream.settled.find(seq)?.state === 'pruned') return 'duplicate';
    if (row === undefined) {
      const { collector, epoch } = stream;
      const copy = new Uint8Array(payload);
      const taken = { collector, epoch, seq, capturedAt, receivedAt, crc, payload: copy };
      stream.rows.push(taken);
      this.#arrivals.push(taken);
      stream.frames.set(seq, taken);
      return 'new';
    }
    const same =
      row.crc === crc &&
      row.capturedAt === capturedAt &&
      Buffer.compare(row.payload, payload) === 0;
    if (same) return 'duplicate';
    stream.conflicts.set(seq, (stream.conflicts.get(seq) ?? 0) + 1);
    return 'conflict';
  }
}

const GAP_KINDS = ['declared', 'rejected', 'pruned', 'pending', 'missing'] as const;

/** Frames that go in one step. */
const PRUNED_FRAMES_MAX = 100;

/** What the store runs on. */
export interface StorePorts {
  readonly after: (ms: number, call: () => void) => () => void;
  /** How long a transaction takes, in milliseconds. */
  readonly commitMs: () => number;
  /** How long from the commit until those who wait hear of it. */
  readonly answerMs: () => number;
  /** A failure of the next transaction, if it has one. */
  readonly failure: () => StoreError | undefined;
}

/** A sign of life may wait so long to be kept. */
const TICK_MS = 1_000;

interface Waiting {
  readonly item: Item;
  resolve(result: Result): void;
  reject(error: StoreError): void;
}

/** The store of one server process. */
export class ModelStore implements Store {
  readonly failed: Promise<StoreError>;
  readonly #disk: StoreDisk;
  readonly #ports: StorePorts;
  #waiting: Waiting[] = [];
  #heard = new Map<string, Heard>();
  #busy = false;
  #closed = false;
  #broken: StoreError | undefined;
  #status: StoreStatus = { writable: true };
  #fail: (error: StoreError) => void = () => {};
  #stopTicking: () => void = () => {};

  constructor(disk: StoreDisk, ports: StorePorts) {
    this.#disk = disk;
    this.#ports = ports;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.#tick();
  }

  get storeId(): string {
    return this.#disk.storeId;
  }

  get status(): StoreStatus {
    return this.#status;
  }

  /** Payload bytes that wait for their transaction. */
  get waitingBytes(): number {
    return this.#waiting.reduce((sum, { item }) => {
      if (item.kind !== 'batch') return sum;
      return sum + item.batch.frames.reduce((bytes, { payload }) => bytes + payload.length, 0);
    }, 0);
  }

  async announce(announcement: Announcement): Promise<AnnounceAnswer> {
    return (await this.#add({ kind: 'announce', announcement })) as AnnounceAnswer;
  }

  async commit(batch: StreamBatch): Promise<CommitOutcome> {
    return (await this.#add({ kind: 'batch', batch })) as CommitOutcome;
  }

  heard(heard: Heard): void {
    const known = this.#heard.get(heard.collector);
    this.#heard.set(heard.collector, { ...heard, highest: heard.highest ?? known?.highest });
  }

  async collectors(): Promise<readonly KnownCollector[]> {
    return this.#disk.collectors();
  }

  async audit(collector?: string): Promise<readonly CollectorAudit[]> {
    return this.#disk.audit(collector);
  }

  async gaps({ collector, capturedFrom, capturedBefore }: GapQuery): Promise<PlacedGaps> {
    const frames = this.#matching({ collector })
      .map((frame) => ({ ...frame, place: [frame.epoch, frame.seq] }))
      .sort((a, b) => compare(a.place, b.place));
    const gaps = this.#disk.audit(collector).flatMap(({ epochs }) =>
      epochs.flatMap((epoch) =>
        GAP_KINDS.flatMap((kind) =>
          epoch[kind].map(({ from, to, reason }) => ({
            ...{ epoch: epoch.epoch, kind, from, to, reason },
            capturedAfter: frames.findLast((f) => compare(f.place, [epoch.epoch, from]) < 0)
              ?.capturedAt,
            capturedBefore: frames.find((f) => compare(f.place, [epoch.epoch, to]) > 0)?.capturedAt,
          })),
        ),
      ),
    );
    const within = gaps.filter((gap) => {
      const sides = [
        gap.capturedAfter ?? Number.NEGATIVE_INFINITY,
        gap.capturedBefore ?? Number.POSITIVE_INFINITY,
      ];
      return (
        Math.max(...sides) >= (capturedFrom ?? Number.NEGATIVE_INFINITY) &&
        Math.min(...sides) < (capturedBefore ?? Number.POSITIVE_INFINITY)
      );
    });
    within.sort((a, b) => compare([b.epoch, b.from], [a.epoch, a.from]));
    return { gaps: within, complete: true };
  }

  async summary(silentSince: readonly number[]): Promise<StoreSummary> {
    const audits = this.#disk.audit(undefined);
    return {
      totals: totalsOf(audits.flatMap(({ epochs }) => epochs)),
      collectors: audits.length,
      silent: silentSince.map(
        (since) => audits.filter(({ lastHeardAt }) => lastHeardAt < since).length,
      ),
      bytes: 0,
    };
  }

  async frames(query: FrameQuery): Promise<FramePage> {
    const { after } = query;
    const place = (frame: Parameters<typeof placeOf>[0]) => placeOf(frame);
    const sorted = this.#matching(query)
      .filter(
        ({ capturedAt }) =>
          capturedAt >= (query.capturedFrom ?? 0) &&
          capturedAt < (query.capturedBefore ?? Number.POSITIVE_INFINITY),
      )
      .sort((a, b) => compare(place(a), place(b)));
    if (query.order === 'newest') sorted.reverse();
    const beyond = sorted.filter((frame) => {
      if (after === undefined) return true;
      const order = compare(place(frame), place(after));
      return query.order === 'oldest' ? order > 0 : order < 0;
    });
    return { frames: beyond.slice(0, query.limit), last: beyond.length <= query.limit };
  }

  async *export(filter: FrameFilter, after?: FramePosition): AsyncIterable<readonly StoredFrame[]> {
    const limit = Number.POSITIVE_INFINITY;
    const { frames } = await this.frames({ ...filter, order: 'oldest', limit, after });
    if (frames.length > 0) yield frames;
  }

  async prune(request: PruneRequest): Promise<PruneOutcome> {
    return (await this.#add({ kind: 'prune', request })) as PruneOutcome;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopTicking();
  }

  #matching({ collector, epoch }: FrameFilter): StoredFrame[] {
    return this.#disk
      .frames()
      .filter(
        (frame) =>
          (collector === undefined || frame.collector === collector) &&
          (epoch === undefined || frame.epoch === epoch),
      );
  }

  #add(item: Item): Promise<Result> {
    if (this.#closed) return Promise.reject(new StoreError('closed', 'the store was closed'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      this.#work();
    });
  }

  /** One job at a time; what arrives meanwhile goes into the next one. */
  #work(): void {
    if (this.#busy || this.#waiting.length === 0) return;
    this.#busy = true;
    this.#ports.after(this.#ports.commitMs(), () => {
      const taken = this.#waiting;
      this.#waiting = [];
      this.#run(taken);
      this.#busy = false;
      this.#work();
    });
  }

  #run(taken: readonly Waiting[]): void {
    const error = this.#broken ?? this.#ports.failure();
    if (error !== undefined) {
      this.#status = { writable: false, reason: error.message };
      if (error.retry === 'never') {
        this.#broken = error;
        this.#fail(error);
      }
      for (const { reject } of taken) reject(error);
      return;
    }
    this.#status = { writable: true };
    const results = this.#disk.commit(taken.map(({ item }) => item));
    this.#disk.sync();
    this.#ports.after(this.#ports.answerMs(), () => {
      for (const [index, { resolve }] of taken.entries()) resolve(results[index]);
    });
  }

  #tick(): void {
    this.#stopTicking = this.#ports.after(TICK_MS, () => {
      if (this.#heard.size > 0 || !this.#status.writable) {
        const heard = [...this.#heard.values()];
        this.#heard = new Map();
        this.#add({ kind: 'heard', heard }).catch(() => {});
      }
      this.#tick();
    });
  }
}

function declared(from: number, to: number, code: number): SettledRange {
  return { from, to, state: 'declared', code };
}

function rejected(seq: number, code: number): SettledRange {
  return { from: seq, to: seq, state: 'rejected', code };
}

/** The seqs of frames as runs of stored ones. */
function runsOf(frames: readonly WireFrame[]): SettledRange[] {
  const runs = new SettledRanges();
  for (const { seq } of frames) runs.add({ from: seq, to: seq, state: 'stored', code: 0 });
  return [...runs.ranges];
}

function without(ranges: readonly SettledRange[], seqs: readonly number[]): SettledRange[] {
  return seqs.reduce<SettledRange[]>(
    (left, seq) =>
      left.flatMap((range) =>
        [
          { ...range, to: Math.min(range.to, seq - 1) },
          { ...range, from: Math.max(range.from, seq + 1) },
        ].filter(({ from, to }) => from <= to),
      ),
    [...ranges],
  );
}

type Place = readonly (string | number)[];

function placeOf(frame: {
  collector: string;
  epoch: string;
  capturedAt: number;
  seq: number;
}): Place {
  return [frame.collector, frame.epoch, frame.capturedAt, frame.seq];
}

function compare(a: Place, b: Place): number {
  for (const [index, one] of a.entries()) {
    const other = b[index];
    if (other !== undefined && one !== other) return one < other ? -1 : 1;
  }
  return 0;
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
