/**
 * A collector's disk: the modelled files of its queue and of its dead letters, the lock that a
 * process holds on them, and what can befall them: a crash at a chosen call, an I/O error, no more
 * room, a copy put back, damage.
 */
import { ModelledFiles } from '../../unit/queue/modelled-files.ts';
import type { Random } from './random.ts';
import type { Process } from './world.ts';

/** A segment's last block and its index. */
const CHARGE_BYTES = 8_192;
const BLOCK_BYTES = 4_096;

class Crash extends Error {}

export class HostDisk {
  #files = new ModelledFiles();
  #holder: Process | undefined;
  #crashed = false;
  #crashIn = Number.POSITIVE_INFINITY;
  #failing: { operations: ReadonlySet<string>; in: number } | undefined;
  /** Payloads by identity, which survive as synced files do. */
  readonly deadLetters = new Map<string, string>();

  constructor() {
    this.#watch();
  }

  get files(): ModelledFiles {
    return this.#files;
  }

  /** True when the process died within a call to the files. */
  get crashed(): boolean {
    return this.#crashed;
  }

  /** The next calls but so many kill the process, in the middle of whatever it does. */
  crashIn(calls: number): void {
    this.#crashIn = calls;
  }

  /** One write or sync, after so many of them, fails with an I/O error. */
  failIn(operations: readonly string[], calls: number): void {
    this.#failing = { operations: new Set(operations), in: calls };
  }

  /** So much more fits on it. */
  fill(roomBytes: number): void {
    this.#files.roomBytes = roomBytes;
  }

  /** There is room again. */
  clear(): void {
    this.#files.roomBytes = Number.POSITIVE_INFINITY;
  }

  lock(process: Process): boolean {
    if (this.#holder?.alive === true && this.#holder !== process) return false;
    this.#holder = process;
    return true;
  }

  unlock(process: Process): void {
    if (this.#holder === process) this.#holder = undefined;
  }

  afterKill(): void {
    this.#replace(this.#files.afterKill());
  }

  afterPowerLoss(random: Random): void {
    this.#replace(this.#files.afterPowerLoss((max) => random.int(0, max)));
  }

  copy(): ModelledFiles {
    return this.#files.afterKill();
  }

  /** Puts a copy in the place of what is there. */
  restore(copy: ModelledFiles): void {
    this.#replace(copy.afterKill());
  }

  /** What the segments and their indexes take of the disk, in bytes: whole blocks. */
  get segmentBytes(): number {
    const names = [...this.#files.names('segment-'), ...this.#files.names('index-')];
    return names.reduce((sum, name) => {
      const bytes = this.#files.content(name).length;
      return sum + Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
    }, 0);
  }

  /** What the queue has to count of its limit for the segments: each costs 8 KiB beside its bytes. */
  get chargedBytes(): number {
    return this.#files
      .names('segment-')
      .reduce((sum, name) => sum + this.#files.content(name).length + CHARGE_BYTES, 0);
  }

  #replace(files: ModelledFiles): void {
    files.roomBytes = this.#files.roomBytes;
    this.#files = files;
    this.#crashed = false;
    this.#crashIn = Number.POSITIVE_INFINITY;
    this.#failing = undefined;
    this.#watch();
  }

  #watch(): void {
    this.#files.before = ({ operation }) => {
      this.#files.calls.length = 0;
      if (this.#crashed) throw new Crash('the process is dead');
      this.#crashIn -= 1;
      if (this.#crashIn < 0) {
        this.#crashed = true;
        throw new Crash('the process died here');
      }
      const failing = this.#failing;
      if (failing === undefined || !failing.operations.has(operation)) return;
      failing.in -= 1;
      if (failing.in >= 0) return;
      this.#failing = undefined;
      throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
    };
  }
}
