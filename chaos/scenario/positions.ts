/** Where in a YAML file a value or a word of it stands. */
import { type Document, isMap, isPair, isScalar, isSeq, type LineCounter, type Node } from 'yaml';

/** From the file's top: words of maps, numbers in lists. */
export type Path = readonly PropertyKey[];

/** Both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/**
 * Of the value at a path, or of the word before it with `word`. What isn't there is placed where
 * it is missing: at the nearest thing around it.
 */
export function positionOf(
  document: Document.Parsed,
  lines: LineCounter,
  path: Path,
  part: 'word' | 'value',
): Position {
  let node: unknown = document.contents;
  let offset = offsetOf(node) ?? 0;
  for (const [index, step] of path.entries()) {
    const found = child(node, step);
    if (found === undefined) break;
    const wordWanted = part === 'word' && index === path.length - 1;
    offset = offsetOf(wordWanted ? found.word : found.value) ?? offsetOf(found.word) ?? offset;
    node = found.value;
  }
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
}

function child(node: unknown, step: PropertyKey): { word: unknown; value: unknown } | undefined {
  if (isSeq(node)) {
    const value = node.items[Number(step)];
    return value === undefined ? undefined : { word: value, value };
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.find(
    (one) => isPair(one) && isScalar(one.key) && String(one.key.value) === String(step),
  );
  return pair && { word: pair.key, value: pair.value };
}

function offsetOf(node: unknown): number | undefined {
  return (node as Node | null)?.range?.[0];
}
