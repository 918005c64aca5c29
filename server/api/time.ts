/**
 * Times in the API's queries: RFC 3339 text to microseconds since 1970 UTC. The way back is
 * `formatTime` of the protocol.
 */
const RFC_3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/;

/**
 * Microseconds since 1970 UTC, rounded up: of times in whole microseconds the same are at or behind
 * the result as are at or behind the text. Past ±2^53 it is that bound. undefined when the text is
 * no RFC 3339 time.
 */
export function parseTime(text: string): number | undefined {
  const [, seconds, fraction = '', zone] = RFC_3339.exec(text) ?? [];
  const wholeMs = Date.parse(`${seconds}${zone}`);
  if (Number.isNaN(wholeMs)) return undefined;
  const finer = /[1-9]/.test(fraction.slice(6)) ? 1 : 0;
  const timeUs = wholeMs * 1_000 + Number(fraction.slice(0, 6).padEnd(6, '0')) + finer;
  return Math.min(Math.max(timeUs, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
}
