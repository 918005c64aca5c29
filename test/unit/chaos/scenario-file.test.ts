/** Scenario files: what is wrong with one is told by line, word and rule, all of it at once. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import type { FaultKind } from '#chaos/faults/fault.ts';
import { faultsOf, parseScenario, readScenario, ScenarioError } from '#chaos/scenario/file.ts';

function kind(name: string, args: z.ZodType): FaultKind {
  return {
    kind: name,
    summary: name,
    arguments: args,
    needs: [],
    make: () => {
      throw new Error('reading a file makes no faults');
    },
  };
}

const KINDS: readonly FaultKind[] = [
  kind('cut', z.strictObject({})),
  kind('latency', z.strictObject({ latency_ms: z.number().int().min(1).max(60_000) })),
  kind('kill', z.strictObject({ service: z.enum(['server', 'collector', 'source']) })),
];

const GOOD = `title: a link cut
description: Somebody trips over the cable.
tags: [default]
configuration:
  load: { rate: 400 }
method:
  - type: action
    fault: cut
    until: { seconds: 5, queued_min: 1000 }
    method:
      - type: action
        name: dies in the cut
        fault: kill
        arguments: { service: source }
  - type: probe
    name: half is in
    until: { drained_percent: 50 }
rollbacks:
  - { type: action, rollback: restore-link }
`;

function problems(text: string): string[] {
  try {
    parseScenario(text, 'x.yaml', KINDS);
  } catch (error) {
    if (error instanceof ScenarioError) return error.message.split('\n');
    throw error;
  }
  return [];
}

test('a file becomes a scenario with its defaults filled in', () => {
  const scenario = parseScenario(GOOD, 'x.yaml', KINDS);
  expect(scenario.configuration).toEqual({
    load: { rate: 400 },
    bystander: false,
    environment: {},
  });
  expect(scenario.method[1]).toMatchObject({ type: 'probe', deadline: 60 });
  expect(faultsOf(scenario)).toEqual([
    { name: 'cut', fault: 'cut' },
    { name: 'dies in the cut', fault: 'kill' },
  ]);
});

test.each([
  [
    'a mistyped word',
    GOOD.replace('tags:', 'tagz:'),
    ['x.yaml:3:1: tagz is no word here; did you mean tags?'],
  ],
  [
    'a word that nothing is like',
    GOOD.replace('tags:', 'owner:'),
    [
      'x.yaml:3:1: owner is no word here; there are: title, description, tags, configuration, steady-state-hypothesis, method, rollbacks',
    ],
  ],
  [
    'a number out of range',
    GOOD.replace('400', '0'),
    ['x.yaml:5:17: configuration.load.rate must be at least 1; got 0'],
  ],
  [
    'a text for a number',
    GOOD.replace('400', 'fast'),
    ['x.yaml:5:17: configuration.load.rate must be a number; got "fast"'],
  ],
  [
    'a number for a text',
    GOOD.replace(/^title.*/, 'title: 2026'),
    ['x.yaml:1:8: title must be a text, in quotes; got 2026'],
  ],
  [
    'what must be there',
    GOOD.replace(/^title.*\n/, ''),
    ['x.yaml:1:1: title must be a text; got nothing'],
  ],
  [
    'no method',
    GOOD.replace(/method:\n {2}- [\s\S]*rollbacks/, 'method: []\nrollbacks'),
    ['x.yaml:6:9: method must have at least 1; got []'],
  ],
  [
    'an unknown fault',
    GOOD.replace('fault: cut', 'fault: cutt'),
    [
      'x.yaml:8:12: method[0].fault must be one of cut, latency, kill; did you mean cut?; got "cutt"',
    ],
  ],
  [
    'a bad argument of a fault',
    GOOD.replace('service: source', 'service: sauce'),
    [
      'x.yaml:14:31: method[0].method[0].arguments.service must be one of server, collector, source; did you mean source?; got "sauce"',
    ],
  ],
  [
    'a mistyped argument of a fault',
    GOOD.replace('{ service: source }', '{ servise: source }'),
    [
      'x.yaml:14:20: method[0].method[0].arguments.service must be one of server, collector, source; got nothing',
      'x.yaml:14:22: method[0].method[0].arguments.servise is no word here; did you mean service?',
    ],
  ],
  [
    'arguments that are missing',
    GOOD.replace('        arguments: { service: source }\n', ''),
    [
      'x.yaml:11:9: method[0].method[0].arguments.service must be one of server, collector, source; got nothing',
    ],
  ],
  [
    'two faults of one name',
    GOOD.replace('name: dies in the cut', 'name: cut'),
    [
      'x.yaml:12:15: method[0].method[0].name must have a name of its own: method[0] is called cut, too; got "cut"',
    ],
  ],
  [
    'a mistyped condition, deep in',
    GOOD.replace('drained_percent', 'drained'),
    ['x.yaml:17:14: method[1].until.drained is no word here; did you mean drained_percent?'],
  ],
  [
    'no condition',
    GOOD.replace('{ drained_percent: 50 }', '{}'),
    ['x.yaml:17:12: method[1].until names no condition'],
  ],
  [
    'nothing but probes',
    GOOD.replace(/ {2}- type: action\n(?: {4}.*\n)*/, ''),
    ['x.yaml:7:3: method must have an action; got only probes'],
  ],
  [
    'a mistyped type',
    GOOD.replace('type: probe', 'type: prob'),
    [
      'x.yaml:15:11: method[1].type type must be one of action, probe; did you mean probe?; got "prob"',
    ],
  ],
  [
    'a rollback without what it is about',
    GOOD.replace('restore-link', 'thaw'),
    ['x.yaml:19:31: rollbacks[0].rollback thaw needs a service'],
  ],
  [
    'a mistyped setting of the source',
    GOOD.replace('load: { rate: 400 }', 'environment: { HOLDFAST_QUEUE_LIMIT_BITES: "1000000" }'),
    [
      'x.yaml:5:18: configuration.environment.HOLDFAST_QUEUE_LIMIT_BITES is no setting of the load source; did you mean HOLDFAST_QUEUE_LIMIT_BYTES?',
    ],
  ],
  [
    'a setting that the runner gives',
    GOOD.replace('load: { rate: 400 }', 'environment: { HOLDFAST_SERVER: "elsewhere:1" }'),
    ['x.yaml:5:18: configuration.environment.HOLDFAST_SERVER is set by the runner'],
  ],
  [
    'a limit under a mistyped name',
    `${GOOD}steady-state-hypothesis:\n  tolerances:\n    detect_ms: 5\n`,
    [
      'x.yaml:22:5: steady-state-hypothesis.tolerances.detect_ms is no word here; did you mean detect_ms_max?',
    ],
  ],
  [
    'the same word twice',
    `${GOOD}title: again\n`,
    ['x.yaml:20:1: is not YAML: Map keys must be unique'],
  ],
  ['no map at all', 'nothing\n', ['x.yaml:1:1: must be a map of words and values; got "nothing"']],
  ['nothing', '', ['x.yaml:1:1: must be a map of words and values; got nothing']],
])('%s', (_, text, expected) => {
  expect(problems(text)).toEqual(expected);
});

test('everything that is wrong is told at once, in the order of the file', () => {
  const text = GOOD.replace('400', '0')
    .replace('fault: cut', 'fault: cit')
    .replace('drained_percent: 50', 'drained_percent: 200');
  expect(problems(text).map((line) => line.split(' ', 1)[0])).toEqual([
    'x.yaml:5:17:',
    'x.yaml:8:12:',
    'x.yaml:17:31:',
  ]);
});

test('what is broken as YAML is told where it breaks', () => {
  expect(problems('title: [a\nmethod: b\n')[0]).toMatch(/^x\.yaml:2:\d+: is not YAML: /);
});

test('a file that is too large, too deep, or made of aliases is refused', () => {
  const laughs = ['a: &a [x, x, x, x, x, x, x, x, x, x]'];
  for (const [one, two] of ['ab', 'bc', 'cd', 'de']) {
    laughs.push(`${two}: &${two} [${Array.from({ length: 10 }, () => `*${one}`).join(', ')}]`);
  }
  expect(problems(laughs.join('\n'))).toEqual([expect.stringContaining('is not usable')]);
  expect(problems(`method: ${'['.repeat(50_000)}`)).not.toEqual([]);
  expect(problems(`# ${'x'.repeat(300_000)}`)).toEqual([
    'x.yaml:1:1: must have at most 256 KiB; got 293 KiB',
  ]);
});

test('a file is named as it was given, and one that is not there is told so', () => {
  const folder = mkdtempSync(join(tmpdir(), 'scenario-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'one.yaml');
  writeFileSync(path, GOOD);
  expect(readScenario(path, KINDS).text).toBe(GOOD);
  const absent = join(folder, 'two.yaml');
  expect(() => readScenario(absent, KINDS)).toThrow(`${absent}: there is no such file`);
  expect(() => readScenario(folder, KINDS)).toThrow(`${folder}: can't be read: EISDIR`);
});
