/** The scenarios that come with Holdfast, the example of docs/chaos.md, and names on the command line. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FAULT_KINDS } from '#chaos/faults/kinds.ts';
import { limitMsOf } from '#chaos/run/stage.ts';
import { faultsOf, parseScenario } from '#chaos/scenario/file.ts';
import { scenariosNamed, shippedNames, shippedScenarios } from '#chaos/scenario/shipped.ts';

const KINDS = [...FAULT_KINDS.values()];
const SHIPPED = shippedScenarios(KINDS);
const PAGE = readFileSync(new URL('../../../docs/chaos.md', import.meta.url), 'utf8');

test('there are at least twenty', () => {
  expect(SHIPPED.length).toBeGreaterThanOrEqual(20);
});

describe.each(SHIPPED)('$name', ({ scenario }) => {
  test('says in a sentence what trouble it stands for', () => {
    expect(scenario.title).toMatch(/^[a-z0-9]/);
    expect(scenario.description).toMatch(/^[A-Z].{30,}\.$/);
    expect(scenario.tags.length).toBeGreaterThan(0);
  });

  test('ends', () => {
    expect(limitMsOf(scenario)).toBeLessThan(900_000);
  });
});

test('the default set has the faults that everybody should see', () => {
  const names = scenariosNamed([], KINDS).map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining([
      'cut',
      'cut-in-mid-drain',
      'half-open-up',
      'half-open-down',
      'slow',
      'collector-killed',
      'server-killed',
      'server-frozen',
      'flapping',
    ]),
  );
});

test('every fault of the catalogue is played by some scenario', () => {
  const played = new Set(
    SHIPPED.flatMap(({ scenario }) => faultsOf(scenario).map(({ fault }) => fault)),
  );
  // These have a scenario by a kinder name: the toxic that half_open is made of, and stop and start.
  const apart = new Set(['timeout', 'latency', 'stop', 'file_limit']);
  expect(
    KINDS.map(({ kind }) => kind).filter((one) => !played.has(one) && !apart.has(one)),
  ).toEqual([]);
});

test('the example of docs/chaos.md is a scenario', () => {
  const [, example = ''] = /```yaml\n([\s\S]*?)```/.exec(PAGE) ?? [];
  const scenario = parseScenario(example, 'branch-office.yaml', KINDS);
  expect(faultsOf(scenario).map(({ name }) => name)).toEqual([
    'slow',
    'line down',
    'gateway restarted',
  ]);
});

test('a mistyped name is told with what was probably meant, all of them at once', () => {
  expect(() => scenariosNamed(['cutt', 'cut', 'floping'], KINDS)).toThrow(
    'there is no scenario cutt; did you mean cut?\nthere is no scenario floping; did you mean flapping?',
  );
});

test('all means all, and a file of one s own is named by its name', () => {
  expect(scenariosNamed(['all'], KINDS).map(({ name }) => name)).toEqual(shippedNames());
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-scenario-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'my own.yaml');
  writeFileSync(path, 'title: t\ndescription: d\nmethod: [{ type: action, fault: cut }]\n');
  expect(scenariosNamed([path], KINDS).map(({ name }) => name)).toEqual(['my-own']);
});

test('what is wrong in several files is told at once', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-scenario-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const paths = ['one', 'two'].map((name) => join(folder, `${name}.yaml`));
  for (const path of paths) writeFileSync(path, 'title: t\n');
  expect(() => scenariosNamed(paths, KINDS)).toThrow(/one\.yaml:1:1: [\s\S]*two\.yaml:1:1: /);
});
