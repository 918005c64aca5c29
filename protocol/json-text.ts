/**
 * A payload as JSON text, for the exports of both ends: its own text as it came, so that no number
 * loses digits and no key its twin on the way through a parser.
 */
import { isUtf8 } from 'node:buffer';

/** Parsers of other languages give up on arrays in arrays that are deeper than some hundreds. */
const JSON_DEPTH_MAX = 100;

/** The payload's text on one line, where it is JSON in UTF-8 that is not nested without end. */
export function jsonTextOf(payload: Buffer): string | undefined {
  if (!mayBeginJson(payload[0]) || !isUtf8(payload)) return undefined;
  const text = payload.toString('utf8');
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  if (depthOf(text) > JSON_DEPTH_MAX) return undefined;
  // Between the parts of JSON any blank is as good as a line's end; within its strings there is none.
  return text.replaceAll(/[\r\n]/g, ' ');
}

/** Spares most of what is not JSON the attempt: a parser's exception costs more than a frame. */
function mayBeginJson(byte: number | undefined): boolean {
  return byte !== undefined && ' \t\r\n{["-0123456789tfn'.includes(String.fromCharCode(byte));
}

/** How deep the arrays and objects of a valid JSON text lie in each other. */
function depthOf(text: string): number {
  if (text.length <= 2 * JSON_DEPTH_MAX) return 0;
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < text.length; i += 1) {
    switch (text[i]) {
      case '"':
        i = endOfString(text, i);
        break;
      case '[':
      case '{':
        depth += 1;
        deepest = Math.max(deepest, depth);
        break;
      case ']':
      case '}':
        depth -= 1;
        break;
    }
  }
  return deepest;
}

function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i += 1) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === '"') return i;
  }
  return text.length;
}
