/**
 * Lines of a file of any size, in constant memory, without losing sight of a last line that has no
 * line end: that one is handed over apart, since a writer was cut off in it.
 */
import { createReadStream } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';

export interface LineSink {
  /** A line, without its line end. */
  push(line: string): void;
}

const CHUNK_BYTES = 1_048_576;

/**
 * Feeds each whole line to `sink` and resolves with what stands behind the last line end, '' when
 * nothing does. Rejects with the system's error when the file can't be read.
 */
export async function linesOf(path: string, sink: LineSink): Promise<string> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    const text = rest + decoder.write(chunk);
    let from = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      sink.push(text.slice(from, end));
      from = end + 1;
    }
    rest = text.slice(from);
  }
  return rest + decoder.end();
}
