/**
 * The messages with frames that have left on a connection and wait for their acks, in the order in
 * which they left. Acks may come in any order and any cut.
 *
 * Which seqs they carry doesn't matter to the order: a message that left later and was acknowledged
 * before an earlier one has overtaken it, whatever the order of draining.
 */
import type { SettledEntry } from '#protocol/messages.ts';
import type { SeqRange } from '#protocol/settlement.ts';
import type { Flight } from './window.ts';

export interface InFlight {
  readonly epochIndex: number;
  /** The seqs that no ack has named yet. */
  readonly open: readonly SeqRange[];
  readonly flight: Flight;
}

interface Tracked extends InFlight {
  open: readonly SeqRange[];
  /** When a message that left later was acknowledged before this one. */
  overtakenAt: number | undefined;
}

export class Flights {
  #tracked: Tracked[] = [];

  /** Not wholly acknowledged, oldest first. */
  get all(): readonly InFlight[] {
    return this.#tracked;
  }

  /** When the oldest of them left; undefined when there is none. */
  get oldestSentAt(): number | undefined {
    return this.#tracked[0]?.flight.sentAt;
  }

  /** When the oldest of them was overtaken, if it was. */
  get overtakenAt(): number | undefined {
    return this.#tracked[0]?.overtakenAt;
  }

  /** `seqs` ascend. */
  onSent(epochIndex: number, seqs: Iterable<number>, flight: Flight): void {
    this.#tracked.push({ epochIndex, flight, open: runs(seqs), overtakenAt: undefined });
  }

  /** Takes in what is settled; answers the flights that are wholly acknowledged by it. */
  onSettled(entries: readonly SettledEntry[], now: number): Flight[] {
    for (const entry of entries) this.#acknowledge(entry, now);
    const done = this.#tracked.filter(({ open }) => open.length === 0);
    if (done.length > 0) this.#tracked = this.#tracked.filter(({ open }) => open.length > 0);
    return done.map(({ flight }) => flight);
  }

  #acknowledge(entry: SettledEntry, now: number): void {
    let overtaking = false;
    for (let i = this.#tracked.length - 1; i >= 0; i -= 1) {
      const tracked = this.#tracked[i];
      if (tracked === undefined) continue;
      if (tracked.epochIndex === entry.epochIndex) tracked.open = without(tracked.open, entry);
      if (tracked.open.length === 0) overtaking = true;
      else if (overtaking) tracked.overtakenAt ??= now;
    }
  }
}

/** Ascending seqs as runs without holes. */
function runs(seqs: Iterable<number>): SeqRange[] {
  const result: { from: number; to: number }[] = [];
  for (const seq of seqs) {
    const last = result.at(-1);
    if (last !== undefined && last.to + 1 === seq) last.to = seq;
    else result.push({ from: seq, to: seq });
  }
  return result;
}

/** What of the runs is left without a range. */
function without(open: readonly SeqRange[], { from, to }: SeqRange): readonly SeqRange[] {
  if (open.every((run) => run.to < from || run.from > to)) return open;
  return open.flatMap((run) =>
    [
      { from: run.from, to: Math.min(run.to, from - 1) },
      { from: Math.max(run.from, to + 1), to: run.to },
    ].filter((rest) => rest.from <= rest.to),
  );
}
