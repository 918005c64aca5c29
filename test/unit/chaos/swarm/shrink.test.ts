/** Shrinking of failing schedules, and what a swarm leaves behind. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type Action, type Scenario, type Step, scenarioSchema } from '#chaos/scenario/scenario.ts';
import { runSwarm } from '#chaos/swarm/run.ts';
import { shrink } from '#chaos/swarm/shrink.ts';
import { swarmScenario } from '#chaos/swarm/swarm.ts';
import { violations } from '#chaos/swarm/timeline.ts';
import { seeded } from '../../seed.ts';
import { KINDS } from './kinds.ts';

const ABLE = { kind: 'process', cannot: () => null } as const;

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function actionsOf(steps: readonly Step[]): Action[] {
  return steps.flatMap((step) => (step.type === 'probe' ? [] : [step, ...actionsOf(step.method)]));
}

const namesOf = ({ method }: Scenario) => actionsOf(method).map(({ name = '' }) => name);

function factsOf({ fault }: Action) {
  const kind = KINDS.find((one) => one.kind === fault);
  if (kind === undefined) throw new RangeError(fault);
  return kind.make({}, fault);
}

/** A swarm's schedule, cut off behind so many faults. */
function schedule(seed: number, faults: number): Scenario {
  const scenario = swarmScenario({ seed, minutes: 60, kinds: KINDS, ground: ABLE });
  const calm = scenario.method.at(-1);
  let count = 0;
  const method = scenario.method.filter((step) => {
    const own = actionsOf([step]).length;
    if (count + own > faults) return false;
    count += own;
    return true;
  });
  const more = Array.from({ length: faults - count }, (_, index) => ({
    type: 'action',
    fault: 'cut',
    name: `more-${index}`,
    until: { seconds: 4 },
  }));
  return scenarioSchema.parse({ ...scenario, method: [...method, ...more, calm] });
}

test('the one guilty fault of twelve is found within six reruns, and the same each time', async () => {
  const property = fc.asyncProperty(fc.nat(), fc.nat({ max: 11 }), async (seed, index) => {
    const scenario = schedule(seed, 12);
    const names = namesOf(scenario);
    expect(names).toHaveLength(12);
    const guilty = names[index] ?? '';
    const fails = async (one: Scenario) => namesOf(one).includes(guilty);
    const found = await shrink({ scenario, fails });
    expect(namesOf(found.scenario)).toEqual([guilty]);
    expect(found.faults).toEqual({ before: 12, after: 1 });
    expect(found.reruns).toBeLessThanOrEqual(6);
    expect((await shrink({ scenario, fails })).scenario).toEqual(found.scenario);
  });
  await fc.assert(property, seeded());
});

test('whatever it tries is legal, has no more faults, and is within the budget', async () => {
  const property = fc.asyncProperty(
    fc.nat(),
    fc.nat(),
    fc.nat({ max: 12 }),
    async (seed, luck, budget) => {
      const scenario = schedule(seed, 12);
      let asked = 0;
      const failed = [scenario];
      const fails = async (one: Scenario) => {
        asked += 1;
        expect(scenarioSchema.parse(one)).toEqual(one);
        expect(violations(one.method, factsOf)).toEqual([]);
        expect(actionsOf(one.method).length).toBeLessThanOrEqual(12);
        const luckless = (luck >> (asked % 16)) % 2 === 1;
        if (luckless) failed.push(one);
        return luckless;
      };
      const found = await shrink({ scenario, fails, budget });
      expect(asked).toBeLessThanOrEqual(budget);
      expect(found.reruns).toBe(asked);
      expect(failed).toContain(found.scenario);
    },
  );
  await fc.assert(property, seeded());
});

test('what ran in the background is waited for when the fault that outlived it is dropped', async () => {
  const action = (fault: string, seconds: number, more: object = {}) =>
    ({ type: 'action', fault, name: fault, until: { seconds }, ...more }) as const;
  const calm = { type: 'probe', name: 'calm', until: { seconds: 1 } };
  const beside = { background: true };
  const scenario = scenarioSchema.parse({
    title: 't',
    description: 'd',
    method: [
      action('freeze_server', 20, beside),
      action('freeze_source', 5, { ...beside, pauses: { before: 1 } }),
      action('freeze_collector', 30),
      calm,
      action('cut', 5),
      calm,
    ],
  });
  const tried: Scenario[] = [];
  const fails = async (one: Scenario) => {
    tried.push(one);
    return !namesOf(one).includes('freeze_collector');
  };
  await shrink({ scenario, fails, budget: 40 });
  expect(tried.flatMap(({ method }) => violations(method, factsOf))).toEqual([]);
  const both = tried.find((one) => String(namesOf(one)) === 'freeze_server,freeze_source');
  expect(both?.method[1]).toMatchObject({ background: false, pauses: { before: 1, after: 14 } });
});

test('a failure that takes two faults together keeps both', async () => {
  const scenario = schedule(3, 12);
  const [first = '', , , , , , , , , last = ''] = namesOf(scenario);
  const fails = async (one: Scenario) => {
    const names = namesOf(one);
    return names.includes(first) && names.includes(last);
  };
  const found = await shrink({ scenario, fails, budget: 40 });
  expect(namesOf(found.scenario)).toEqual([first, last]);
  const brief = await shrink({ scenario, fails });
  expect(await fails(brief.scenario)).toBe(true);
});

test('a failure that does not come again leaves the schedule as it was', async () => {
  const scenario = schedule(4, 12);
  const found = await shrink({ scenario, fails: async () => false });
  expect(found.scenario).toBe(scenario);
  expect(found.reruns).toBeLessThanOrEqual(6);
});

test('faults within each other are put one after the other, and all is made shorter', async () => {
  const scenario = scenarioSchema.parse({
    title: 't',
    description: 'd',
    method: [
      {
        type: 'action',
        fault: 'latency',
        until: { seconds: 8 },
        method: [{ type: 'action', fault: 'kill_server', pauses: { before: 2 } }],
      },
      { type: 'probe', name: 'calm', until: { seconds: 9, state: 'Ready' } },
    ],
  });
  const fails = async ({ method }: Scenario) => actionsOf(method).length === 2;
  const found = await shrink({ scenario, fails, budget: 20 });
  expect(found.scenario.method).toMatchObject([
    { fault: 'latency', until: { seconds: 2 }, method: [] },
    { fault: 'kill_server', pauses: { before: 0.5 } },
    { type: 'probe', until: { seconds: 2.3, state: 'Ready' } },
  ]);
});

function outcome(outcome: string, ...codes: string[]) {
  const reasons = codes.map((code) => ({ code, verdict: outcome, text: code }));
  return { outcome, reason: codes.join('; '), result: { verdict: outcome, reasons } };
}

function swarmRun(verdictOf: (one: Scenario) => ReturnType<typeof outcome>, reruns?: number) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-swarm-'));
  folders.push(folder);
  const scenario = schedule(5, 12);
  const plays: string[] = [];
  const play = async (one: Scenario, name: string) => {
    plays.push(name);
    return verdictOf(one);
  };
  const command = 'make chaos SEED=5 MINUTES=60';
  const done = runSwarm({ seed: 5, scenario, folder, command, play, reruns, tell: () => {} });
  return { done, plays, scenario, folder };
}

test('a swarm that fails leaves its schedule and the shrunk one, both ready to run', async () => {
  const guilty = namesOf(schedule(5, 12))[7] ?? '';
  const { done, plays, scenario, folder } = swarmRun((one) =>
    namesOf(one).includes(guilty) ? outcome('fail', 'lost') : outcome('pass'),
  );
  const { files, played } = await done;
  expect(played.outcome).toBe('fail');
  expect(plays.slice(0, 2)).toEqual(['swarm', 'shrink-1']);
  expect(files).toEqual([join(folder, 'schedule.yaml'), join(folder, 'shrunk.yaml')]);
  const [whole = '', small = ''] = files.map((path) => readFileSync(path, 'utf8'));
  expect(whole).toContain('# Drawn from seed 5; the run ended in fail: lost\n');
  expect(whole).toContain(`make chaos SCENARIO=${folder}/schedule.yaml\n`);
  expect(scenarioSchema.parse(parse(whole))).toEqual(scenario);
  expect(small).toMatch(
    /^# Shrunk in \d reruns from 12 faults to 1, which failed in the same way\.$/m,
  );
  expect(namesOf(scenarioSchema.parse(parse(small)))).toEqual([guilty]);
});

test('a rerun that fails for another reason does not count', async () => {
  let first = true;
  const { done } = swarmRun(() => {
    const code = first ? 'lost' : 'unexpected_exit';
    first = false;
    return outcome('fail', code);
  });
  const { files, shrunk } = await done;
  expect(files).toHaveLength(1);
  expect(shrunk?.faults).toEqual({ before: 12, after: 12 });
});

test('a swarm that holds leaves no schedule, one that is inconclusive is not shrunk', async () => {
  const held = swarmRun(() => outcome('pass'));
  expect((await held.done).files).toEqual([]);
  const open = swarmRun(() => outcome('inconclusive', 'fault_did_not_bite'));
  expect((await open.done).files).toHaveLength(1);
  expect(open.plays).toEqual(['swarm']);
  const unshrunk = swarmRun(() => outcome('fail', 'lost'), 0);
  expect((await unshrunk.done).shrunk).toBeUndefined();
  expect(unshrunk.plays).toEqual(['swarm']);
});
