/**
 * The pulse of a proven connection: when the next PING is due, and by when something must have come
 * of what was sent. Sans-IO; times are monotonic milliseconds.
 *
 * Progress, not writing, keeps a connection: the server's growing count of received bytes, or an
 * ack, as long as PINGs are answered. On a healthy link the heartbeats alone make it grow, so a dead
 * link is noticed when idle too, in either direction, and a slow one is never taken for dead.
 *
 * Not here: what is written and read (`sender.ts`), frames that were overtaken (`delivery.ts`).
 */
import { PING_INTERVALS_MAX } from '#protocol/limits.ts';

/** Four missed heartbeats: with the ack of the last one a dead link is noticed within 5 s. */
const PROGRESS_MS_MIN = 4_000;
const PROGRESS_MARGIN_MS = 2_000;
/** What a PING's answer may take for each byte that stood before it: a thin link's 512 bytes/s. */
const MS_PER_BYTE_MAX = 1_000 / 512;
/** How fast a worse round trip is forgotten, per answered PING. */
const RTT_FADE = 0.7;
const HEARTBEAT_MS_MIN = 100;
const HEARTBEAT_MS_MAX = 60_000;

export class Pulse {
  readonly #heartbeatMs: number;
  #rttMs: number;
  #progressAt: number;
  #nextPingAt: number;
  /** When a PING is due whatever else is sent. */
  #pingDueAt: number;
  /** When the newest PING was made. */
  #pingAt = Number.NEGATIVE_INFINITY;
  #pingId = 0;
  /** PINGs without an answer: when each left, and when its answer is due, the round trip apart. */
  readonly #pings = new Map<number, { readonly sentAt: number; readonly dueAt: number }>();
  #bytesReceivedByServer = 0;

  /**
   * @param heartbeatMs As the server asks for it; clamped.
   * @param rttMs The round trip as far as it is known.
   */
  constructor(heartbeatMs: number, rttMs: number, now: number) {
    this.#heartbeatMs = Math.min(Math.max(heartbeatMs, HEARTBEAT_MS_MIN), HEARTBEAT_MS_MAX);
    this.#rttMs = rttMs;
    this.#progressAt = now;
    this.#nextPingAt = now;
    this.#pingDueAt = now;
  }

  /** The worst of late. */
  get rttMs(): number {
    return this.#rttMs;
  }

  get nextPingAt(): number {
    return this.#nextPingAt;
  }

  silentMs(now: number): number {
    return now - this.#progressAt;
  }

  /**
   * When the link is to be taken for dead.
   * @param overtakenAt Since when a frame has waited for its ack while later ones got theirs.
   */
  deadline(overtakenAt = Number.POSITIVE_INFINITY): number {
    const patienceMs = Math.max(
      PROGRESS_MS_MIN * Math.max(1, this.#heartbeatMs / 1_000),
      3 * this.#rttMs + PROGRESS_MARGIN_MS,
    );
    // Where bytes were lost on the way, the server takes all that follows for the rest of a message:
    // its count grows, and it understands nothing any more.
    const answerDueAt = Math.min(...this.#pings.values().map(({ dueAt }) => dueAt));
    return Math.min(this.#progressAt, overtakenAt, answerDueAt) + patienceMs;
  }

  /** Something of ours was settled. */
  onProgress(now: number): void {
    this.#progressAt = now;
  }

  /** Both ends are alive and understand each other: that is all that a PING would tell. */
  onAck(now: number): void {
    this.#nextPingAt = Math.min(now + this.#heartbeatMs, this.#pingDueAt);
  }

  /** The server says how many bytes of ours it has received. */
  onServerCount(bytesReceived: number, now: number): void {
    if (bytesReceived <= this.#bytesReceivedByServer) return;
    this.#bytesReceivedByServer = bytesReceived;
    this.#progressAt = now;
  }

  onPong(id: number, now: number): void {
    const ping = this.#pings.get(id);
    if (ping === undefined) return;
    for (const known of this.#pings.keys()) if (known <= id) this.#pings.delete(known);
    this.#rttMs = Math.max(now - ping.sentAt, this.#rttMs * RTT_FADE);
  }

  /**
   * Whether the server's PING wants a PONG. Not just after a PING of ours, which tells it the same:
   * on a link of 1 KB/s the two together take a twentieth.
   */
  wantsPong(now: number): boolean {
    return now >= this.#pingAt + this.#heartbeatMs;
  }

  /** The id of the PING that is to be written now. */
  nextPing(now: number): number {
    this.#pingAt = now;
    this.#nextPingAt = now + this.#heartbeatMs;
    this.#pingDueAt = now + PING_INTERVALS_MAX.collector * this.#heartbeatMs;
    this.#pingId += 1;
    return this.#pingId;
  }

  /** @param bytesSent On this connection so far, the PING included. */
  onPingWritten(id: number, bytesSent: number, now: number): void {
    const bytesBefore = Math.max(0, bytesSent - this.#bytesReceivedByServer);
    this.#pings.set(id, { sentAt: now, dueAt: now + bytesBefore * MS_PER_BYTE_MAX });
  }
}
