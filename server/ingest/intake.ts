/**
 * What one connection brings for the store: checks frames one by one, gathers what belongs to one
 * stream into batches, and knows how much is on its way.
 *
 * Lives here: the epochs that the connection has announced, the frames' own CRCs, the bound on
 * bytes in flight, and the acks that outcomes turn into. Not here: states and deadlines
 * (`session.ts`), bytes (`#protocol`). Sans-IO, made at WELCOME.
 */
import assert from 'node:assert';
import { ProtocolError } from '#protocol/errors.ts';
import { type Epoch, FrameCrc } from '#protocol/identity.ts';
import { FRAMES_PER_MESSAGE_MAX, RANGES_PER_MESSAGE_MAX } from '#protocol/limits.ts';
import type {
  EpochAnnouncement,
  Frames,
  GapMessage,
  Message,
  Reject,
  SettledEntry,
  WireFrame,
} from '#protocol/messages.ts';
import type { SettledRange } from '#protocol/settlement.ts';
import type {
  AnnounceAnswer,
  CommitOutcome,
  GapRange,
  RejectedSeq,
  StreamId,
} from '#server/store/store.ts';
import type { Caps } from './caps.ts';

/** A batch for the store; the number comes back with its outcome. */
export interface CommitRequest {
  readonly request: number;
  readonly epoch: Epoch;
  readonly stream: StreamId;
  readonly frames: readonly WireFrame[];
  readonly gaps: readonly GapRange[];
  readonly rejects: readonly RejectedSeq[];
}

interface AnnouncedEpoch {
  readonly epoch: Epoch;
  readonly stream: StreamId;
  readonly crc: FrameCrc;
}

interface OpenBatch {
  readonly epochIndex: number;
  readonly frames: WireFrame[];
  readonly gaps: GapRange[];
  readonly rejects: RejectedSeq[];
  bytes: number;
}

/** What has to be known of a batch while the store has it: not its frames, which nobody needs. */
interface BatchInFlight extends Pick<OpenBatch, 'epochIndex' | 'rejects' | 'bytes'> {
  readonly items: number;
}

/** What an item costs in memory beside its payload, about. */
const ITEM_BYTES = 192;
/** A batch that has reached this is not added to: connections take turns in the store by batches. */
const BATCH_BYTES = 262_144;

export class Intake {
  readonly #caps: Pick<Caps, 'payloadBytesMax' | 'windowBytes' | 'windowFrames'>;
  readonly #epochs: AnnouncedEpoch[] = [];
  readonly #inFlight = new Map<number, BatchInFlight>();
  #bytesInFlight = 0;
  #itemsInFlight = 0;
  #lastRequest = 0;
  #open: OpenBatch | undefined;
  readonly #ready: CommitRequest[] = [];
  #acks: SettledEntry[] = [];
  readonly #rejects: Reject[] = [];

  constructor(caps: Pick<Caps, 'payloadBytesMax' | 'windowBytes' | 'windowFrames'>) {
    this.#caps = caps;
  }

  get epochCount(): number {
    return this.#epochs.length;
  }

  /** Nothing is on its way into the store. */
  get idle(): boolean {
    return this.#bytesInFlight === 0;
  }

  /** As much is on its way as may be. */
  get full(): boolean {
    const { windowBytes, windowFrames } = this.#caps;
    return this.#bytesInFlight >= windowBytes || this.#itemsInFlight >= windowFrames;
  }

  /** Bytes on their way into the store. */
  get bytesInFlight(): number {
    return this.#bytesInFlight;
  }

  /** Takes the store's answer and gives it the form that WELCOME and SETTLED have. */
  onAnnounced(epochs: readonly EpochAnnouncement[], answer: AnnounceAnswer): SettledEntry[] {
    const entries: SettledEntry[] = [];
    for (const [index, { epoch }] of epochs.entries()) {
      const stream = answer.streams[index];
      assert(stream !== undefined, 'the store answered for fewer epochs than were announced');
      const epochIndex = this.#epochs.push({ epoch, stream, crc: new FrameCrc(epoch) }) - 1;
      for (const range of answer.settled[index] ?? []) entries.push({ ...range, epochIndex });
    }
    return entries.slice(0, RANGES_PER_MESSAGE_MAX);
  }

  /** Throws ProtocolError for an epoch that was never announced. */
  onFrames({ epochIndex, frames }: Frames): void {
    const { crc } = this.#epochOf(epochIndex);
    const firstSeq = frames[0]?.seq ?? 0;
    const batch = this.#batchFor(epochIndex, frames.length, firstSeq);
    for (const frame of frames) {
      const code = this.#refusal(crc, frame);
      if (code === undefined) batch.frames.push(frame);
      else batch.rejects.push({ seq: frame.seq, code });
      this.#weigh(batch, frame.payload.length + ITEM_BYTES);
    }
  }

  /** Throws ProtocolError for an epoch that was never announced. */
  onGaps({ gaps }: GapMessage): void {
    for (const { epochIndex, ...range } of gaps) {
      this.#epochOf(epochIndex);
      const batch = this.#batchFor(epochIndex, 0, Number.POSITIVE_INFINITY);
      batch.gaps.push(range);
      this.#weigh(batch, ITEM_BYTES);
    }
  }

  /** The stream of an epoch number. Throws ProtocolError when it was never announced. */
  streamOf(epochIndex: number): StreamId {
    return this.#epochOf(epochIndex).stream;
  }

  /** What is gathered so far becomes a request; nothing is added to it any more. */
  flush(): void {
    const batch = this.#open;
    if (batch === undefined) return;
    this.#open = undefined;
    this.#lastRequest += 1;
    const { epochIndex, bytes, frames, gaps, rejects } = batch;
    const items = frames.length + gaps.length + rejects.length;
    this.#inFlight.set(this.#lastRequest, { epochIndex, bytes, items, rejects });
    const { epoch, stream } = this.#epochOf(epochIndex);
    this.#ready.push({ request: this.#lastRequest, epoch, stream, frames, gaps, rejects });
  }

  pollRequest(): CommitRequest | undefined {
    return this.#ready.shift();
  }

  /** Turns an outcome into acks and refusals. */
  onCommitted(request: number, outcome: CommitOutcome): void {
    const batch = this.#inFlight.get(request);
    assert(batch, `the outcome of request ${request} came twice`);
    this.#inFlight.delete(request);
    this.#bytesInFlight -= batch.bytes;
    this.#itemsInFlight -= batch.items;
    const { epochIndex } = batch;
    const refused = new Map(batch.rejects.map(({ seq, code }) => [seq, code]));
    for (const range of outcome.settled) {
      const code = range.state === 'rejected' ? refused.get(range.from) : undefined;
      if (code === undefined) this.#ack(epochIndex, range);
      else this.#reject(epochIndex, range.from, code);
    }
    for (const seq of outcome.conflicts) this.#reject(epochIndex, seq, 'conflict');
  }

  /** The next message that says what became of what came. */
  pollAnswer(): Message | undefined {
    const reject = this.#rejects.shift();
    if (reject !== undefined) return reject;
    if (this.#acks.length === 0) return undefined;
    const settled = this.#acks.slice(0, RANGES_PER_MESSAGE_MAX);
    this.#acks = this.#acks.slice(RANGES_PER_MESSAGE_MAX);
    return { kind: 'ack', settled };
  }

  #epochOf(epochIndex: number): AnnouncedEpoch {
    const epoch = this.#epochs[epochIndex];
    if (epoch === undefined) {
      throw new ProtocolError('state', `epoch number ${epochIndex} was never announced`);
    }
    return epoch;
  }

  #refusal(crc: FrameCrc, frame: WireFrame): RejectedSeq['code'] | undefined {
    if (crc.of(frame.seq, frame.capturedAt, frame.payload) !== frame.crc) return 'crc';
    return frame.payload.length > this.#caps.payloadBytesMax ? 'too_large' : undefined;
  }

  /** The open batch where these fit behind what it holds, else a new one. */
  #batchFor(epochIndex: number, frameCount: number, firstSeq: number): OpenBatch {
    const open = this.#open;
    const fits =
      open?.epochIndex === epochIndex &&
      open.bytes < BATCH_BYTES &&
      open.frames.length + frameCount <= FRAMES_PER_MESSAGE_MAX &&
      (open.frames.at(-1)?.seq ?? 0) < firstSeq;
    if (open !== undefined && fits) return open;
    this.flush();
    const batch: OpenBatch = { epochIndex, frames: [], gaps: [], rejects: [], bytes: 0 };
    this.#open = batch;
    return batch;
  }

  /** Counts one item. */
  #weigh(batch: OpenBatch, bytes: number): void {
    batch.bytes += bytes;
    this.#bytesInFlight += bytes;
    this.#itemsInFlight += 1;
  }

  /** Neighbours of the same fate share an entry. */
  #ack(epochIndex: number, range: SettledRange): void {
    const last = this.#acks.at(-1);
    const joins =
      last?.epochIndex === epochIndex &&
      last.to + 1 === range.from &&
      last.state === range.state &&
      last.code === range.code;
    if (last !== undefined && joins) {
      this.#acks[this.#acks.length - 1] = { ...last, to: range.to };
    } else {
      this.#acks.push({ ...range, epochIndex });
    }
  }

  #reject(epochIndex: number, seq: number, code: Reject['code']): void {
    this.#rejects.push({ kind: 'reject', epochIndex, seq, code, text: REJECT_TEXTS[code] });
  }
}

const REJECT_TEXTS: Readonly<Record<Reject['code'], string>> = {
  crc: "the frame's own CRC doesn't match its bytes: it was damaged before it was sent",
  too_large: "the payload is over this server's limit",
  conflict: 'another frame is stored under this identity; the stored one stays',
};
