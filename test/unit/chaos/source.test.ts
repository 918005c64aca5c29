/**
 * Source, real pipeline and judge together: a run that is killed and restarted passes, and a store
 * that was tampered with never does.
 */
import { strict as assert } from 'node:assert';
import { cpSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitUntil } from '#chaos/observe/wait.ts';
import { type EvidenceFiles, judgeFiles } from '#chaos/oracle/evidence.ts';
import type { StatusDocument } from '#collector/status/document.ts';
import { frameCrc } from '#protocol/identity.ts';
import {
  collect,
  drained,
  Program,
  past,
  scratch,
  startServer,
  startSource,
  stopAll,
} from './rig.ts';

const LOAD = { HOLDFAST_LOAD_RATE: '2000' };
/** A frame that was accepted and stored in any run: early, and not near a kill. */
const VICTIM = 100;

let directory: string;
let store: string;
let evidence: EvidenceFiles;
/** Attempts of the whole run. */
let frames: number;

/** One run for all: the server killed, the source killed under load while it is away, both back. */
beforeAll(async () => {
  directory = await scratch();
  store = join(directory, 'store');
  const first = await startServer(store);
  const source = await startSource(directory, first.port, LOAD);
  await past(source, 'acked', 500);
  await first.program.kill('SIGKILL');
  const atKill = (await source.status()).counters.captured;
  await past(source, 'captured', atKill + 500);
  await source.program.kill('SIGKILL');
  const again = await startSource(directory, first.port, LOAD);
  const second = await startServer(store, first.port);
  await past(again, 'captured', (await again.status()).counters.captured + 1_000);
  again.program.child.kill('SIGUSR2');
  frames = Number((await again.program.logged('load_ended')).attempts);
  await drained(again, frames);
  expect(await again.program.kill('SIGTERM')).toBe(0);
  evidence = await collect(directory, second.api);
  expect(await second.program.kill('SIGTERM')).toBe(0);
}, 60_000);

afterAll(stopAll);

test('a run through kills of both ends passes, and every frame is accounted for', async () => {
  const result = await judgeFiles(evidence);
  expect(result.reasons).toEqual([]);
  const { attempted, accepted, indeterminate, stored, recovered } = result.counts;
  expect(attempted).toBe(frames);
  expect(accepted + indeterminate).toBe(frames);
  expect(stored).toBe(accepted + recovered);
});

test('the ledger tells of both processes', () => {
  const lines = readFileSync(evidence.ledgers[0] ?? '', 'utf8')
    .trimEnd()
    .split('\n');
  const starts = lines
    .filter((line) => line.startsWith('{"type":"start"'))
    .map((l) => JSON.parse(l));
  expect(starts).toHaveLength(2);
  expect(starts[1]).toMatchObject({ seed: starts[0].seed, collector: 'load-1' });
  expect(starts[1].next).toBeGreaterThan(1_000);
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ type: 'end', attempts: frames });
});

type Row = Readonly<Record<'stream_id' | 'captured_at' | 'received_at', number>> & {
  readonly payload: Uint8Array;
};

function victim(database: DatabaseSync): Row {
  const row = database.prepare('SELECT * FROM frames WHERE seq = ? LIMIT 1').get(VICTIM);
  assert(row !== undefined, 'the victim is stored');
  return row as unknown as Row;
}

/** Writes the row anew, under another identity or with other content, and seals it as the collector would. */
function reseal(database: DatabaseSync, changes: { capturedAt?: number; payload?: Uint8Array }) {
  const { stream_id, captured_at, payload } = victim(database);
  const stream = database.prepare('SELECT epoch FROM streams WHERE id = ?').get(stream_id);
  const whole = { epoch: String(stream?.epoch), seq: VICTIM, capturedAt: captured_at, payload };
  const frame = { ...whole, ...changes };
  database
    .prepare(
      'UPDATE frames SET captured_at = ?, payload = ?, crc = ? WHERE stream_id = ? AND seq = ?',
    )
    .run(frame.capturedAt, frame.payload, frameCrc(frame), stream_id, VICTIM);
}

function flipped(payload: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(payload);
  copy[0] = (copy[0] ?? 0) ^ 1;
  return copy;
}

const SABOTAGE: readonly (readonly [string, string, (database: DatabaseSync) => void])[] = [
  [
    'a row deleted',
    'lost',
    (database) => {
      const { stream_id } = victim(database);
      database.prepare('DELETE FROM frames WHERE stream_id = ? AND seq = ?').run(stream_id, VICTIM);
    },
  ],
  [
    'captured_at changed by a microsecond',
    'altered_captured_at',
    (database) => {
      const { stream_id } = victim(database);
      database
        .prepare('UPDATE frames SET captured_at = captured_at + 1 WHERE stream_id = ? AND seq = ?')
        .run(stream_id, VICTIM);
    },
  ],
  [
    'captured_at changed by a microsecond, with a new checksum',
    'altered_captured_at',
    (database) => reseal(database, { capturedAt: victim(database).captured_at - 1 }),
  ],
  [
    'a payload byte flipped',
    'altered_payload',
    (database) => {
      const { stream_id, payload } = victim(database);
      database
        .prepare('UPDATE frames SET payload = ? WHERE stream_id = ? AND seq = ?')
        .run(flipped(payload), stream_id, VICTIM);
    },
  ],
  [
    'a payload byte flipped, with a new checksum',
    'altered_payload',
    (database) => reseal(database, { payload: flipped(victim(database).payload) }),
  ],
  [
    'the same payload twice, under another epoch',
    'duplicated',
    (database) => {
      const { captured_at, received_at, payload } = victim(database);
      const epoch = '01938c5e-8a00-7000-8000-0000000000ff';
      const { lastInsertRowid } = database
        .prepare(
          "INSERT INTO streams (collector, epoch, lowest, highest, held) VALUES ('load-1', ?, 1, 1, 0)",
        )
        .run(epoch);
      const crc = frameCrc({ epoch, seq: 1, capturedAt: captured_at, payload });
      database
        .prepare('INSERT INTO frames VALUES (?, 1, ?, ?, ?, ?)')
        .run(lastInsertRowid, captured_at, received_at, crc, payload);
    },
  ],
];

/** Under the running server: it would notice most of this at its start. */
describe('a store that was tampered with fails:', () => {
  test.each(SABOTAGE)('%s', async (_, code, tamper) => {
    const copy = await scratch();
    cpSync(store, join(copy, 'store'), { recursive: true });
    const { api, program } = await startServer(join(copy, 'store'));
    const database = new DatabaseSync(join(copy, 'store', 'holdfast.db'), { timeout: 5_000 });
    tamper(database);
    database.close();
    const { audit, export: exported } = await collect(copy, api);
    await program.kill('SIGTERM');
    const result = await judgeFiles({ ...evidence, audit, export: exported });
    expect(result.verdict).toBe('fail');
    expect(result.reasons.map((reason) => reason.code)).toContain(code);
  });
});

describe('the oracle by hand', () => {
  const oracle = (files: { ledger: string; export: string }, ...more: string[]) =>
    new Program('chaos/oracle/main.ts', {}, [
      '--ledger',
      files.ledger,
      '--export',
      files.export,
      ...more,
    ]);
  const given = () => ({ ledger: evidence.ledgers[0] ?? '', export: evidence.export });

  test('prints the counts and the verdict, writes the result, and exits with 0 for a pass', async () => {
    const json = join(directory, 'result.json');
    const program = oracle(given(), '--audit', evidence.audit ?? '', '--json', json);
    expect(await program.exit).toBe(0);
    expect(program.stdout).toMatch(new RegExp(`^attempted +${frames}$`, 'm'));
    expect(program.stdout).toMatch(/\nverdict: pass\n$/);
    expect(JSON.parse(readFileSync(json, 'utf8'))).toMatchObject({ verdict: 'pass', exit_code: 0 });
  });

  test('exits with 1 for a fail, and shows the frame', async () => {
    const lines = readFileSync(evidence.export, 'utf8').split('\n');
    lines.splice(VICTIM - 1, 1);
    const cut = join(directory, 'without-one.ndjson');
    writeFileSync(cut, lines.join('\n'));
    const program = oracle({ ...given(), export: cut });
    expect(await program.exit).toBe(1);
    expect(program.stdout).toMatch(/^lost +1 +load-1 #\{100\}$/m);
    expect(program.stdout).toMatch(/attempt 100 \(load-1 .*last seen: queue$/m);
  });

  test('exits with 3 when the export was cut short', async () => {
    const cut = join(directory, 'cut.ndjson');
    cpSync(evidence.export, cut);
    truncateSync(cut, 100_000);
    const program = oracle({ ...given(), export: cut });
    expect(await program.exit).toBe(3);
    expect(program.stdout).toContain('inconclusive: export_cut_short');
  });

  test('exits with 2, without a stack, for a file that is not there or not right', async () => {
    const absent = oracle({ ...given(), export: join(directory, 'nothing') });
    expect(await absent.exit).toBe(2);
    expect(absent.stderr).toMatch(/nothing can't be read/);
    const wrong = oracle(given(), '--case', evidence.audit ?? '');
    expect(await wrong.exit).toBe(2);
    expect(wrong.stderr).toContain('store_id');
    expect(absent.stderr + wrong.stderr).not.toMatch(/^ +at /m);
  });
});

describe('the source', () => {
  test('makes as many attempts as it was told, over restarts, and ends its account', async () => {
    const own = await scratch();
    const limit = { HOLDFAST_LOAD_FRAMES: '100', HOLDFAST_LOAD_RATE: '1000' };
    for (let start = 1; start <= 2; start += 1) {
      const source = await startSource(own, '1', limit);
      expect(await source.program.logged('load_ended')).toMatchObject({ attempts: 100 });
      expect((await source.status()).queue.frames).toBe(100);
      expect(await source.program.kill('SIGTERM')).toBe(0);
    }
  });

  test('ends its load alone at SIGUSR2, and stays', async () => {
    const own = await scratch();
    const source = await startSource(own, '1', { HOLDFAST_LOAD_RATE: '500' });
    await past(source, 'accepted', 50);
    source.program.child.kill('SIGUSR2');
    const { attempts } = await source.program.logged('load_ended');
    const status = await source.status();
    expect(status.counters).toMatchObject({ captured: attempts, accepted: attempts });
    expect(await source.program.kill('SIGTERM')).toBe(0);
    const ledger = readFileSync(join(own, 'ledger.jsonl'), 'utf8');
    expect(ledger.trimEnd().split('\n').at(-1)).toContain(`"type":"end"`);
  });

  test('at a rate of 0 brings over what a copied queue has, and makes nothing of its own', async () => {
    const [own, copy] = [await scratch(), await scratch()];
    const limit = { HOLDFAST_LOAD_FRAMES: '50', HOLDFAST_LOAD_RATE: '1000' };
    const source = await startSource(own, '1', limit);
    await source.program.logged('load_ended');
    expect(await source.program.kill('SIGKILL')).toBe(null);
    cpSync(join(own, 'queue'), join(copy, 'queue'), { recursive: true });
    const server = await startServer(join(copy, 'store'));
    const clone = new Program('chaos/source/main.ts', {
      HOLDFAST_TOKEN: '0123456789abcdef',
      HOLDFAST_SERVER: `127.0.0.1:${server.port}`,
      HOLDFAST_COLLECTOR_ID: 'load-1',
      HOLDFAST_QUEUE_PATH: join(copy, 'queue'),
      HOLDFAST_LEDGER_PATH: join(copy, 'no-ledger.jsonl'),
      HOLDFAST_LOAD_RATE: '0',
      HOLDFAST_STATUS_PORT: '0',
    });
    const { port } = await clone.logged('status_listening');
    await waitUntil('all is brought over', async () => {
      const response = await fetch(`http://127.0.0.1:${port}/status`);
      const { counters, queue } = (await response.json()) as StatusDocument;
      return counters.acked === 50 && counters.captured === 0 && queue.frames === 0;
    });
    expect(existsSync(join(copy, 'no-ledger.jsonl'))).toBe(false);
    expect(await clone.kill('SIGTERM')).toBe(0);
    const evidence = await collect(copy, server.api);
    const ledgers = [join(own, 'ledger.jsonl')];
    const { counts, verdict } = await judgeFiles({ ...evidence, ledgers });
    expect({ verdict, stored: counts.stored }).toEqual({ verdict: 'inconclusive', stored: 50 });
  });

  test('does not start on a ledger that is damaged, and says what to do', async () => {
    const own = await scratch();
    writeFileSync(join(own, 'ledger.jsonl'), 'not a ledger\n');
    const program = new Program('chaos/source/main.ts', {
      HOLDFAST_TOKEN: '0123456789abcdef',
      HOLDFAST_QUEUE_PATH: join(own, 'queue'),
      HOLDFAST_LEDGER_PATH: join(own, 'ledger.jsonl'),
      HOLDFAST_STATUS_PORT: '0',
    });
    expect(await program.exit).toBe(1);
    expect(program.stdout).toContain('ledger_damaged');
    expect(program.stdout).toContain('Move it away');
  });
});
