/** What slows the link, in few words: the same in both directions is said once. Pure. */

const DIRECTION = / to the (?:server|collector)$/;

/** `details`: as the lab tells them, `+250 ms to the server`. */
export function detailsText(details: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const detail of details) {
    const what = detail.replace(DIRECTION, '');
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  const told = details.map((detail) => {
    const what = detail.replace(DIRECTION, '');
    return what !== detail && counts.get(what) === 2 ? `${what} both ways` : detail;
  });
  return [...new Set(told)].join(' · ');
}
