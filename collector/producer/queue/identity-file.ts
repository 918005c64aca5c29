/**
 * The collector's id, made once and kept beside the frames that carry it. It stays with the queue's
 * volume, not with the host name, which changes with every new container.
 */
import { join } from 'node:path';
import { isCollectorId } from '#protocol/identity.ts';
import { CollectorIdError, QueueOpenError } from './errors.ts';
import {
  type FilePort,
  type FileReader,
  readUnlessRefused,
  readWhole,
  replaceWhole,
} from './file-port.ts';

export const COLLECTOR_ID_NAME = 'collector-id';
const HOST_CHARACTERS_MAX = 48;
const CONTENT_BYTES_MAX = 1_024;

/**
 * The id in the queue's directory; when there is none, makes it from the host's name and eight
 * random hex digits.
 * @param source.path The queue's directory, for messages.
 * @throws CollectorIdError when the file holds something else; QueueOpenError when it can't be made.
 */
export function loadCollectorId(
  files: FilePort,
  source: { readonly path: string; readonly hostName: string; readonly randomHex: string },
): string {
  const bytes = files.size(COLLECTOR_ID_NAME);
  if (bytes === undefined) {
    const id = makeCollectorId(source.hostName, source.randomHex);
    try {
      replaceWhole(files, COLLECTOR_ID_NAME, Buffer.from(`${id}\n`));
    } catch (error) {
      throw new QueueOpenError(source.path, error);
    }
    return id;
  }
  const content = bytes > CONTENT_BYTES_MAX ? `${bytes} bytes` : text(files);
  if (!isCollectorId(content)) {
    throw new CollectorIdError(join(source.path, COLLECTOR_ID_NAME), content.slice(0, 80));
  }
  return content;
}

/** The id that is kept with a queue; undefined where there is none, or none that can be used. */
export function keptCollectorId(files: FileReader): string | undefined {
  const bytes = files.size(COLLECTOR_ID_NAME);
  if (bytes === undefined || bytes > CONTENT_BYTES_MAX) return undefined;
  try {
    const id = readWhole(files, COLLECTOR_ID_NAME).toString().trim();
    return isCollectorId(id) ? id : undefined;
  } catch {
    return undefined;
  }
}

/** A collector id from any host name: what the rule for ids doesn't allow becomes "-". */
export function makeCollectorId(hostName: string, randomHex: string): string {
  const host = hostName
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, HOST_CHARACTERS_MAX);
  return `${host === '' ? 'collector' : host}-${randomHex}`;
}

/** What the disk refuses to give back is told as such: to make another id would split the collector. */
function text(files: FileReader): string {
  const content = readUnlessRefused(files, COLLECTOR_ID_NAME);
  return content === undefined ? 'what the disk refuses to read (EIO)' : content.toString().trim();
}
