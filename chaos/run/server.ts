/** What the server tells of the sources of a scenario: their audit, and what it has of their time. */
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Ground, PORT_IN_COMPOSE } from '#lab/ground/ground.ts';
import type { AuditDocument } from '../observe/observer.ts';
import { fetchJson } from '../observe/wait.ts';

const EXPORT_MS_MAX = 180_000;

/** The audit of these collectors as one document. */
export async function auditOf(
  ground: Ground,
  collectors: readonly string[],
): Promise<AuditDocument> {
  const api = await ground.service('server').url(PORT_IN_COMPOSE.api);
  const documents = await Promise.all(
    collectors.map((one) =>
      fetchJson<AuditDocument>(`${api}/api/v1/audit?collector=${encodeURIComponent(one)}`),
    ),
  );
  const [first] = documents;
  return { ...first, collectors: documents.flatMap((document) => document.collectors) };
}

/**
 * Their stored frames into one file, as they are answered; and all that was captured meanwhile under
 * other names, where no copy of a frame of theirs may be.
 */
export async function exportTo(
  path: string,
  ground: Ground,
  { collectors, since }: { readonly collectors: readonly string[]; readonly since: Date },
): Promise<void> {
  const api = await ground.service('server').url(PORT_IN_COMPOSE.api);
  for (const [index, collector] of collectors.entries()) {
    const rows = await rowsOf(`${api}/api/v1/export?collector=${encodeURIComponent(collector)}`);
    await pipeline(rows, createWriteStream(path, { flags: index === 0 ? 'w' : 'a' }));
  }
  const rows = await rowsOf(`${api}/api/v1/export?from=${since.toISOString()}`);
  const others = notOf(collectors, createInterface({ input: rows, crlfDelay: Infinity }));
  await pipeline(others, createWriteStream(path, { flags: 'a' }));
}

async function rowsOf(url: string): Promise<Readable> {
  const response = await fetch(url, { signal: AbortSignal.timeout(EXPORT_MS_MAX) });
  if (response.status === 200 && response.body !== null) return Readable.fromWeb(response.body);
  throw new Error(`${url} answered ${response.status}`);
}

/** Of their own rows there may be a hundred thousand: they are told by their first letters. */
async function* notOf(
  collectors: readonly string[],
  lines: AsyncIterable<string>,
): AsyncGenerator<string> {
  const own = collectors.map((one) => `{"collector":${JSON.stringify(one)},`);
  for await (const line of lines) {
    if (!own.some((start) => line.startsWith(start))) yield `${line}\n`;
  }
}
