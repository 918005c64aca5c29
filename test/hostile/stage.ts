/**
 * Where a case is played: a real server, a healthy collector beside it, and the knowledge of what
 * was sent in right messages, so that anything else in the store is noticed.
 */
import { expect } from 'vitest';
import { type Epoch, formatTime } from '#protocol/identity.ts';
import type { WireFrame } from '#protocol/messages.ts';
import { epochOf, framesOf } from '../unit/server/store-contract.ts';
import { Peer } from './peer.ts';
import { type ExportedFrame, ServerProcess } from './server-process.ts';
import { until } from './until.ts';

const HEALTHY_EPOCH = '01900000-0000-7000-8000-00000000beef';
/** The healthy one comes from an address of its own: what others do to theirs is not its doing. */
const HEALTHY_ADDRESS = '127.0.0.9';

/** What a server opens late for itself: a reader of the store, a timer of the log. */
const OWN_HANDLES = 4;

const READS = ['collectors', 'audit', 'frames', 'export'].map((name) => `/api/v1/${name}`);

export class Stage {
  readonly server: ServerProcess;
  readonly #healthy: Peer;
  readonly #vouched = new Map<string, WireFrame>();
  #healthySeq = 0;
  #proving: Promise<void> = Promise.resolve();

  private constructor(server: ServerProcess, healthy: Peer) {
    this.server = server;
    this.#healthy = healthy;
  }

  static async open(settings: Readonly<Record<string, string>> = {}): Promise<Stage> {
    const server = await ServerProcess.start(settings);
    const epochs = [epochOf(HEALTHY_EPOCH, 1, 0)];
    const healthy = await Peer.joined(server, 'healthy', epochs, { from: HEALTHY_ADDRESS });
    server.peers.delete(healthy);
    const stage = new Stage(server, healthy);
    await stage.proveHealthy();
    return stage;
  }

  async close(): Promise<void> {
    this.#healthy.destroy();
    await this.server.stop();
  }

  /** These frames are sent in right messages: they may be stored. */
  vouch(collector: string, epoch: Epoch, frames: readonly WireFrame[]): readonly WireFrame[] {
    for (const frame of frames) this.#vouched.set(`${collector} ${epoch} ${frame.seq}`, frame);
    return frames;
  }

  /** The healthy collector, on the connection that it has had all the time, stores one more frame. */
  proveHealthy(): Promise<void> {
    this.#proving = this.#proving.then(() => this.#proveOnce());
    return this.#proving;
  }

  async #proveOnce(): Promise<void> {
    this.#healthySeq += 1;
    const seq = this.#healthySeq;
    const frames = this.vouch('healthy', HEALTHY_EPOCH, framesOf(HEALTHY_EPOCH, seq, seq));
    this.#healthy.send({ kind: 'frames', epochIndex: 0, frames });
    await this.#healthy.acked(1);
  }

  /** Everything in the store is, bit for bit, what was sent in a right message. */
  async mustHoldWhatWasSent(collector?: string): Promise<void> {
    for (const line of await this.server.exported(collector)) this.#mustBeVouched(line);
  }

  #mustBeVouched({ collector, epoch, seq, ...line }: ExportedFrame): void {
    const frame = this.#vouched.get(`${collector} ${epoch} ${seq}`);
    expect(frame, `${collector}/${epoch}/${seq} was never sent in a right message`).toBeDefined();
    if (frame === undefined) return;
    expect(line.payload_base64).toBe(Buffer.from(frame.payload).toString('base64'));
    expect(line.captured_at).toBe(formatTime(frame.capturedAt));
    expect(line.crc32).toBe(frame.crc.toString(16).padStart(8, '0'));
    expect(line.crc_ok).toBe(undefined);
  }

  /** Every path that reads what is stored answers, for this collector and for all. */
  async apiMustAnswer(collector: string): Promise<void> {
    for (const path of READS) {
      for (const query of ['', `?collector=${collector}`]) {
        if (path.endsWith('collectors') && query !== '') continue;
        const answer = await fetch(`${this.server.api}${path}${query}`);
        const text = await answer.text();
        expect(answer.status, `${path}${query}: ${text.slice(0, 300)}`).toBe(200);
      }
    }
  }

  /** Waits until the server holds no more handles than before, some of its own aside. */
  async handlesBackTo(before: number): Promise<void> {
    const most = before + OWN_HANDLES;
    await until(`${most} handles are left`, () => this.server.handles <= most);
  }
}
