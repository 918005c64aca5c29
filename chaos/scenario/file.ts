/**
 * Scenario files: YAML in, a checked scenario out, or all that is wrong with the file: each with
 * line and column, the rule, and what was found instead. Beside the schema's rules, the words of
 * faults and their arguments are checked, and that each fault of a scenario has a name of its own.
 *
 * Whether a ground can do what a file asks for is not known here.
 */
import { readFileSync, statSync } from 'node:fs';
import { type Document, LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import type { FaultKind } from '../faults/fault.ts';
import { type Finding, isObject } from './finding.ts';
import { type Path, type Position, positionOf } from './positions.ts';
import { type Scenario, scenarioSchema } from './scenario.ts';
import { sourceFindings } from './source-settings.ts';
import { alternatives, ruleOf, shown } from './words.ts';

const FILE_BYTES_MAX = 262_144;
/** Told one by one; more of them would hide the first. */
const PROBLEMS_TOLD_MAX = 20;

/** Something that is wrong in a file, and where. */
interface Problem extends Position {
  /** Of the value, as `method[0].arguments.rate`; empty for the file as a whole. */
  readonly where: string;
  /** What it has to be. */
  readonly rule: string;
  /** In short; null where the rule says it all. */
  readonly got: string | null;
}

/** Scenario files that can't be used. Its message has a line for each problem. */
export class ScenarioError extends Error {
  override readonly name = 'ScenarioError';
  readonly code = 'bad_scenario';

  static in(file: string, problems: readonly Problem[]): ScenarioError {
    return new ScenarioError(problemLines(file, problems).join('\n'));
  }

  /** Of several files. */
  static of(errors: readonly ScenarioError[]): ScenarioError {
    return new ScenarioError(errors.map(({ message }) => message).join('\n'));
  }
}

/** What a file holds, as it stands there and as it is meant. */
export interface ReadScenario {
  readonly scenario: Scenario;
  readonly text: string;
}

/**
 * @param kinds the faults that a file may name.
 * @throws ScenarioError.
 */
export function readScenario(path: string, kinds: readonly FaultKind[]): ReadScenario {
  let text: string;
  try {
    const { size } = statSync(path);
    if (size > FILE_BYTES_MAX) throw tooLarge(path, size);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof ScenarioError) throw error;
    throw new ScenarioError(`${path}: ${whyUnread(error)}`);
  }
  return { scenario: parseScenario(text, path, kinds), text };
}

function whyUnread(error: unknown): string {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'there is no such file';
  return `can't be read: ${error instanceof Error ? error.message : String(error)}`;
}

/** @throws ScenarioError that calls the text by the name of its file. */
export function parseScenario(text: string, file: string, kinds: readonly FaultKind[]): Scenario {
  if (text.length > FILE_BYTES_MAX) throw tooLarge(file, text.length);
  try {
    return parse(text, file, kinds);
  } catch (error) {
    // The parsers call themselves for each level of nesting.
    if (!(error instanceof RangeError)) throw error;
    throw ScenarioError.in(file, [whole('is nested deeper than any scenario')]);
  }
}

/** All faults of a scenario, in the order in which they begin. */
export function faultsOf(scenario: Scenario): FaultStep[] {
  const faults: FaultStep[] = [];
  const collect = (steps: Scenario['method']): void => {
    for (const step of steps) {
      if (step.type !== 'action') continue;
      faults.push({ name: step.name ?? step.fault, fault: step.fault });
      collect([...step.method]);
    }
  };
  collect(scenario.method);
  return faults;
}

interface FaultStep {
  readonly name: string;
  readonly fault: string;
}

function parse(text: string, file: string, kinds: readonly FaultKind[]): Scenario {
  const lines = new LineCounter();
  const parsedFile = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const broken = [...parsedFile.errors, ...parsedFile.warnings];
  if (broken.length > 0) {
    const problems = broken.map(({ message, pos: [offset] }) => {
      const { line, col } = lines.linePos(offset);
      return { line, column: col, where: '', rule: `is not YAML: ${message}`, got: null };
    });
    throw ScenarioError.in(file, problems);
  }
  const value = plainOf(parsedFile, file);
  const parsed = scenarioSchema.safeParse(value, { error: ruleOf, reportInput: true });
  const found = [
    ...(parsed.success ? [] : schemaFindings(parsed.error.issues, value)),
    ...faultFindings(value, kinds),
    ...emptyFindings(value),
    ...sourceFindings(value),
    ...rollbackFindings(value),
  ];
  if (parsed.success && found.length === 0) return parsed.data;
  const problems = found.map(({ path, part, rule, got }) => ({
    ...positionOf(parsedFile, lines, path, part),
    where: pathInWords(path),
    rule,
    got,
  }));
  throw ScenarioError.in(file, problems.toSorted(byPosition));
}

function plainOf(parsed: Document.Parsed, file: string): unknown {
  try {
    return parsed.toJS();
  } catch (error) {
    // Aliases of aliases of aliases.
    if (!(error instanceof ReferenceError)) throw error;
    throw ScenarioError.in(file, [whole(`is not usable: ${error.message}`)]);
  }
}

type Issue = z.core.$ZodIssue;

/** That an object lacks something is no news where it has it under a mistyped name. */
function schemaFindings(issues: readonly Issue[], value: unknown): Finding[] {
  const found = issues.flatMap((issue) => findings(issue, value));
  const mistyped = found.filter(({ part }) => part === 'word').map(({ path }) => path.slice(0, -1));
  const within = (path: Path) => mistyped.some((one) => pathInWords(one) === pathInWords(path));
  return found.filter(({ part, path, got }) => part === 'word' || got !== null || !within(path));
}

function findings(issue: Issue, value: unknown): Finding[] {
  const path = issue.path;
  switch (issue.code) {
    case 'unrecognized_keys': {
      const rules = issue.message.split('\n');
      return issue.keys.map((key, index) => ({
        path: [...path, key],
        part: 'word',
        rule: rules[index] ?? issue.message,
        got: null,
      }));
    }
    case 'invalid_union':
      return unionFindings(issue, value);
    case 'invalid_key':
      return issue.issues.map(({ message }) => ({ path, part: 'word', rule: message, got: null }));
    default: {
      const got = issue.code === 'custom' ? null : shown(issue.input);
      return [{ path, part: 'value', rule: issue.message, got }];
    }
  }
}

/** Of the alternatives, the one whose `type` it has; a step without a type is told that alone. */
function unionFindings(issue: z.core.$ZodIssueInvalidUnion, value: unknown): Finding[] {
  const typed = issue.errors.find((errors) => !errors.some(({ path }) => path[0] === 'type'));
  const step = at(value, issue.path);
  if (typed === undefined) {
    const path = isObject(step) && 'type' in step ? [...issue.path, 'type'] : issue.path;
    const got = isObject(step) ? step.type : step;
    const rule = isObject(step)
      ? `type must be ${alternatives(['action', 'probe'], String(got))}`
      : 'must be an action or a probe';
    return [{ path, part: 'value', rule, got: shown(got) }];
  }
  return typed.flatMap((inner) =>
    findings({ ...inner, path: [...issue.path, ...inner.path] }, value),
  );
}

/** Looks at the steps as they stand there, so that faults are checked whatever else is wrong. */
function faultFindings(value: unknown, kinds: readonly FaultKind[]): Finding[] {
  const found: Finding[] = [];
  const names = new Map<string, Path>();
  const look = (steps: unknown, path: Path): void => {
    if (!Array.isArray(steps)) return;
    for (const [index, step] of steps.entries()) {
      if (!isObject(step) || step.type !== 'action') continue;
      const here = [...path, index];
      found.push(...kindFindings(step, here, kinds), ...nameFindings(step, here, names));
      look(step.method, [...here, 'method']);
    }
  };
  if (isObject(value)) look(value.method, ['method']);
  return found;
}

/** Where nothing is harmed, nothing can hold. */
function emptyFindings(value: unknown): Finding[] {
  if (!isObject(value) || !Array.isArray(value.method)) return [];
  const onlyProbes = value.method.every((step) => isObject(step) && step.type === 'probe');
  if (value.method.length === 0 || !onlyProbes) return [];
  return [{ path: ['method'], part: 'value', rule: 'must have an action', got: 'only probes' }];
}

function kindFindings(
  step: Readonly<Record<string, unknown>>,
  path: Path,
  kinds: readonly FaultKind[],
): Finding[] {
  const { fault } = step;
  if (typeof fault !== 'string') return [];
  const kind = kinds.find((one) => one.kind === fault);
  if (kind === undefined) {
    const words = kinds.map((one) => one.kind);
    const rule = `must be ${alternatives(words, fault)}`;
    return [{ path: [...path, 'fault'], part: 'value', rule, got: shown(fault) }];
  }
  const given = step.arguments ?? {};
  const parsed = kind.arguments.safeParse(given, { error: ruleOf, reportInput: true });
  if (parsed.success) return [];
  return parsed.error.issues
    .flatMap((issue) => findings(issue, given))
    .map((one) => ({ ...one, path: [...path, 'arguments', ...one.path] }));
}

function nameFindings(
  step: Readonly<Record<string, unknown>>,
  path: Path,
  names: Map<string, Path>,
): Finding[] {
  const name = step.name ?? step.fault;
  if (typeof name !== 'string') return [];
  const first = names.get(name);
  if (first === undefined) {
    names.set(name, path);
    return [];
  }
  const rule = `must have a name of its own: ${pathInWords(first)} is called ${name}, too`;
  return [{ path: [...path, 'name'], part: 'value', rule, got: shown(name) }];
}

function rollbackFindings(value: unknown): Finding[] {
  if (!isObject(value) || !Array.isArray(value.rollbacks)) return [];
  return value.rollbacks.flatMap((one, index): Finding[] => {
    if (!isObject(one) || typeof one.rollback !== 'string') return [];
    const needed = one.rollback !== 'restore-link';
    if (needed === 'service' in one) return [];
    const rule = needed ? `${one.rollback} needs a service` : 'restore-link has no service';
    const got = needed ? null : shown(one.service);
    return [{ path: ['rollbacks', index, 'rollback'], part: 'value', rule, got }];
  });
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, step) => (inner as Record<PropertyKey, unknown>)?.[step],
    value,
  );
}

function pathInWords(path: Path): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`))
    .join('')
    .replace(/^\./, '');
}

function byPosition(one: Position, other: Position): number {
  return one.line - other.line || one.column - other.column;
}

function whole(rule: string): Problem {
  return { line: 1, column: 1, where: '', rule, got: null };
}

function tooLarge(file: string, bytes: number): ScenarioError {
  const rule = `must have at most ${FILE_BYTES_MAX / 1024} KiB`;
  return ScenarioError.in(file, [{ ...whole(rule), got: `${Math.ceil(bytes / 1024)} KiB` }]);
}

function problemLines(file: string, problems: readonly Problem[]): string[] {
  const lines = problems.slice(0, PROBLEMS_TOLD_MAX).map(({ line, column, where, rule, got }) => {
    const what = where === '' ? rule : `${where} ${rule}`;
    return `${file}:${line}:${column}: ${what}${got === null ? '' : `; got ${got}`}`;
  });
  const more = problems.length - lines.length;
  return more > 0 ? [...lines, `${file}: and ${more} more`] : lines;
}
