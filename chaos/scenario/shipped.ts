/** The scenarios that come with Holdfast, and how a name on the command line becomes a file. */
import { readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { nearest } from '#lab/suggest.ts';
import type { FaultKind } from '../faults/fault.ts';
import { type ReadScenario, readScenario, ScenarioError } from './file.ts';

const FOLDER = join(import.meta.dirname, '..', 'scenarios');
const ENDING = '.yaml';
/** In place of a name: all that are shipped. */
const ALL = 'all';
const DEFAULT_TAG = 'default';

export interface NamedScenario extends ReadScenario {
  /** The file's name without its ending. */
  readonly name: string;
}

export function shippedNames(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith(ENDING))
    .map((name) => basename(name, ENDING))
    .sort();
}

/** @throws ScenarioError. */
export function shippedScenarios(kinds: readonly FaultKind[]): NamedScenario[] {
  return readAll(shippedNames(), kinds);
}

/** What was asked for can't be found; each problem is a line. */
export class UnknownScenarioError extends Error {
  override readonly name = 'UnknownScenarioError';
  readonly code = 'unknown_scenario';
}

/**
 * Names of shipped scenarios, files of one's own (with a `/` or an ending), or `all`; the default
 * set when there is none. In the order that was asked for; paths count from the working folder.
 * @throws UnknownScenarioError, ScenarioError: of all that can't be used, so that one look is enough.
 */
export function scenariosNamed(
  names: readonly string[],
  kinds: readonly FaultKind[],
): NamedScenario[] {
  if (names.length === 0) {
    return shippedScenarios(kinds).filter(({ scenario }) => scenario.tags.includes(DEFAULT_TAG));
  }
  const shipped = shippedNames();
  const wanted = names.flatMap((name) => (name === ALL ? shipped : [name]));
  const unknown = wanted.filter((name) => !isFile(name) && !shipped.includes(name));
  if (unknown.length > 0) {
    throw new UnknownScenarioError(unknown.map((name) => unknownLine(name, shipped)).join('\n'));
  }
  return readAll(wanted, kinds);
}

function readAll(names: readonly string[], kinds: readonly FaultKind[]): NamedScenario[] {
  const read: NamedScenario[] = [];
  const errors: ScenarioError[] = [];
  for (const name of names) {
    const path = isFile(name) ? name : join(FOLDER, `${name}${ENDING}`);
    try {
      read.push({ name: nameOf(path), ...readScenario(path, kinds) });
    } catch (error) {
      if (!(error instanceof ScenarioError)) throw error;
      errors.push(error);
    }
  }
  const [first] = errors;
  if (first === undefined) return read;
  throw errors.length === 1 ? first : ScenarioError.of(errors);
}

function isFile(name: string): boolean {
  return name.includes('/') || /\.ya?ml$/.test(name);
}

/** Names a folder of the run, so only of signs that any file system takes. */
function nameOf(path: string): string {
  return basename(resolve(path))
    .replace(/\.ya?ml$/, '')
    .replaceAll(/[^\w.-]/g, '-');
}

function unknownLine(name: string, shipped: readonly string[]): string {
  const meant = nearest(name, shipped);
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
  return `there is no scenario ${name}${hint}`;
}
