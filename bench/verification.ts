/**
 * Whether the store holds what was sent: every frame once, bit for bit, nothing else. Judged from
 * the rows that there are, as the server exports them, and from what the frames must be
 * (`source/frames.ts`), not from what the source or the server count.
 */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { BenchError } from './errors.ts';
import { capturedAtOf, type FramePlan, indexOf, payloadOf } from './source/frames.ts';

/** In frames; all but `sent` and `stored` are defects. */
export interface Verification {
  readonly sent: number;
  /** Rows that the export gave, or that are in the store’s file. */
  readonly stored: number;
  readonly lost: number;
  readonly duplicated: number;
  /** Other bytes, or another capture time, than the frame was made with. */
  readonly altered: number;
  /** Rows that were never sent. */
  readonly unexpected: number;
}

export function holds({ lost, duplicated, altered, unexpected }: Verification): boolean {
  return lost + duplicated + altered + unexpected === 0;
}

/** A row as the export gives it, times in microseconds since 1970 UTC. */
export interface ExportedRow {
  readonly seq: number;
  readonly capturedAt: number;
  readonly receivedAt: number;
  readonly payload: Buffer;
}

/** The export of one collector, or of all where none is named, row by row. */
export async function* exportedRows(api: string, collector?: string): AsyncGenerator<ExportedRow> {
  const query = collector === undefined ? '' : `?collector=${collector}`;
  const response = await fetch(`${api}/api/v1/export${query}`);
  if (response.status !== 200 || response.body === null) {
    throw new BenchError(`the export was answered ${response.status}`);
  }
  for await (const line of createInterface({ input: Readable.fromWeb(response.body) })) {
    const row = JSON.parse(line) as ExportedLine;
    yield {
      seq: row.seq,
      capturedAt: parseTime(row.captured_at),
      receivedAt: parseTime(row.received_at),
      payload: Buffer.from(row.payload_base64, 'base64'),
    };
  }
}

interface ExportedLine {
  readonly seq: number;
  readonly captured_at: string;
  readonly received_at: string;
  readonly payload_base64: string;
}

/** Of a time with six digits behind the point; NaN of anything else, which equals no time. */
function parseTime(text: string): number {
  const parts = /^(.{19})\.(\d{6})Z$/.exec(text);
  return Date.parse(`${parts?.[1]}Z`) * 1_000 + Number(parts?.[2]);
}

/** Rows, looked at one by one, against the frames `first` … `first + sent − 1` of a plan. */
export class Tally {
  readonly #plan: FramePlan;
  readonly #first: number;
  readonly #seen: Uint8Array;
  readonly #counts = { stored: 0, duplicated: 0, altered: 0, unexpected: 0 };

  constructor(plan: FramePlan, first: number, sent: number) {
    this.#plan = plan;
    this.#first = first;
    this.#seen = new Uint8Array(sent);
  }

  add({ payload, capturedAt }: Pick<ExportedRow, 'payload' | 'capturedAt'>): void {
    this.#counts.stored += 1;
    const n = indexOf(payload) ?? Number.NaN;
    const place = n - this.#first;
    const times = this.#seen[place];
    if (times === undefined) {
      this.#counts.unexpected += 1;
      return;
    }
    if (times === 1) this.#counts.duplicated += 1;
    this.#seen[place] = 1;
    const same =
      payload.equals(payloadOf(this.#plan, n)) && capturedAt === capturedAtOf(this.#plan, n);
    if (!same) this.#counts.altered += 1;
  }

  verification(): Verification {
    const lost = this.#seen.reduce((sum, one) => sum + 1 - one, 0);
    return { sent: this.#seen.length, lost, ...this.#counts };
  }
}

/**
 * Reads the whole export of a server on which nothing but these frames 0 … sent − 1 came in. `onRow`
 * is told of each row.
 */
export async function verify(
  api: string,
  plan: FramePlan,
  sent: number,
  onRow: (row: ExportedRow) => void = () => undefined,
): Promise<Verification> {
  const tally = new Tally(plan, 0, sent);
  for await (const row of exportedRows(api)) {
    onRow(row);
    tally.add(row);
  }
  return tally.verification();
}
