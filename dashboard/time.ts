/**
 * Moments and durations as people read them. Moments are milliseconds since 1970 UTC; shown is the
 * local time of the reader, 24 hours, and UTC for who hovers. Pure but for the local time zone.
 */

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

/** Steps between marks of an axis. */
const STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((count) => count * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * MINUTE),
  ...[1, 2, 3, 6, 12].map((count) => count * HOUR),
  ...[1, 2, 7, 14, 30, 90, 180, 365].map((count) => count * DAY),
];

/** NaN where the text is no time. */
export function timeOf(text: string): number {
  return Date.parse(text);
}

/** RFC 3339 in UTC, as the API takes it. */
export function rfc3339(time: number): string {
  return new Date(time).toISOString();
}

/** `14:03:04`, with the date before it where that is not the day of `now`, and its year if need be. */
export function clockText(time: number, now: number): string {
  const clock = ofDay(time);
  if (isSameDay(time, now)) return clock;
  const [year, thisYear] = [time, now].map((each) => new Date(each).getFullYear());
  return `${dateText(time)}${year === thisYear ? '' : ` ${year}`}, ${clock}`;
}

/** `2026-11-26 13:03:04.512 UTC`. */
export function utcText(time: number): string {
  return `${rfc3339(time).replace('T', ' ').replace('Z', '')} UTC`;
}

/** Counting, in a place of its own: `0:42`, `1:02:03`. */
export function countingText(duration: number): string {
  const seconds = Math.max(0, Math.floor(duration / SECOND));
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  const rest = pad(seconds % 60);
  return hours > 0 ? `${hours}:${pad(minutes)}:${rest}` : `${minutes}:${rest}`;
}

/** In a sentence: `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d`. */
export function durationText(duration: number): string {
  const seconds = Math.max(0, Math.round(duration / SECOND));
  const units = [
    { name: 'd', size: 86_400 },
    { name: 'h', size: 3_600 },
    { name: 'min', size: 60 },
    { name: 's', size: 1 },
  ];
  const first = units.findIndex(({ size }) => seconds >= size);
  if (first < 0) return '0 s';
  let rest = seconds;
  const parts: string[] = [];
  for (const { name, size } of units.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${name}`);
  }
  return parts.join(' ');
}

export interface Mark {
  readonly at: number;
  readonly text: string;
}

/** The marks of a time axis from `from` to `to`: round local times, `countMax` of them at most. */
export function axisMarks(from: number, to: number, countMax: number): Mark[] {
  const span = to - from;
  if (!(span > 0) || countMax < 1) return [];
  const step =
    STEPS.find((each) => span / each <= countMax) ?? Math.ceil(span / countMax / DAY) * DAY;
  // Round in local time: noon is noon in every zone.
  const shift = new Date(from).getTimezoneOffset() * MINUTE;
  const marks: Mark[] = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) {
    marks.push({ at, text: markText(at, step) });
  }
  return marks;
}

function markText(at: number, step: number): string {
  const clock = ofDay(at);
  if (step >= DAY || clock === '00:00:00') return dateText(at);
  return step >= MINUTE ? clock.slice(0, 5) : clock;
}

function ofDay(time: number): string {
  const date = new Date(time);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(pad).join(':');
}

function dateText(time: number): string {
  const date = new Date(time);
  return `${date.getDate()} ${MONTHS[date.getMonth()]}`;
}

function isSameDay(a: number, b: number): boolean {
  return new Date(a).toDateString() === new Date(b).toDateString();
}

function pad(count: number): string {
  return String(count).padStart(2, '0');
}
