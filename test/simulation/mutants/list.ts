/**
 * Wrong variants of the product, each a small change of its text that is made while it is loaded:
 * no switch for them in the product. Each has to be caught, or the proof has a hole.
 *
 * The ids m01 to m28 are those of the list that the proof began with; those that the design rules
 * out, or that this simulation can't show, are named at the end of `docs/simulation.md`.
 */
import type { Check } from '../witness.ts';

export interface Substitution {
  /** Relative to the root of the repository. */
  readonly file: string;
  /** Occurs exactly once in it. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  readonly id: string;
  readonly what: string;
  readonly substitutions: readonly Substitution[];
  /** The points of the promise that it may break; 'error' where it trips over an assertion. */
  readonly caughtBy: readonly (Check | 'error')[];
}

const PRODUCER = 'collector/producer';
const QUEUE = 'collector/producer/queue';
const STORE = 'test/simulation/model/store.ts';

export const MUTANTS: readonly Mutant[] = [
  {
    id: 'm01',
    what: 'the server acknowledges before the commit',
    substitutions: [
      {
        file: 'server/ingest/connection.ts',
        find: '    store.commit({ ...batch, collector, receivedAt: surroundings.wallTime() }).then(\n',
        replace: `    store.commit({ ...batch, collector, receivedAt: surroundings.wallTime() }).catch(() => {});
    Promise.resolve({ conflicts: [], duplicates: 0, settled: [
      ...frames.map(({ seq }) => ({ from: seq, to: seq, state: 'stored', code: 0 })),
      ...rejects.map(({ seq }) => ({ from: seq, to: seq, state: 'rejected', code: 2 })),
      ...gaps.map(({ from, to }) => ({ from, to, state: 'declared', code: 1 }))] }).then(
`,
      },
    ],
    caughtBy: ['ack'],
  },
  {
    id: 'm02',
    what: 'the store knows what it holds in memory alone',
    substitutions: [
      {
        file: STORE,
        find: '    this.#disk = disk;\n',
        replace: '    this.#disk = disk;\n    disk.known = new Set();\n',
      },
      {
        file: STORE,
        find: 'const row = stream.frames.get(seq);',
        replace: `const key = \`\${stream.id} \${seq}\`;
          const row = this.known?.has(key) ? stream.frames.get(seq) : undefined;
          this.known?.add(key);`,
      },
    ],
    caughtBy: ['duplicate'],
  },
  {
    id: 'm03',
    what: 'the store forgets after a second what it holds',
    substitutions: [
      {
        file: STORE,
        find: 'const row = stream.frames.get(seq);',
        replace: `const found = stream.frames.get(seq);
          const row = found && receivedAt - found.receivedAt < 1_000_000 ? found : undefined;`,
      },
    ],
    caughtBy: ['duplicate'],
  },
  {
    id: 'm04',
    what: 'equal payloads count as one frame',
    substitutions: [
      {
        file: STORE,
        find: 'const row = stream.frames.get(seq);',
        replace: `const row = stream.frames.get(seq);
          if (stream.rows.some((one) => Buffer.compare(one.payload, payload) === 0)) return 'duplicate';`,
      },
    ],
    caughtBy: ['ack', 'loss'],
  },
  {
    id: 'm05',
    what: 'frames are accepted before they are synced',
    substitutions: [
      {
        file: `${QUEUE}/segment-writer.ts`,
        find: '    this.#files.sync(this.#handle);\n    this.#synced',
        replace: '    this.#synced',
      },
    ],
    caughtBy: ['loss', 'missing', 'pending', 'recovery', 'declared without a cause'],
  },
  {
    id: 'm06',
    what: "a new segment's name is not synced",
    substitutions: [
      {
        file: `${QUEUE}/segment-writer.ts`,
        find: "    files.sync(this.#handle);\n    files.syncDirectory('');\n",
        replace: '    files.sync(this.#handle);\n',
      },
    ],
    caughtBy: ['loss', 'missing', 'pending', 'recovery', 'declared without a cause', 'dead letter'],
  },
  {
    id: 'm07',
    what: 'frames are settled when they are sent',
    substitutions: [
      {
        file: `${PRODUCER}/pipeline.ts`,
        find: 'return this.#drive(() => this.#sender.onFrames(action.connection, frames));',
        replace: `for (const { epoch, seq } of frames) {
          const range = { from: seq, to: seq, state: 'stored', code: 0 };
          this.#queue.settle(this.#queue.stats.storeId ?? 'any', epoch, [range]);
        }
        return this.#drive(() => this.#sender.onFrames(action.connection, frames));`,
      },
    ],
    caughtBy: ['ack', 'loss', 'missing', 'pending', 'recovery'],
  },
  {
    id: 'm08',
    what: 'an ack settles everything before it, too',
    substitutions: [
      {
        file: `${QUEUE}/queue.ts`,
        find: "this.#send({ type: 'settle', storeId, epoch, ranges });",
        replace: `this.#send({ type: 'settle', storeId, epoch,
          ranges: ranges.map((range) => ({ ...range, from: 1 })) });`,
      },
    ],
    caughtBy: ['ack', 'loss', 'missing', 'pending'],
  },
  {
    id: 'm09',
    what: 'frames carry the time of sending',
    substitutions: [
      {
        file: `${PRODUCER}/pipeline.ts`,
        find: 'return this.#drive(() => this.#sender.onFrames(action.connection, frames));',
        replace: `const at = this.#surroundings.wallTime();
        const stamped = frames.map((frame) => ({ ...frame, capturedAt: at }));
        return this.#drive(() => this.#sender.onFrames(action.connection, stamped));`,
      },
    ],
    caughtBy: ['altered', 'rejected without a cause'],
  },
  {
    id: 'm10',
    what: 'capture times lose their microseconds',
    substitutions: [
      {
        file: `${QUEUE}/segment-log.ts`,
        find: 'active.writer.stageFrame(writing.bytes, seq, capturedAt, payload)',
        replace:
          'active.writer.stageFrame(writing.bytes, seq, Math.floor(capturedAt / 1_000) * 1_000, payload)',
      },
    ],
    caughtBy: ['altered', 'unexpected'],
  },
  {
    id: 'm11',
    what: 'a connect resets the backoff',
    substitutions: [
      {
        file: `${PRODUCER}/sender.ts`,
        find: "this.#go(this.#recovering('greeting', now));",
        replace: "this.#attempt = 0;\n    this.#go(this.#recovering('greeting', now));",
      },
    ],
    caughtBy: ['dials'],
  },
  {
    id: 'm12',
    what: 'missing progress ends nothing',
    substitutions: [
      {
        file: `${PRODUCER}/sender.ts`,
        find: 'return pulse.deadline(delivery.overtakenAt);',
        replace: 'return Number.POSITIVE_INFINITY;',
      },
    ],
    caughtBy: ['recovery'],
  },
  {
    id: 'm13',
    what: "the server's count of bytes is no progress",
    substitutions: [
      {
        file: `${PRODUCER}/pulse.ts`,
        find: '    this.#bytesReceivedByServer = bytesReceived;\n    this.#progressAt = now;\n',
        replace: '    this.#bytesReceivedByServer = bytesReceived;\n',
      },
    ],
    caughtBy: ['recovery'],
  },
  {
    id: 'm15',
    what: "messages' checksums are not checked",
    substitutions: [
      {
        file: 'protocol/framer.ts',
        find: 'if (crc32(bytes.subarray(0, sealed)) !== crc) {',
        replace: 'if (crc < 0) {',
      },
    ],
    caughtBy: [
      'rejected without a cause',
      'altered',
      'unexpected',
      'loss',
      'ack',
      'missing',
      'error',
    ],
  },
  {
    id: 'm18',
    what: 'reading a segment ends at the first bad record',
    substitutions: [
      {
        file: `${QUEUE}/scan.ts`,
        find: 'this.#offset = this.#nextGood(offset + 1) ?? this.#range.to;',
        replace: 'this.#offset = this.#range.to;',
      },
    ],
    caughtBy: ['declared without a cause', 'loss', 'missing'],
  },
  {
    id: 'm19',
    what: 'timers follow the wall clock',
    substitutions: [
      {
        file: `${PRODUCER}/pipeline.ts`,
        find: '    this.#surroundings = surroundings;\n',
        replace:
          '    this.#surroundings = surroundings = { ...surroundings, now: () => surroundings_.wallTime() / 1_000 };\n',
      },
      {
        file: `${PRODUCER}/pipeline.ts`,
        find: '    collector: string,\n    surroundings: Surroundings,\n  ) {\n',
        replace:
          '    collector: string,\n    surroundings: Surroundings,\n  ) {\n    const surroundings_ = surroundings;\n',
      },
    ],
    caughtBy: ['recovery', 'dials'],
  },
  {
    id: 'm20',
    what: 'a full queue drops its oldest frames without a word',
    substitutions: [
      {
        file: `${QUEUE}/core.ts`,
        find: "this.#declare(state, open, 'evicted');",
        replace: 'state.declare(open, 1);',
      },
    ],
    caughtBy: ['declared without a cause', 'loss', 'missing', 'pending', 'recovery'],
  },
  {
    id: 'm21',
    what: 'the window admits everything',
    substitutions: [
      {
        file: `${PRODUCER}/window.ts`,
        find: 'return this.#unexplainedMs === undefined && this.#inFlight + bytes <= this.bytes;',
        replace: 'return true;',
      },
    ],
    caughtBy: ['memory'],
  },
  {
    id: 'm22',
    what: 'an epoch is used again after a restart',
    substitutions: [
      {
        file: `${QUEUE}/core.ts`,
        find: 'const state = new EpochState(this.#options.mintEpoch());',
        replace: 'const state = new EpochState(this.#newest?.epoch ?? this.#options.mintEpoch());',
      },
    ],
    caughtBy: ['identity', 'error', 'rejected without a cause', 'loss'],
  },
  {
    id: 'm23',
    what: 'what an old connection says is taken for the new one',
    substitutions: [
      {
        file: `${PRODUCER}/link.ts`,
        find: 'if (this.#sockets.delete(connection)) this.#events.onClosed(connection, failure);',
        replace: 'this.#sockets.delete(connection); this.#events.onClosed(connection, failure);',
      },
      {
        file: `${PRODUCER}/sender.ts`,
        find: `  onClosed(connection: Connection, error: LinkError | undefined, now: number): void {
    if (this.#conversation?.connection !== connection) return;`,
        replace: `  onClosed(connection: Connection, error: LinkError | undefined, now: number): void {
    if (this.#state.name === 'Stopped') return;`,
      },
    ],
    caughtBy: ['recovery', 'dials', 'error'],
  },
  {
    id: 'm24',
    what: 'a frame that the server refuses is sent for ever',
    substitutions: [
      {
        file: `${PRODUCER}/pipeline.ts`,
        find: 'return this.#burial.bury(action);',
        replace: 'return;',
      },
    ],
    caughtBy: ['recovery', 'dead letter'],
  },
  {
    id: 'm25',
    what: 'opening skips the first segment',
    substitutions: [
      {
        file: `${QUEUE}/recovery.ts`,
        find: 'for (const number of numbers) {',
        replace: 'for (const number of numbers.slice(1)) {',
      },
    ],
    caughtBy: ['declared without a cause', 'loss', 'missing', 'pending', 'recovery'],
  },
  {
    id: 'm27',
    what: 'the server takes in more than its window',
    substitutions: [
      {
        file: 'server/ingest/intake.ts',
        find: 'return this.#bytesInFlight >= windowBytes || this.#itemsInFlight >= windowFrames;',
        replace: 'return windowBytes + windowFrames < 0;',
      },
      {
        file: 'server/ingest/session.ts',
        find: 'this.#heldBack = !account.mayTake();',
        replace: 'this.#heldBack = account === undefined;',
      },
      {
        file: `${PRODUCER}/window.ts`,
        find: 'return this.#unexplainedMs === undefined && this.#inFlight + bytes <= this.bytes;',
        replace: 'return true;',
      },
    ],
    caughtBy: ['memory'],
  },
  {
    id: 'm28',
    what: 'the store does not sync its commits',
    substitutions: [{ file: STORE, find: '    this.#disk.sync();\n', replace: '' }],
    caughtBy: ['ack', 'loss', 'missing', 'pending', 'recovery', 'declared without a cause'],
  },
  {
    id: 'everything lost',
    what: 'opening declares everything lost',
    substitutions: [
      {
        file: `${QUEUE}/accounting.ts`,
        find: '.flatMap(({ from, to }) => found.unsettled(from, to))',
        replace: '.flatMap(({ from, to }) => (found ? [{ from, to }] : []))',
      },
    ],
    caughtBy: ['declared without a cause'],
  },
  {
    id: 're-numbered',
    what: 'frames of an earlier opening are numbered anew',
    substitutions: [
      {
        file: `${QUEUE}/core.ts`,
        find: 'if (missing.length === 0 || frames.length > 0) return frames;',
        replace: `if (missing.length === 0 || frames.length > 0) {
        const newest = this.#newest?.epoch ?? '';
        return frames.map((frame) => {
          const moved = { ...frame, epoch: newest };
          return frame.epoch === newest ? frame : { ...moved, crc: frameCrc(moved) };
        });
      }`,
      },
      {
        file: `${QUEUE}/core.ts`,
        find: "import { type Epoch, type Frame, uuidToBytes } from '#protocol/identity.ts';",
        replace:
          "import { type Epoch, type Frame, frameCrc, uuidToBytes } from '#protocol/identity.ts';",
      },
    ],
    caughtBy: ['identity', 'ack', 'loss', 'altered', 'recovery', 'duplicate'],
  },
  {
    id: 'deaf server',
    what: 'a PING without an answer ends nothing',
    substitutions: [
      {
        file: `${PRODUCER}/pulse.ts`,
        find: 'return Math.min(this.#progressAt, overtakenAt, answerDueAt) + patienceMs;',
        replace: 'return Math.min(this.#progressAt, overtakenAt) + patienceMs;',
      },
    ],
    caughtBy: ['recovery'],
  },
  {
    id: 'late letter',
    what: 'a refused frame is forgotten before it is kept aside',
    substitutions: [
      {
        file: `${PRODUCER}/burial.ts`,
        find: '      await this.#keep(letter, holds);\n',
        replace: `      queue.settle(storeId, epoch, [{ ...range, from: seq, to: seq }]);
      await this.#keep(letter, holds);\n`,
      },
    ],
    caughtBy: ['dead letter'],
  },
  {
    id: 'patient dial',
    what: 'a handshake has no deadline',
    substitutions: [
      {
        file: `${PRODUCER}/sender.ts`,
        find: 'phase, deadline: now + this.#handshakeMs }',
        replace: 'phase, deadline: Number.POSITIVE_INFINITY }',
      },
    ],
    caughtBy: ['recovery'],
  },
  {
    id: 'lost gaps',
    what: 'a gap goes with the segment that it is written in',
    substitutions: [
      {
        file: `${QUEUE}/core.ts`,
        find: 'for (const { state, epoch, from, to, reason } of this.#gaps.homedIn(number)) {',
        replace:
          'for (const { state, epoch, from, to, reason } of this.#gaps.homedIn(number).slice(0, 0)) {',
      },
    ],
    caughtBy: ['declared without a cause', 'loss', 'missing', 'pending', 'recovery'],
  },
  {
    id: 'too high',
    what: 'an announcement begins behind what is still held',
    substitutions: [
      {
        file: `${QUEUE}/core.ts`,
        find: 'const lowest = state.lowestWith(settledRanges);',
        replace: 'const lowest = highest + 1;',
      },
    ],
    caughtBy: ['missing'],
  },
  {
    id: 'half forgotten',
    what: 'a newer connection does not end the older one of its collector',
    substitutions: [
      {
        file: 'server/ingest/registry.ts',
        find: 'return { admitted: true, superseded: holder };',
        replace:
          'return holder ? { admitted: false, holder } : { admitted: true, superseded: holder };',
      },
    ],
    caughtBy: ['state', 'recovery', 'dials'],
  },
  {
    id: 'unasked store',
    what: 'after an opening a store is not asked about the epoch that was settled last',
    substitutions: [
      {
        file: `${QUEUE}/core.ts`,
        find: 'this.#lastSettled = epochs.inOrder.findLast(({ settled }) => settled.length > 0);',
        replace: 'this.#lastSettled = undefined;',
      },
    ],
    caughtBy: ['missing'],
  },
];
