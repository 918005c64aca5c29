/** Something that is wrong in a scenario, before its place in the file is looked up. */
import type { Path } from './positions.ts';

export interface Finding {
  /** What isn't there is looked for at the nearest thing around it. */
  readonly path: Path;
  /** Is the word wrong, or what stands behind it? */
  readonly part: 'word' | 'value';
  /** What it has to be. */
  readonly rule: string;
  /** In short; null where the rule says it all. */
  readonly got: string | null;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
