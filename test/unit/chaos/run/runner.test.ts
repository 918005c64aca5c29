/** The runner on a lab that is a model: what is done, undone, judged and written down. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test as base, describe } from 'vitest';
import { z } from 'zod';
import type { FaultKind } from '#chaos/faults/fault.ts';
import { waitUntil } from '#chaos/observe/wait.ts';
import { Progress } from '#chaos/run/progress.ts';
import { runRecordSchema } from '#chaos/run/records.ts';
import { readRunNote, removeRunNote, writeRunNote } from '#chaos/run/rollbacks.ts';
import { Run, type RunOptions } from '#chaos/run/runner.ts';
import { limitMsOf } from '#chaos/run/stage.ts';
import { parseScenario } from '#chaos/scenario/file.ts';
import type { Scenario } from '#chaos/scenario/scenario.ts';
import { blockKind, FakeLab, type Hook } from './fake-lab.ts';

const test = base.extend<{ lab: FakeLab }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads what a fixture needs from its pattern
  lab: async ({}, use) => {
    const lab = await FakeLab.start();
    await use(lab);
    await lab.stop();
  },
});

const HEAD = `title: a test
description: Nothing of the real world.
steady-state-hypothesis:
  tolerances: { accepted_min: 1 }
`;

function scenarioOf(text: string, kinds: readonly FaultKind[]): Scenario {
  return parseScenario(`${HEAD}${text}`, 'test.yaml', kinds);
}

interface Tried {
  readonly kinds?: readonly FaultKind[];
  readonly signal?: AbortSignal;
  readonly lines?: string[];
}

async function begin(lab: FakeLab, { kinds = [], signal, lines = [] }: Tried = {}): Promise<Run> {
  const options: RunOptions = {
    ground: lab,
    groundReason: 'it is a model',
    kinds,
    kind: 'scenarios',
    seed: 7,
    command: './holdfast chaos test',
    product: { version: '0.0.0', commit: null },
    folder: join(lab.folder, 'reports', '2026-11-26T08-00-00Z'),
    signal: signal ?? new AbortController().signal,
    progress: new Progress({ write: (text) => lines.push(text) }),
  };
  return Run.begin(options);
}

async function play(
  lab: FakeLab,
  text: string,
  tried: Tried & { readonly kinds: readonly FaultKind[] },
) {
  const run = await begin(lab, tried);
  const scenario = scenarioOf(text, tried.kinds);
  const ran = await run.play({ name: 'test', scenario, text });
  return { ...ran, run };
}

/** The orders between the first launch and the last removal. */
function ordersOfFaults(lab: FakeLab): string[] {
  return lab.orders.filter((order) => /^(inject|effect|lift|running) /.test(order));
}

const NESTED = `method:
  - type: action
    fault: block
    name: outer
    until: { queued_min: 200 }
    method:
      - type: action
        fault: block
        name: inner
`;

/** What the runner says when a phase begins in which no fault has a word. */
const WORDS_OF: Readonly<Record<string, string>> = {
  launch: 'launching the load source',
  'warming up': 'warming up',
  until: 'block: until',
  probe: 'more: until',
  pause: 'until link works again',
  aftermath: 'the aftermath',
  drain: 'the drain',
};

describe.concurrent('a run', { timeout: 60_000 }, () => {
  test('faults nest, are lifted inner ones first, and what was accepted is stored', async ({
    lab,
    expect,
  }) => {
    const lines: string[] = [];
    const kinds = [blockKind(lab, 'block')];
    const { record, result, run } = await play(lab, NESTED, { kinds, lines });
    expect(record).toMatchObject({ outcome: 'pass', reason: '', folder: '01-test' });
    expect(result?.faults.map(({ name, bit }) => [name, bit])).toEqual([
      ['outer', true],
      ['inner', true],
    ]);
    expect(ordersOfFaults(lab)).toEqual([
      'inject outer',
      'effect outer',
      'inject inner',
      'effect inner',
      'lift inner',
      'running inner',
      'lift outer',
      'running outer',
    ]);
    expect(run.end()).toMatchObject({ verdict: 'held', exit_code: 0, text: '1 held' });
    expect(lines.join('')).toMatch(/✓ test: held; .*recover \d+\.\d s, drain \d+\.\d s/);
  });

  test('a hand that is laid on the link ends in a failure, with what it did', async ({
    lab,
    expect,
  }) => {
    const hand = async (phase: string) => {
      if (phase !== 'effect') return;
      lab.blocks.add('link');
      const { looks } = lab;
      // One look may be under way already.
      await waitUntil('somebody looks at the link', () => lab.looks >= looks + 2);
      lab.blocks.delete('link');
    };
    const text = 'method: [{ type: action, fault: block }]\n';
    const { record, result } = await play(lab, text, { kinds: [blockKind(lab, 'block', hand)] });
    expect(record).toMatchObject({ outcome: 'fail' });
    expect(result?.reasons).toEqual([
      { code: 'operator_action', verdict: 'fail', text: 'somebody else changed the link: cut' },
    ]);
  });

  test('a copy under the name of another collector is found', async ({ lab, expect }) => {
    lab.copied.add(7);
    const { result } = await play(lab, NESTED, { kinds: [blockKind(lab, 'block')] });
    expect(result).toMatchObject({ verdict: 'fail', counts: { foreign_rows: 1, unexpected: 1 } });
    expect(result?.offenders.unexpected).toMatchObject([{ n: 7, collector: 'x' }]);
  });

  test('a run leaves behind what its records say, and latest points to it', async ({
    lab,
    expect,
  }) => {
    const { run } = await play(lab, NESTED, { kinds: [blockKind(lab, 'block')] });
    run.end();
    const folder = join(lab.folder, 'reports', '2026-11-26T08-00-00Z');
    expect(readlinkSync(join(lab.folder, 'reports', 'latest'))).toBe('2026-11-26T08-00-00Z');
    const record = runRecordSchema.parse(
      JSON.parse(readFileSync(join(folder, 'run.json'), 'utf8')),
    );
    expect(record).toMatchObject({ seed: 7, ground: 'process', ground_reason: 'it is a model' });
    expect(record.ended_at).not.toBeNull();
    expect(JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8'))).toMatchObject({
      verdict: 'held',
      exit_code: 0,
    });
    expect(readdirSync(join(folder, '01-test')).sort()).toEqual([
      'audit.json',
      'case.json',
      'collector.log',
      'export.ndjson',
      'ledger',
      'observations.json',
      'result.json',
      'scenario.yaml',
      'server.log',
      'source.log',
      'toxiproxy.json',
      'toxiproxy.log',
    ]);
    expect(readdirSync(join(folder, '01-test', 'ledger'))).toEqual(['source.jsonl']);
  });

  test('a frame that is acked and not stored fails the run', async ({ lab, expect }) => {
    const kinds = [blockKind(lab, 'block')];
    lab.sabotaged.add(150);
    const { record, run } = await play(lab, NESTED, { kinds });
    expect(record).toMatchObject({ outcome: 'fail' });
    expect(record.reason).toContain('1 accepted frames are not in the store');
    expect(run.end()).toMatchObject({ verdict: 'failed', exit_code: 1 });
  });

  test('a fault that does not bite makes it inconclusive', async ({ lab, expect }) => {
    const hook: Hook = (phase) => {
      if (phase === 'effect') throw new Error('nothing was seen');
    };
    const { record, run } = await play(lab, NESTED, { kinds: [blockKind(lab, 'block', hook)] });
    expect(record.outcome).toBe('inconclusive');
    expect(record.reason).toContain('outer had no effect: nothing was seen');
    expect(run.end()).toMatchObject({ verdict: 'inconclusive', exit_code: 3 });
  });

  test('what the ground can not do is not run, and says why', async ({ lab, expect }) => {
    lab.lacks.add('trace');
    const kinds: FaultKind[] = [
      { ...blockKind(lab, 'block'), needs: ['trace'] },
      { ...blockKind(lab, 'elsewhere'), grounds: ['compose'] },
    ];
    const text = `${NESTED}  - { type: action, fault: elsewhere }\n`;
    const { record, run } = await play(lab, text, { kinds });
    expect(record).toMatchObject({
      outcome: 'not_run',
      folder: null,
      reason: 'block: no trace here; elsewhere needs the ground compose',
    });
    expect(lab.orders).toEqual(['heal']);
    expect(run.end()).toMatchObject({ verdict: 'inconclusive', exit_code: 3, text: '1 not run' });
  });

  test('a wait in vain lifts everything, and is inconclusive', async ({ lab, expect }) => {
    const text = `${NESTED}      - { type: probe, name: never, until: { queued_max: 0 }, deadline: 0.3 }\n`;
    const { record } = await play(lab, text, { kinds: [blockKind(lab, 'block')] });
    expect(record.outcome).toBe('inconclusive');
    expect(record.reason).toContain('the method: the probe "never": waited 300 ms in vain');
    expect(ordersOfFaults(lab).slice(-1)).toEqual(['lift outer']);
    expect(lab.blocks).toEqual(new Set());
  });

  test('a fault that can not be lifted is undone by force, and nothing is held against it', async ({
    lab,
    expect,
  }) => {
    const hook: Hook = (phase) => {
      if (phase === 'lift') throw new Error('no way back');
    };
    const kinds = [blockKind(lab, 'block', hook, 'server')];
    const { record, result } = await play(lab, NESTED, { kinds });
    expect(record.outcome).toBe('inconclusive');
    expect(record.reason).toContain('lifting inner: no way back');
    expect(result?.counts).toMatchObject({ lost: 0, pending: 0 });
    expect(lab.orders).toContain('thaw server');
  });

  test('the next step begins while a fault of the background is in force', async ({
    lab,
    expect,
  }) => {
    const text = `method:
  - { type: action, fault: block, name: behind, background: true, until: { queued_min: 300 } }
  - { type: probe, name: it waits, until: { queued_min: 100 } }
  - { type: action, fault: block, name: beside }
`;
    const { record } = await play(lab, text, { kinds: [blockKind(lab, 'block')] });
    expect(record.outcome).toBe('pass');
    const orders = ordersOfFaults(lab);
    expect(orders.indexOf('inject beside')).toBeLessThan(orders.indexOf('lift behind'));
  });

  test('rollbacks are done whatever happened before', async ({ lab, expect }) => {
    const text = `${NESTED}      - { type: probe, name: never, until: { queued_max: 0 }, deadline: 0.2 }
rollbacks:
  - { type: action, rollback: thaw, service: server }
  - { type: action, rollback: restore-link }
`;
    const hook: Hook = (phase) => {
      if (phase === 'inject') lab.blocks.add('server').add('link');
    };
    await play(lab, text, { kinds: [blockKind(lab, 'block', hook)] });
    expect(lab.orders).toContain('thaw server');
    expect(lab.blocks).toEqual(new Set());
  });

  test.for([
    'launch',
    'warming up',
    'inject',
    'effect',
    'until',
    'probe',
    'pause',
    'lift',
    'running',
    'aftermath',
    'drain',
  ])(
    'Ctrl-C during %s lifts everything and leaves nothing behind',
    async (phase, { lab, expect }) => {
      const ctrlC = new AbortController();
      const press = () => ctrlC.abort(new Error('interrupted'));
      const hook: Hook = (now) => {
        if (now === phase) press();
      };
      const kinds = [blockKind(lab, 'block', hook)];
      const text = `method:
  - type: action
    fault: block
    until: { queued_min: 100 }
    method:
      - { type: probe, name: more, until: { queued_min: 200 } }
    pauses: { after: 0.2 }
`;
      const lines: string[] = [];
      const watched = new Proxy(lines, {
        get: (target, key) =>
          key === 'push'
            ? (line: string) => {
                if (line.includes(WORDS_OF[phase] ?? 'no such words')) press();
                return target.push(line);
              }
            : Reflect.get(target, key),
      });
      const { record, run } = await play(lab, text, {
        kinds,
        signal: ctrlC.signal,
        lines: watched,
      });
      expect(record.outcome).toBe('interrupted');
      expect(lab.blocks).toEqual(new Set());
      expect(lab.launched).toEqual([]);
      const orders = ordersOfFaults(lab);
      expect(orders.includes('lift block')).toBe(orders.includes('inject block'));
      expect(run.end()).toMatchObject({ verdict: 'interrupted', exit_code: 130 });
    },
  );

  test('what a run that died has left is mended by the next one, which tells it', async ({
    lab,
    expect,
  }) => {
    lab.blocks.add('server').add('link');
    await lab.launch({
      name: 'source',
      command: [],
      environment: {},
      ports: [],
      networks: [],
      folder: { host: lab.folder, variable: 'X', file: 'left.jsonl' },
    });
    const run = await begin(lab);
    expect(lab.blocks).toEqual(new Set());
    expect(lab.launched).toEqual([]);
    expect(run.record.healed).toEqual(['server', 'source was left', 'the link was cut: restored']);
  });

  test('what a run has in its hands is noted while it goes on', ({ lab, expect }) => {
    const state = join(lab.folder, 'state');
    expect(readRunNote(state)).toBeNull();
    writeRunNote({ folder: 'reports/x', brought_up: true }, state);
    expect(readRunNote(state)).toEqual({ folder: 'reports/x', brought_up: true });
    removeRunNote(state);
    expect(readRunNote(state)).toBeNull();
  });

  test('a scenario has a limit that grows with what it waits for by its own words', ({
    lab,
    expect,
  }) => {
    const kinds = [{ ...blockKind(lab, 'block'), arguments: z.strictObject({}) }];
    const limit = (text: string) => limitMsOf(scenarioOf(text, kinds));
    const short = limit('method: [{ type: action, fault: block }]\n');
    const long = limit(
      'method: [{ type: action, fault: block, until: { seconds: 70 }, method: [{ type: probe, name: x, until: { seconds: 5 }, deadline: 30 }] }]\n',
    );
    expect(long - short).toBe(100_000);
  });

  test('a repeat has a folder of its own', async ({ lab, expect }) => {
    const kinds = [blockKind(lab, 'block')];
    const run = await begin(lab, { kinds });
    const scenario = scenarioOf('method: [{ type: action, fault: block }]\n', kinds);
    for (const repeat of [1, 2])
      await run.play({ name: 'x', scenario, text: '', repeat, repeats: 2 });
    expect(run.record.scenarios.map(({ folder }) => folder)).toEqual(['01-x-r1', '02-x-r2']);
    expect(existsSync(join(lab.folder, 'reports', 'latest', '02-x-r2', 'result.json'))).toBe(true);
  });
});
