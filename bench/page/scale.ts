/** Scales of the pictures: where a value lies, from 0 to 1, and what is marked. */
export interface Scale {
  /** Values past its ends lie at them. */
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

/** Over this between the least and the greatest, a linear scale would hide the small ones. */
const LINEAR_RATIO_MAX = 40;
const ROUND = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

/** From 0 to a round number over the greatest; by powers of ten where they lie far apart. */
export function scaleOf(values: readonly number[]): Scale {
  const [min, max] = [Math.min(...values), Math.max(...values)];
  return min > 0 && max / min > LINEAR_RATIO_MAX ? logarithmic(min, max) : linear(max);
}

/** From 0. */
export function linear(max: number): Scale {
  const top = roundTop(max);
  return { at: (value) => within(value / top), ticks: [0, top / 2, top] };
}

/** From the power of ten below the least to the one over the greatest. */
function logarithmic(min: number, max: number): Scale {
  const from = Math.floor(Math.log10(min));
  const to = Math.max(from + 1, Math.ceil(Math.log10(max)));
  const step = Math.ceil((to - from) / 5);
  const ticks = Array.from(
    { length: Math.floor((to - from) / step) + 1 },
    (_, i) => from + i * step,
  );
  return {
    at: (value) => (value <= 0 ? 0 : within((Math.log10(value) - from) / (to - from))),
    ticks: ticks.map((power) => 10 ** power),
  };
}

function roundTop(max: number): number {
  if (max <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(max));
  return (ROUND.find((one) => one * power >= max) ?? 10) * power;
}

function within(part: number): number {
  return Math.min(1, Math.max(0, part));
}
