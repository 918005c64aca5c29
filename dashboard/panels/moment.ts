/** A moment in a sentence: local time, UTC on hover, RFC 3339 for programs. */
import { serverNow } from '../clock.ts';
import { setAttribute, setText } from '../dom.ts';
import { clockText, rfc3339, utcText } from '../time.ts';

export function showMoment(element: HTMLTimeElement, time: number): void {
  setText(element, clockText(time, serverNow()));
  setAttribute(element, 'datetime', rfc3339(time));
  setAttribute(element, 'title', utcText(time));
}
