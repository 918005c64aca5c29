/**
 * Looks into the product for coverage alone, never for a verdict: whether a window was closed to
 * measure the path anew, or fell to its least.
 */
import { Window } from '#collector/producer/window.ts';

const COLLAPSED_BYTES = 4_096;

/** Tells of windows from here on; one listener at a time. */
export function watchWindows(meet: (what: string) => void): void {
  listener = meet;
}

let listener: (what: string) => void = () => {};

const { onAcked } = Window.prototype;
Window.prototype.onAcked = function watched(this: Window, ...args): void {
  const before = this.bytes;
  onAcked.apply(this, args);
  if (before > COLLAPSED_BYTES && this.bytes <= COLLAPSED_BYTES) listener('window: collapsed');
  if (this.bytesInFlight > 0 && !this.admits(0)) listener('window: measured anew');
};
