/**
 * Numbers with their units, as people read them: UCUM in (`By`, `1`, `{frame}`), words out. Pure.
 * `1` is taken for a share, since that is what samples use it for.
 */

const BYTE_PREFIXES = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi'];
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 2 });

/** What stands for a value that is not there. */
export const NO_VALUE = '–';

export function countText(count: number): string {
  return whole.format(count);
}

/** Where there is little room: `1.23M`. */
export function shortCountText(count: number): string {
  return Math.abs(count) < 10_000 ? whole.format(count) : short.format(count);
}

/** `frames`, and `frame` for one. */
export function plural(count: number, word: string): string {
  return `${countText(count)} ${word}${count === 1 ? '' : 's'}`;
}

/** With a great letter before it and a stop behind it. */
export function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}

export function valueText(value: number | undefined, unit: string): string {
  if (value === undefined || !Number.isFinite(value)) return NO_VALUE;
  if (unit === '1') return `${(value * 100).toFixed(1)} %`;
  if (unit === 'By' || unit === 'By/s') return bytesText(value, unit);
  if (unit === 's') return secondsText(value);
  const word = unit.replaceAll(/[{}]/g, '');
  // What is counted stands in the chart's name.
  return /^\{.*\}$/.test(unit) || word === '' ? numberText(value) : `${numberText(value)} ${word}`;
}

/** The numbers of an axis, all in the unit that suits the greatest. */
export function axisTexts(values: readonly number[], unit: string): string[] {
  const greatest = Math.max(0, ...values.map(Math.abs));
  if (unit === '1') return values.map((value) => `${trim(value * 100, 1)} %`);
  if (unit === 'By' || unit === 'By/s') {
    const power = bytePower(greatest);
    const name = `${BYTE_PREFIXES[power]}B${unit === 'By/s' ? '/s' : ''}`;
    return values.map((value) => `${trim(value / 1_024 ** power, 1)} ${name}`);
  }
  if (unit === 's') {
    const { size, name } = secondsScale(greatest);
    return values.map((value) => `${trim(value / size, 1)} ${name}`);
  }
  return values.map((value) => (Math.abs(value) >= 10_000 ? short.format(value) : trim(value, 3)));
}

function numberText(value: number): string {
  if (Number.isInteger(value)) return whole.format(value);
  const digits = Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 0.01 || value === 0 ? 2 : 4;
  return value.toLocaleString('en', {
    minimumFractionDigits: Math.min(digits, 2),
    maximumFractionDigits: digits,
  });
}

function bytesText(bytes: number, unit: string): string {
  const power = bytePower(Math.abs(bytes));
  const number = (bytes / 1_024 ** power).toFixed(power === 0 ? 0 : 1);
  return `${number} ${BYTE_PREFIXES[power]}B${unit === 'By/s' ? '/s' : ''}`;
}

function bytePower(bytes: number): number {
  if (bytes < 1) return 0;
  return Math.min(Math.floor(Math.log2(bytes) / 10), BYTE_PREFIXES.length - 1);
}

function secondsText(seconds: number): string {
  const { size, name } = secondsScale(Math.abs(seconds));
  const value = seconds / size;
  return `${value.toFixed(name === 'ms' && Math.abs(value) >= 10 ? 0 : 1)} ${name}`;
}

function secondsScale(seconds: number): { size: number; name: string } {
  if (seconds < 1) return { size: 0.001, name: 'ms' };
  if (seconds < 120) return { size: 1, name: 's' };
  if (seconds < 7_200) return { size: 60, name: 'min' };
  return { size: 3_600, name: 'h' };
}

/** At most so many decimals, and none that are zeros. */
function trim(value: number, decimals: number): string {
  return String(Number(value.toFixed(decimals)));
}
