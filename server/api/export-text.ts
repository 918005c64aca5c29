/** An export as text, piece by piece: what goes over HTTP and what the command writes. */
import type { StoredFrame } from '#server/store/store.ts';
import { CSV_HEADER, frameCsv, frameJson, isIntact } from './frame-text.ts';

/** ndjson: an object of JSON a line. csv: RFC 4180 with a header line. */
export const EXPORT_FORMATS = ['ndjson', 'csv'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

const LINES = {
  ndjson: {
    header: '',
    line: (frame: StoredFrame, intact: boolean) => `${frameJson(frame, intact)}\n`,
  },
  csv: { header: CSV_HEADER, line: frameCsv },
} as const;

/** Small pieces die young: long ones would stay in memory until a full collection. */
const PIECE_CHARS = 65_536;

/** `onDamage` is told of each frame that is not what was captured; it is in the text all the same. */
export async function* exportText(
  chunks: AsyncIterable<readonly StoredFrame[]>,
  format: ExportFormat,
  onDamage: (frame: StoredFrame) => void,
): AsyncGenerator<string> {
  const { header, line } = LINES[format];
  let text: string = header;
  for await (const frames of chunks) {
    for (const frame of frames) {
      const intact = isIntact(frame);
      if (!intact) onDamage(frame);
      text += line(frame, intact);
      if (text.length < PIECE_CHARS) continue;
      yield text;
      text = '';
    }
  }
  if (text !== '') yield text;
}
