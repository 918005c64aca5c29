/**
 * How often frames that are not settled were sent since the process started: for whoever looks at
 * the queue and wonders. Nothing depends on it. Sans-IO.
 *
 * Runs of one epoch with the same number are one entry, so its size follows what is in flight or was
 * lost with a connection, not the number of frames; past RUNS_MAX the newest are not counted.
 */
import type { Epoch } from '#protocol/identity.ts';
import type { SeqRange } from '#protocol/settlement.ts';

export interface Tried extends SeqRange {
  readonly epoch: Epoch;
  readonly tries: number;
}

type Run = SeqRange & { readonly tries: number };

const RUNS_MAX = 256;

export class Tries {
  readonly #runs = new Map<Epoch, readonly Run[]>();
  #changes = 0;

  /** Grows with each change. */
  get changes(): number {
    return this.#changes;
  }

  /** In the order in which their epochs were first sent, seqs ascending. */
  get all(): Tried[] {
    return [...this.#runs].flatMap(([epoch, runs]) => runs.map((run) => ({ epoch, ...run })));
  }

  /** Frames have left; `seqs` ascend. */
  onSent(epoch: Epoch, seqs: Iterable<number>): void {
    let run: { from: number; to: number } | undefined;
    for (const seq of seqs) {
      if (run?.to === seq - 1) run.to = seq;
      else {
        if (run !== undefined) this.#add(epoch, run);
        run = { from: seq, to: seq };
      }
    }
    if (run !== undefined) this.#add(epoch, run);
  }

  onSettled(epoch: Epoch, settled: SeqRange): void {
    const runs = this.#runs.get(epoch);
    if (runs === undefined) return;
    const left = runs.flatMap((run) => outside(run, settled));
    this.#changes += 1;
    if (left.length > 0) this.#runs.set(epoch, left);
    else this.#runs.delete(epoch);
  }

  #add(epoch: Epoch, sent: SeqRange): void {
    const runs = this.#runs.get(epoch) ?? [];
    const untouched = runs.flatMap((run) => outside(run, sent));
    const again = runs.flatMap((run) => within(run, sent, run.tries + 1));
    const first = runs.reduce<readonly Run[]>(
      (open, run) => open.flatMap((one) => outside(one, run)),
      [{ ...sent, tries: 1 }],
    );
    const all = [...untouched, ...again, ...first].sort((a, b) => a.from - b.from);
    this.#runs.set(epoch, joined(all).slice(0, RUNS_MAX));
    this.#changes += 1;
  }
}

function outside(run: Run, { from, to }: SeqRange): Run[] {
  if (run.to < from || run.from > to) return [run];
  return [
    { ...run, to: Math.min(run.to, from - 1) },
    { ...run, from: Math.max(run.from, to + 1) },
  ].filter((rest) => rest.from <= rest.to);
}

function within(run: Run, { from, to }: SeqRange, tries: number): Run[] {
  const cut = { from: Math.max(run.from, from), to: Math.min(run.to, to), tries };
  return cut.from <= cut.to ? [cut] : [];
}

function joined(sorted: readonly Run[]): Run[] {
  const result: Run[] = [];
  for (const run of sorted) {
    const last = result.at(-1);
    if (last?.to === run.from - 1 && last.tries === run.tries) {
      result[result.length - 1] = { ...last, to: run.to };
    } else result.push(run);
  }
  return result;
}
