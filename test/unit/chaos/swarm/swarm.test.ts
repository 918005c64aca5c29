/** Schedules from a seed: legal, in time, the same again; and their files. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import type { FaultKind } from '#chaos/faults/fault.ts';
import { type Action, type Scenario, type Step, scenarioSchema } from '#chaos/scenario/scenario.ts';
import { relation } from '#chaos/swarm/rules.ts';
import { scheduleText } from '#chaos/swarm/schedule-file.ts';
import { swarmScenario } from '#chaos/swarm/swarm.ts';
import { SETTLE_SECONDS, timelineOf, violations } from '#chaos/swarm/timeline.ts';
import { seeded } from '../../seed.ts';
import { KINDS, kindOf } from './kinds.ts';

const ABLE = { kind: 'process', cannot: () => null } as const;
const seeds = fc.nat();
const minutes = fc.integer({ min: 1, max: 30 });
const someKinds = fc.subarray([...KINDS], { minLength: 1 });

const byKind = new Map(KINDS.map((kind) => [kind.kind, kind]));

function factsOf({ fault }: Pick<Action, 'fault'>) {
  const kind = byKind.get(fault);
  if (kind === undefined) throw new RangeError(fault);
  return kind.make({}, fault);
}

function actionsOf(steps: readonly Step[]): Action[] {
  return steps.flatMap((step) => (step.type === 'probe' ? [] : [step, ...actionsOf(step.method)]));
}

const faultsOf = ({ method }: Scenario) => actionsOf(method).map(({ fault }) => fault);

test('no two faults are in force together that the table keeps apart', () => {
  fc.assert(
    fc.property(seeds, minutes, someKinds, (seed, m, kinds) => {
      const { method } = swarmScenario({ seed, minutes: m, kinds, ground: ABLE });
      expect(violations(method, factsOf)).toEqual([]);
    }),
    seeded(),
  );
});

test('what is in the foreground of a storm ends after those beside it', () => {
  fc.assert(
    fc.property(seeds, minutes, (seed, m) => {
      const { method } = swarmScenario({ seed, minutes: m, kinds: KINDS, ground: ABLE });
      const storms = method.reduce<Step[][]>(
        (list, step) => {
          list.at(-1)?.push(step);
          if (step.type === 'probe') list.push([]);
          return list;
        },
        [[]],
      );
      for (const storm of storms.filter((steps) => steps.length > 1)) {
        const calm = storm.at(-1);
        const { windows } = timelineOf(storm.slice(0, -1));
        const last = Math.max(...windows.map(({ to }) => to));
        const { seconds } = timelineOf(storm);
        expect(seconds).toBeGreaterThanOrEqual(
          last + (calm?.type === 'probe' ? (calm.until.seconds ?? 0) : 0),
        );
        expect(storm.at(-2)).toMatchObject({ background: false });
      }
    }),
    seeded(),
  );
});

test('a schedule keeps within its minutes, ends calm, and every storm is followed by a calm', () => {
  fc.assert(
    fc.property(seeds, minutes, someKinds, (seed, m, kinds) => {
      const scenario = swarmScenario({ seed, minutes: m, kinds, ground: ABLE });
      expect(timelineOf(scenario.method).seconds).toBeLessThanOrEqual(m * 60);
      expect(timelineOf(scenario.method).seconds).toBeGreaterThan(m * 60 - 1);
      expect(scenario.method.at(-1)).toMatchObject({ type: 'probe', until: { state: 'Ready' } });
      expect(faultsOf(scenario).length).toBeGreaterThan(0);
    }),
    seeded(),
  );
});

test('the same seed, minutes and kinds give the same file, whatever the order of the kinds', () => {
  fc.assert(
    fc.property(seeds, minutes, (seed, m) => {
      const options = { seed, minutes: m, ground: ABLE };
      const one = scheduleText(swarmScenario({ ...options, kinds: KINDS }), []);
      const other = scheduleText(swarmScenario({ ...options, kinds: [...KINDS].reverse() }), []);
      expect(other).toBe(one);
    }),
    seeded(),
  );
});

test('a ground that lacks abilities has the same schedule without what needs them', () => {
  const needy = (kind: FaultKind): FaultKind =>
    kind.kind.startsWith('disk') || kind.kind === 'cut' ? { ...kind, needs: ['trace'] } : kind;
  const kinds = KINDS.map(needy);
  const poor = { kind: 'process', cannot: () => 'there is no strace' } as const;
  fc.assert(
    fc.property(seeds, minutes, (seed, m) => {
      const options = { seed, minutes: m, kinds };
      const all = swarmScenario({ ...options, ground: ABLE });
      const some = swarmScenario({ ...options, ground: poor });
      const possible = actionsOf(all.method).filter(({ fault }) => !/^(disk|cut)/.test(fault));
      const plain = (one: Action) => ({ ...one, method: [] });
      expect(actionsOf(some.method).map(plain)).toEqual(possible.map(plain));
      expect(violations(some.method, factsOf)).toEqual([]);
      expect(timelineOf(some.method).seconds).toBe(timelineOf(all.method).seconds);
    }),
    seeded(),
  );
});

test('what is not run on a ground is said', () => {
  const kinds = [kindOf('cut', { grounds: ['compose'] }), kindOf('kill_server')];
  const { description } = swarmScenario({ seed: 1, minutes: 2, kinds, ground: ABLE });
  expect(description).toContain('Not run here: cut (cut is for compose alone)');
});

test('seeds differ in the kinds that occur, in overlaps and in calm', () => {
  const runs = Array.from({ length: 40 }, (_, seed) =>
    swarmScenario({ seed, minutes: 10, kinds: KINDS, ground: ABLE }),
  );
  const sets = new Set(runs.map((one) => [...new Set(faultsOf(one))].sort().join()));
  expect(sets.size).toBeGreaterThan(30);
  const actions = runs.flatMap(({ method }) => actionsOf(method));
  expect(new Set(actions.map(({ fault }) => fault)).size).toBe(KINDS.length);
  expect(actions.some(({ background }) => background)).toBe(true);
  expect(actions.some(({ method }) => method.length > 0)).toBe(true);
});

test('past a given time no program is ended any more', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const options = { seed, minutes: 20, kinds: KINDS, ground: ABLE };
      const { method } = swarmScenario({ ...options, noRestartsAfter: 400 });
      const late = timelineOf(method).windows.filter(({ from }) => from > 400 + 60);
      expect(late.filter(({ action }) => /^kill|^other_secret/.test(action.fault))).toEqual([]);
    }),
    seeded(),
  );
});

test('kinds that have no draw are left out, and only such kinds are an error', () => {
  const { draw: _, ...undrawn } = kindOf('cut');
  const options = { seed: 7, minutes: 3, ground: ABLE };
  const scenario = swarmScenario({ ...options, kinds: [undrawn, kindOf('latency')] });
  expect(new Set(faultsOf(scenario))).toEqual(new Set(['latency']));
  expect(() => swarmScenario({ ...options, kinds: [undrawn] })).toThrow('no kind of fault');
});

test('a file reads back to the scenario that was written', () => {
  fc.assert(
    fc.property(seeds, minutes, (seed, m) => {
      const scenario = swarmScenario({ seed, minutes: m, kinds: KINDS, ground: ABLE });
      const text = scheduleText(scenario, ['a header\nof two lines', 'with: colons']);
      expect(text).toMatch(/^# a header\n# of two lines\n# with: colons\n/);
      expect(scenarioSchema.parse(parse(text))).toEqual(scenario);
    }),
    seeded(),
  );
});

test('a file keeps everything that a scenario can say', () => {
  const scenario = scenarioSchema.parse({
    title: 'yes: "no" # it is',
    description: `long ${'words '.repeat(60)}\nand a second line`,
    tags: ['default', 'null', '1e3'],
    configuration: {
      load: { rate: 321, payloads: '1-64:200,65-512:700' },
      bystander: true,
      environment: { HOLDFAST_QUEUE_LIMIT_BYTES: '1048576' },
    },
    'steady-state-hypothesis': {
      title: 'another one',
      tolerances: { allow: [{ reason: 'damaged', frames_max: 3 }], queued_min: 0 },
    },
    method: [
      {
        type: 'action',
        fault: 'cut',
        name: 'outer',
        until: { seconds: 1.5 },
        pauses: { before: 0.1, after: 0 },
        method: [
          { type: 'action', fault: 'x', arguments: { a: [1, { b: null }] }, background: true },
        ],
      },
      { type: 'probe', name: 'wait', until: { queued_max: 0, state: 'Backoff' }, deadline: 9 },
    ],
    rollbacks: [{ type: 'action', rollback: 'thaw', service: 'server' }],
  });
  expect(scenarioSchema.parse(parse(scheduleText(scenario, [])))).toEqual(scenario);
});

test('the table of what may be in force together', () => {
  const of = (fault: string) => factsOf({ fault });
  expect(relation(of('cut'), of('latency'))).toBe('apart');
  expect(relation(of('latency'), of('freeze_server'))).toBe('within');
  expect(relation(of('freeze_server'), of('latency'))).toBe('apart');
  expect(relation(of('kill_server'), of('kill_source'))).toBe('across');
  expect(relation(of('kill_toxiproxy'), of('cut'))).toBe('apart');
  expect(relation(of('cut'), of('slow_disk_server'))).toBe('apart');
  expect(relation(of('latency'), of('slow_disk_server'))).toBe('within');
  expect(relation(of('cut'), of('freeze_server'))).toBe('within');
  expect(relation(of('cut'), of('full_store'))).toBe('apart');
});

test('a fault of several targets is kept apart from those of each', () => {
  const both = { ...factsOf({ fault: 'kill_server' }), target: 'server, source' };
  expect(relation(both, factsOf({ fault: 'freeze_source' }))).toBe('apart');
  expect(relation(factsOf({ fault: 'freeze_server' }), both)).toBe('apart');
  expect(relation({ ...both, target: 'server, toxiproxy' }, factsOf({ fault: 'cut' }))).toBe(
    'apart',
  );
});

test('a schedule against the table is found', () => {
  const action = (fault: string, more: object = {}) =>
    ({ type: 'action', fault, until: { seconds: 5 }, background: true, ...more }) as const;
  const check = (method: object[]) =>
    violations(scenarioSchema.shape.method.parse(method), factsOf);
  expect(check([action('cut'), action('latency')])).toHaveLength(1);
  expect(check([action('latency'), action('freeze_server')])).toHaveLength(1);
  expect(check([action('latency', { method: [action('freeze_server')] })])).toHaveLength(1);
  const inner = action('freeze_server', { background: false });
  expect(check([action('latency', { method: [inner] })])).toEqual([]);
  const later = action('latency', { pauses: { before: 5 + SETTLE_SECONDS } });
  expect(check([action('cut'), later])).toEqual([]);
});
