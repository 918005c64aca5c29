/** What the server tells of the sources of a scenario, and of them alone: audit and export. */
import { createWriteStream } from 'node:fs';
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

/** Their stored frames into one file, as they are answered. */
export async function exportTo(
  path: string,
  ground: Ground,
  collectors: readonly string[],
): Promise<void> {
  const api = await ground.service('server').url(PORT_IN_COMPOSE.api);
  for (const [index, collector] of collectors.entries()) {
    const url = `${api}/api/v1/export?collector=${encodeURIComponent(collector)}`;
    const response = await fetch(url, { signal: AbortSignal.timeout(EXPORT_MS_MAX) });
    if (response.status !== 200 || response.body === null) {
      throw new Error(`${url} answered ${response.status}`);
    }
    const file = createWriteStream(path, { flags: index === 0 ? 'w' : 'a' });
    await pipeline(Readable.fromWeb(response.body), file);
  }
}
