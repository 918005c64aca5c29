/**
 * The colours of the canvases: those of the style sheet, read anew when the reader's system turns
 * light or dark.
 */
const NAMES = [
  'ink',
  'ink-2',
  'ink-3',
  'quiet',
  'line',
  'accent',
  'accent-line',
  'bad',
  'warn',
  'ground',
] as const;

export type Palette = Readonly<Record<(typeof NAMES)[number], string>>;

/** `onChange` is told when colours are others. Printing is light. */
export function watchPalette(onChange: () => void): () => Palette {
  let palette = read();
  const change = () => {
    palette = read();
    onChange();
  };
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', change);
  return () => palette;
}

/** A colour that `light-dark()` gives is known only where it is used. */
function read(): Palette {
  const probe = document.createElement('i');
  document.body.append(probe);
  const entries = NAMES.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color] as const;
  });
  probe.remove();
  return Object.fromEntries(entries) as Palette;
}

/** The same colour, so much of it. */
export function faint(color: string, share: number): string {
  return `color-mix(in srgb, ${color} ${share * 100}%, transparent)`;
}

const hatches = new Map<string, CanvasPattern | null>();

/** Slanting lines, in device pixels so that they are as fine on every screen. */
export function hatch(context: CanvasRenderingContext2D, color: string, ratio: number) {
  const key = `${color} ${ratio}`;
  const known = hatches.get(key);
  if (known !== undefined) return known ?? color;
  const size = Math.round(6 * ratio);
  const tile = new OffscreenCanvas(size, size);
  const pen = tile.getContext('2d');
  if (pen === null) return color;
  pen.strokeStyle = color;
  pen.lineWidth = ratio;
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift, size);
    pen.lineTo(shift + size, 0);
  }
  pen.stroke();
  const pattern = context.createPattern(tile, 'repeat');
  hatches.set(key, pattern);
  return pattern ?? color;
}
