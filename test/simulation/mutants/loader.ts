/** Changes the text of the product's files while they are loaded. */
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Substitution } from './list.ts';

const ROOT = new URL('../../../', import.meta.url);

/**
 * From here on the files load as the substitutions make them. Throws, at the loading, when a text to
 * be replaced does not occur exactly once: then the mutant has to be written anew.
 */
export function substitute(substitutions: readonly Substitution[]): void {
  const byUrl = Map.groupBy(substitutions, ({ file }) => new URL(file, ROOT).href);
  registerHooks({
    load(url, context, nextLoad) {
      const own = byUrl.get(url);
      const loaded = nextLoad(url, context);
      if (own === undefined) return loaded;
      const source = own.reduce(replaced, String(loaded.source));
      return { ...loaded, source };
    },
  });
}

function replaced(source: string, { file, find, replace }: Substitution): string {
  const parts = source.split(find);
  const [before = '', behind = ''] = parts;
  if (parts.length !== 2) {
    const times = parts.length - 1;
    throw new Error(`${fileURLToPath(new URL(file, ROOT))} has ${times} times, not once: ${find}`);
  }
  return `${before}${replace}${behind}`;
}
