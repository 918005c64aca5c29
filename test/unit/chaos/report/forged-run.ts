/**
 * Forged folders of runs, file by file as a runner leaves them: a load at an even rate, outages in
 * which nothing is stored, and drains at a given speed. All follows from the arguments; what the
 * files come to is the real oracle's to say.
 */
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { formatLine } from '#chaos/ledger/lines.ts';
import { judgeFiles } from '#chaos/oracle/evidence.ts';
import type { Case, Observations } from '#chaos/oracle/observations.ts';
import type { RunRecord, ScenarioRecord } from '#chaos/run/records.ts';
import { formatTime, frameCrc } from '#protocol/identity.ts';

const START_US = 1_795_248_000_000_000;
const COLLECTOR = 'load-1';
const BYSTANDER = 'load-2';
const EPOCH = '01938c5e-8a00-7000-8000-000000000001';
const LAG_US = 4_000;
const RECONNECT_US = 400_000;
const STATUS_EVERY_US = 100_000;
const AUDIT_EVERY_US = 250_000;

export interface ForgedFault {
  readonly name: string;
  readonly target: string;
  readonly from_s: number;
  readonly to_s: number;
  /** Nothing is stored while it lasts; true unless told. */
  readonly outage?: boolean;
  readonly bit?: boolean;
  readonly evidence?: string;
}

export interface ForgedScenario {
  readonly name: string;
  readonly title?: string;
  readonly description?: string;
  readonly repeat?: number;
  readonly frames: number;
  /** Frames a second; 200 unless told. */
  readonly rate?: number;
  /** Frames a second that a drain stores; ten times the rate unless told. */
  readonly drainRate?: number;
  readonly payloadBytes?: number;
  readonly faults?: readonly ForgedFault[];
  /** Numbers of frames that the store doesn't have. */
  readonly lost?: readonly number[];
  /** Numbers of frames that it has twice, the second time under another seq. */
  readonly doubled?: readonly number[];
  readonly exits?: readonly { at_s: number; process: string; injected: boolean }[];
  readonly asks?: Partial<Case>;
  readonly harness_failures?: readonly string[];
  readonly outcome?: ScenarioRecord['outcome'];
  readonly reason?: string;
  readonly evidence?: string;
  /** A second source, that no fault is aimed at. */
  readonly bystander?: boolean;
}

interface Frame {
  readonly n: number;
  readonly capturedAt: number;
  readonly receivedAt: number;
}

/** Frames in their order, each stored as soon as outages and the speed of the drain let it. */
function* framesOf(one: ForgedScenario): Generator<Frame> {
  const { frames, rate = 200, drainRate = rate * 10, faults = [] } = one;
  const outages = faults
    .filter(({ outage = true }) => outage)
    .map(({ from_s, to_s }) => [START_US + from_s * 1e6, START_US + to_s * 1e6] as const)
    .sort(([a], [b]) => a - b);
  let earliest = 0;
  for (let n = 1; n <= frames; n += 1) {
    const capturedAt = Math.round(START_US + ((n - 1) * 1e6) / rate);
    let at = Math.max(capturedAt + LAG_US, earliest);
    for (const [from, to] of outages) if (at >= from && at < to) at = to + RECONNECT_US;
    earliest = at + 1e6 / drainRate;
    yield { n, capturedAt, receivedAt: Math.round(at) };
  }
}

function payloadOf(n: number, bytes = 24): Buffer {
  const payload = Buffer.alloc(bytes, 0x5a);
  payload.writeUInt32BE(n, 0);
  return payload;
}

function exportLine(
  collector: string,
  n: number,
  seq: number,
  frame: Frame,
  bytes?: number,
): string {
  const payload = payloadOf(n, bytes);
  const { capturedAt, receivedAt } = frame;
  const crc = frameCrc({ epoch: EPOCH, seq, capturedAt, payload });
  return `${JSON.stringify({
    collector,
    epoch: EPOCH,
    seq,
    captured_at: formatTime(capturedAt),
    received_at: formatTime(receivedAt),
    crc32: crc.toString(16).padStart(8, '0'),
    payload_base64: payload.toString('base64'),
  })}\n`;
}

/** Writes text in large pieces; a run may have a million frames. */
class File {
  readonly #file: number;
  #pieces: string[] = [];

  constructor(path: string) {
    this.#file = openSync(path, 'w');
  }

  write(text: string): void {
    this.#pieces.push(text);
    if (this.#pieces.length > 10_000) this.#flush();
  }

  close(): void {
    this.#flush();
    closeSync(this.#file);
  }

  #flush(): void {
    writeSync(this.#file, this.#pieces.join(''));
    this.#pieces = [];
  }
}

function writeEvidence(path: string, one: ForgedScenario): void {
  mkdirSync(join(path, 'ledger'), { recursive: true });
  const rows = new File(join(path, 'export.ndjson'));
  writeSource(join(path, 'ledger', 'source.jsonl'), rows, COLLECTOR, one);
  if (one.bystander) {
    const unharmed = { ...one, faults: [], lost: [], doubled: [] };
    writeSource(join(path, 'ledger', 'bystander.jsonl'), rows, BYSTANDER, unharmed);
  }
  rows.close();
}

function writeSource(path: string, rows: File, collector: string, one: ForgedScenario): void {
  const { payloadBytes, lost = [], doubled = [] } = one;
  const missing = new Set(lost);
  const twice = new Set(doubled);
  const ledger = new File(path);
  const run = '01938c5e-8a00-7000-8000-00000000000a';
  const start = { type: 'start', version: 1, collector, seed: 7, next: 1 } as const;
  ledger.write(formatLine({ ...start, run, at: START_US, torn_bytes: 0, settings: {} }));
  let next = one.frames + 1;
  for (const frame of framesOf(one)) {
    const { n, capturedAt } = frame;
    const payload = payloadOf(n, payloadBytes);
    const sha256 = createHash('sha256').update(payload).digest('hex');
    const bytes = payload.length;
    ledger.write(formatLine({ type: 'attempt', n, captured_at: capturedAt, bytes, sha256 }));
    ledger.write(formatLine({ type: 'accepted', n, epoch: EPOCH, seq: n }));
    if (missing.has(n)) continue;
    rows.write(exportLine(collector, n, n, frame, payloadBytes));
    if (twice.has(n)) rows.write(exportLine(collector, n, next++, frame, payloadBytes));
  }
  ledger.write(formatLine({ type: 'end', at: START_US * 2, attempts: one.frames }));
  ledger.close();
}

function observationsOf(one: ForgedScenario): Observations {
  const { faults = [], exits = [], harness_failures = [] } = one;
  const moment = (us: number) => ({ wall_us: Math.round(us), monotonic_ms: (us - START_US) / 1e3 });
  const second = (s: number) => moment(START_US + s * 1e6);
  const frames = [...framesOf(one)];
  const end = (frames.at(-1)?.receivedAt ?? START_US) + 1_500_000;
  const statuses: Observations['statuses'] = [];
  const audits: Observations['audits'] = [];
  let captured = 0;
  let stored = 0;
  for (let us = START_US; us < end; us += STATUS_EVERY_US) {
    while ((frames[captured]?.capturedAt ?? Infinity) <= us) captured += 1;
    while ((frames[stored]?.receivedAt ?? Infinity) <= us) stored += 1;
    const s = (us - START_US) / 1e6;
    const within = faults.find(
      ({ outage = true, from_s, to_s }) => outage && s > from_s + 0.08 && s < to_s + 0.3,
    );
    const state = within === undefined ? 'Ready' : s > within.to_s ? 'Recovering' : 'Backoff';
    const oldest = frames[stored]?.capturedAt;
    const waiting = captured - stored;
    statuses.push({
      at: moment(us),
      document: {
        collector: COLLECTOR,
        state,
        queue: {
          frames: waiting,
          oldest_captured_at: waiting === 0 || oldest === undefined ? null : formatTime(oldest),
        },
        counters: { acked: stored },
      },
    });
    if ((us - START_US) % AUDIT_EVERY_US === 0)
      audits.push({ at: moment(us), document: auditOf(stored) });
  }
  return {
    faults: faults.map(({ name, target, from_s, to_s, outage = true, bit = true, evidence }) => ({
      name,
      target,
      outage,
      began: second(from_s),
      lifted: second(to_s),
      running: second(to_s + 0.01),
      bit,
      evidence: evidence ?? 'the store stood still while frames waited',
    })),
    statuses: one.bystander ? withBystander(statuses) : statuses,
    audits,
    exits: exits.map(({ at_s, process, injected }) => ({
      at: second(at_s),
      process,
      code: null,
      signal: 'SIGKILL',
      injected,
    })),
    operator_actions: [],
    harness_failures: [...harness_failures],
    stretch: 1,
    ...(one.bystander ? { bystanders: [BYSTANDER] } : {}),
    drain: { outcome: 'drained', waited_ms: 240 },
  };
}

/** Its own samples among them, and before them: much seems to wait there. */
function withBystander(statuses: Observations['statuses']): Observations['statuses'] {
  const queue = { frames: 9_999, oldest_captured_at: null };
  const document = { collector: BYSTANDER, state: 'Ready', queue, counters: { acked: 0 } };
  return statuses.flatMap((own) => [{ at: own.at, document }, own]);
}

function auditOf(stored: number, bystander = false): Observations['audits'][number]['document'] {
  const none = { declared: [], rejected: [], pruned: [], pending: [], missing: [] };
  const nothing = { declared: 0, pruned: 0, pending: 0, missing: 0, duplicates_refused: 0 };
  const epochs = stored === 0 ? [] : [{ epoch: EPOCH, last: stored, stored, ...none }];
  const names = bystander ? [COLLECTOR, BYSTANDER] : [COLLECTOR];
  return {
    collectors: names.map((collector) => ({ collector, totals: { stored, ...nothing }, epochs })),
  };
}

/** Writes a scenario's folder and answers its record, with what the oracle makes of it. */
async function forgeScenario(
  runFolder: string,
  index: number,
  one: ForgedScenario,
): Promise<ScenarioRecord> {
  const { name, title = name, description = 'A trouble of the real world.', repeat = 1 } = one;
  const about = { name, title, description, repeat };
  const times = { started_at: '2026-11-21T08:00:00.000Z', ended_at: '2026-11-21T08:00:42.500Z' };
  if (one.outcome === 'not_run') {
    const none = { folder: null, started_at: null, ended_at: null };
    return { ...about, ...none, outcome: 'not_run', reason: one.reason ?? '' };
  }
  const number = String(index + 1).padStart(2, '0');
  const folder = `${number}-${name}${repeat > 1 || one.repeat !== undefined ? `-r${repeat}` : ''}`;
  const path = join(runFolder, folder);
  mkdirSync(path, { recursive: true });
  writeEvidence(path, one);
  const write = (file: string, document: unknown) => {
    writeFileSync(join(path, file), JSON.stringify(document));
  };
  const faults = (one.faults ?? []).map((fault) => fault.name);
  write('case.json', { faults, accepted_min: 1, queued_min: 1, ...one.asks });
  write('observations.json', observationsOf(one));
  write('audit.json', auditOf(one.frames, one.bystander));
  writeFileSync(join(path, 'scenario.yaml'), `title: ${title}\ndescription: ${description}\n`);
  const result = await judgeFiles({
    ledgers: ['source', ...(one.bystander ? ['bystander'] : [])].map((source) =>
      join(path, 'ledger', `${source}.jsonl`),
    ),
    export: join(path, 'export.ndjson'),
    audit: join(path, 'audit.json'),
    observations: join(path, 'observations.json'),
    case: join(path, 'case.json'),
  });
  write('result.json', result);
  const reason = result.reasons.map(({ text }) => text).join('; ');
  const outcome = one.outcome ?? result.verdict;
  return { ...about, ...times, folder, outcome, reason: one.reason ?? reason };
}

export async function forgeRun(
  runFolder: string,
  scenarios: readonly ForgedScenario[],
  more: Partial<RunRecord> = {},
): Promise<RunRecord> {
  mkdirSync(runFolder, { recursive: true });
  const records: ScenarioRecord[] = [];
  for (const [index, one] of scenarios.entries()) {
    records.push(await forgeScenario(runFolder, index, one));
  }
  const record: RunRecord = {
    version: 1,
    kind: 'scenarios',
    ground: 'process',
    ground_reason: 'no container engine is here, so programs run on loopback',
    started_at: '2026-11-21T07:59:30.000Z',
    ended_at: '2026-11-21T08:05:12.000Z',
    seed: 20_261_126,
    command: 'SEED=20261126 make chaos',
    product: { version: '0.1.0', commit: '0123456789abcdef0123456789abcdef01234567' },
    machine: {
      cpus: 2,
      cpu_model: 'Forged CPU at 2.4 GHz',
      memory_bytes: 8_000_000_000,
      node: '26.10.0',
      os: 'Linux 6.1',
    },
    scenarios: records,
    healed: [],
    ...more,
  };
  writeFileSync(join(runFolder, 'run.json'), JSON.stringify(record));
  return record;
}
