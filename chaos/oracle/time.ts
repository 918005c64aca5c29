/**
 * RFC 3339 times in UTC, read and written by the oracle's own hand: the judge shares no code with
 * what it judges, or one mistake would excuse the other.
 *
 * Times are whole microseconds since 1970 UTC; up to 2255 a JS number holds them exactly.
 */

const TIME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?Z$/;

/** NaN, which equals nothing, for what is no such time. */
export function parseTime(text: string): number {
  const parts = TIME.exec(text);
  if (parts === null) return Number.NaN;
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number);
  const days = daysSince1970(year ?? 0, month ?? 0, day ?? 0);
  const seconds = ((days * 24 + (hour ?? 0)) * 60 + (minute ?? 0)) * 60 + (second ?? 0);
  const timeUs = seconds * 1_000_000 + Number((parts[7] ?? '').padEnd(6, '0'));
  // The 30th of February, or second 75, would come out as another time than they say.
  return formatTime(timeUs).slice(0, 19) === text.slice(0, 19) ? timeUs : Number.NaN;
}

/** `2026-11-21T08:12:17.000123Z`. */
export function formatTime(timeUs: number): string {
  if (!Number.isSafeInteger(timeUs)) return 'no time';
  const seconds = Math.floor(timeUs / 1_000_000);
  const us = String(timeUs - seconds * 1_000_000).padStart(6, '0');
  return `${new Date(seconds * 1_000).toISOString().slice(0, 19)}.${us}Z`;
}

/** Days of the Gregorian calendar; March is taken as the first month, so leap days come last. */
function daysSince1970(year: number, month: number, day: number): number {
  const marchYear = month > 2 ? year : year - 1;
  const marchMonth = (month + 9) % 12;
  const yearDays = 365 * marchYear + leapDays(marchYear);
  return yearDays + Math.floor((153 * marchMonth + 2) / 5) + day - 1 - 719_468;
}

function leapDays(year: number): number {
  return Math.floor(year / 4) - Math.floor(year / 100) + Math.floor(year / 400);
}
