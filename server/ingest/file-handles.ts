/**
 * How many files and sockets this process may have open, and how many of them collectors may have.
 *
 * A listener that runs out of handles takes nobody; a store that runs out of them can't open what it
 * needs. So the number of connections is fitted to the limit at the start, and the rest is left free.
 */
import { SettingsError } from '#protocol/settings.ts';
import { SERVER_SETTINGS, type ServerSettings } from '#server/config.ts';
import { spareOf } from './places.ts';

/** Of the handles in reserve, those that are kept for the store, its threads and the log. */
const STORE_FILES = 64;
/** Connections that were sent away take a moment to go. */
export const LEAVING_MAX = 64;

/** How this process shares out its handles. */
export interface FileHandles {
  /** Files and sockets that may be open; undefined where there is no limit. */
  readonly filesMax: number | undefined;
  /** Collectors that can be connected: as many as are wanted, or fewer. */
  readonly connectionsMax: number;
  /** Clients of the API. */
  readonly apiConnectionsMax: number;
}

/** Throws SettingsError where there is no room for a collector beside what is reserved. */
export function shareFileHandles({
  connectionsMax: wanted,
  filesReserved,
}: Pick<ServerSettings, 'connectionsMax' | 'filesReserved'>): FileHandles {
  const filesMax = openFilesMax();
  const connectionsMax = connectionsWithin(filesMax, filesReserved, wanted);
  if (connectionsMax > 0) {
    return { filesMax, connectionsMax, apiConnectionsMax: filesReserved - STORE_FILES };
  }
  const rule = `well below the limit of open files, which is ${filesMax} here: raise \`ulimit -n\``;
  const { name } = SERVER_SETTINGS.filesReserved;
  throw new SettingsError([{ name, rule, got: String(filesReserved) }]);
}

/** The limit in force, as Node has raised it; undefined where there is none. */
function openFilesMax(): number | undefined {
  const report = process.report.getReport() as {
    readonly userLimits?: { readonly open_files?: { readonly soft?: number | string } };
  };
  const soft = Number(report.userLimits?.open_files?.soft);
  return Number.isFinite(soft) ? soft : undefined;
}

/**
 * How many collectors can be connected where so many files may be open and so many of them are not
 * for collectors: as many as are wanted, or fewer; less than 1 where there is no room for any.
 */
export function connectionsWithin(
  filesMax: number | undefined,
  filesReserved: number,
  wanted: number,
): number {
  if (filesMax === undefined) return wanted;
  const room = filesMax - filesReserved - LEAVING_MAX;
  return Math.min(wanted, room - spareOf(room));
}
