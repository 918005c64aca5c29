/** Sets of whole numbers as text, runs written as `first..last`: `#{1..3 7 9..12}`. */

export function intervals(numbers: Iterable<number>): string {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  const runs: { first: number; last: number }[] = [];
  for (const number of sorted) {
    const run = runs.at(-1);
    if (run !== undefined && run.last === number - 1) run.last = number;
    else runs.push({ first: number, last: number });
  }
  const texts = runs.map(({ first, last }) => (first === last ? `${first}` : `${first}..${last}`));
  return `#{${texts.join(' ')}}`;
}
