/** Numbers of figures as people read them. */

/** `370,127`, `0.2175`: four digits are more than any figure is good for. */
export function shown(value: number): string {
  if (Math.abs(value) >= 1_000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(4)));
}
