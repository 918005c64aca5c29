/**
 * Times in the API's queries: RFC 3339 text to microseconds since 1970 UTC. The way back is
 * `formatTime` of the protocol.
 */
const RFC_3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)$/;

/** Microseconds since 1970 UTC; undefined when the text is no RFC 3339 time from 1970 on. */
export function parseTime(text: string): number | undefined {
  const [, seconds, fraction = '', zone] = RFC_3339.exec(text) ?? [];
  const wholeMs = Date.parse(`${seconds}${zone}`);
  if (Number.isNaN(wholeMs) || wholeMs < 0) return undefined;
  return wholeMs * 1_000 + Number(fraction.padEnd(6, '0'));
}
