/** The server's clock as this browser reckons it: the two may differ, and capture times are its. */
let offset = 0;

/** `asOf`: what an answer that has just come says of its own time, in milliseconds. */
export function setClock(asOf: number): void {
  const measured = asOf - Date.now();
  // What the way took is no difference of clocks: small ones are left as they are.
  if (Math.abs(measured - offset) > 500) offset = measured;
}

/** Milliseconds since 1970 UTC. */
export function serverNow(): number {
  return Date.now() + offset;
}
