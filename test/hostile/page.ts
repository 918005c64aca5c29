/** docs/hostile-input.md, made from the tables. */
import type { End, WireCase } from './case.ts';
import { HTTP_CASES, HTTP_ELSEWHERE } from './http-cases.ts';
import { SLOW_CASES } from './slow-cases.ts';
import { WIRE_CASES } from './wire-cases.ts';
import { WIRE_ELSEWHERE, WIRE_MASSES } from './wire-elsewhere.ts';

export function hostileInputPage(): string {
  const wire = [...WIRE_CASES, ...SLOW_CASES].sort((a, b) => a.id.localeCompare(b.id));
  return `# Hostile input

What is sent to a real server (\`./holdfast server\`, a process of its own) by \`make test-hostile\`, and what has to come of it. This page is
made from the tables that the tests play (\`HOLDFAST_WRITE_DOCS=1 make test-unit\`).

After each case a healthy collector beside it stores one more frame on the connection that it has had all the time. What is stored is
read back by the audit and the export: nothing is there that was not sent in a right message, bit for bit. Played again and again the
cases leave neither handles nor memory behind. A deadline is the protocol's, never the test's.

## On the wire

"closes" is without a word to somebody who has not proven himself; the reason is in the server's log and metrics.

${table(['', 'what is sent', 'the server', 'within', 'what is expected'], wire.map(wireRow))}

In masses:

${table(
  ['', 'what is sent', 'what is expected'],
  WIRE_MASSES.map(({ id, name, expected }) => [id, name, expected]),
)}

Not here:

${table(
  ['', 'what', 'why'],
  WIRE_ELSEWHERE.map(({ id, name, why }) => [id, name, why]),
)}

## Over HTTP

Against the API of the server and the status server of the collector. After each one both answer \`/healthz\`, and no answer shows what is inside.

${table(
  ['', 'what is sent', 'to', 'what is expected'],
  HTTP_CASES.map(({ id, name, on, expected }) => [id, name, on.join(', '), expected]),
)}

Beside these: past the cap on readers of events (H24) the next get 503 and everything else goes on; with its database held by another
process (H27) the server is alive, not ready, and ready again once it is let go; frozen, it answers when it goes on.

Not here:

${table(
  ['', 'what', 'why'],
  HTTP_ELSEWHERE.map(({ id, name, why }) => [id, name, why]),
)}

## The fuzzer

\`./holdfast fuzz\` makes right conversations and spoils them: bytes flipped, cut, spliced, repeated and reordered, in the body under a right CRC or
on the way; lengths, counts and counters that lie; bombs and broken zstd; right messages that say what nobody should; HELLO and WELCOME
with values that no honest side has, proven or not; all of it in any chunks, with right messages before and between. They are played to the
real framer, codec, session and intake, and the other way round to the collector's sender. What it watches is written at the top of
\`test/hostile/fuzz/server-stage.ts\` and \`collector-stage.ts\`: nothing thrown, nothing stored or settled that is not right, what came before the
first wrong byte stored and acknowledged, bounded memory and answers, an end to every session; and a collector that then heals with a right
server. A finding is shrunk and printed with the command that plays it again. \`make test-hostile\` plays ten thousand for each side;
\`./holdfast fuzz --inputs 1000000\` a million.
`;
}

function wireRow({ id, name, end, within, expected }: WireCase): string[] {
  return [id, name, endText(end), end.by === 'nobody' ? '' : within, expected];
}

function endText(end: End): string {
  switch (end.by) {
    case 'nobody':
      return 'goes on';
    case 'bye':
      return `BYE{${end.reason}}`;
    case 'bye without text':
      return 'BYE, closes';
    case 'close':
      return `closes (${end.log})`;
  }
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cellOf).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function cellOf(text: string): string {
  return text.replaceAll('|', '\\\\|').replaceAll('<', '&lt;');
}
