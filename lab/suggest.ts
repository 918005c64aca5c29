/** Which of the known words a mistyped one was probably meant to be. */

/** Further away than this a suggestion would be a guess. */
const DISTANCE_MAX = 3;
/** Shorter beginnings are shared by too many. */
const BEGINNING_CHARS_MIN = 4;

/**
 * Undefined when none is near: more than a third of the letters would have to change, and none
 * begins with the word.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  return likest(word, known) ?? longer(word, known);
}

function longer(word: string, known: readonly string[]): string | undefined {
  return word.length < BEGINNING_CHARS_MIN ? undefined : known.find((one) => one.startsWith(word));
}

function likest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.min(DISTANCE_MAX, Math.ceil(word.length / 3)) + 1;
  for (const one of known) {
    const far = distance(word.toLowerCase(), one.toLowerCase());
    if (far < least) [best, least] = [one, far];
  }
  return best;
}

/** Letters to insert, drop, change or swap with their neighbour. */
function distance(one: string, other: string): number {
  const rows: number[][] = [Array.from({ length: other.length + 1 }, (_, at) => at)];
  const cost = (i: number, j: number) => rows[i]?.[j] ?? Infinity;
  for (let i = 1; i <= one.length; i += 1) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= other.length; j += 1) {
      const change = one[i - 1] === other[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      row[j] = Math.min(
        cost(i - 1, j) + 1,
        cost(i, j - 1) + 1,
        cost(i - 1, j - 1) + change,
        swapped ? cost(i - 2, j - 2) + 1 : Infinity,
      );
    }
  }
  return cost(one.length, other.length);
}
