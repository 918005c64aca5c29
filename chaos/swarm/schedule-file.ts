/**
 * A scenario as a file for people, which the scenario reader reads back to the same. What the schema
 * would fill in anyway is left out.
 */
import { writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { type Action, type Scenario, type Step, scenarioSchema } from '../scenario/scenario.ts';

/** Lines for the top of the file, as text without `#`. */
export function scheduleText(scenario: Scenario, header: readonly string[]): string {
  const comment = header.flatMap((text) => text.split('\n')).map((line) => `# ${line}`.trimEnd());
  return [...comment, stringify(plainScenario(scenario), { lineWidth: 100 })].join('\n');
}

/** @throws the system's error when the file can't be written. */
export function writeSchedule(path: string, scenario: Scenario, header: readonly string[]): void {
  writeFileSync(path, scheduleText(scenario, header));
}

function plainScenario({ method, ...rest }: Scenario): object {
  const { method: _, ...usual } = scenarioSchema.parse({
    title: rest.title,
    description: rest.description,
    method: [{ type: 'probe', name: 'any', until: { seconds: 0 } }],
  });
  return {
    ...(without(rest, { ...usual, title: '', description: '' }) as object),
    method: method.map(plainStep),
  };
}

const USUAL_ACTION: Omit<Action, 'type' | 'fault'> = {
  arguments: {},
  method: [],
  background: false,
};

function plainStep(step: Step): object {
  if (step.type === 'probe') return step;
  const { method, ...rest } = step;
  const inner = method.length === 0 ? {} : { method: method.map(plainStep) };
  return { ...(without(rest, USUAL_ACTION) as object), ...inner };
}

/** What differs from the usual, and objects as far as they do. */
function without(value: unknown, usual: unknown): unknown {
  if (!isObject(value) || !isObject(usual)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, own]) => own !== undefined && !same(own, usual[name]))
      .map(([name, own]) => [name, without(own, usual[name])]),
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
