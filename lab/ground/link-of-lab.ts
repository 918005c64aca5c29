/**
 * The link of the lab that is there, told where a whole one leads to: Toxiproxy only knows where it
 * leads now, which is elsewhere after a chaos run that was killed while it had it diverted.
 */
import { Link } from '#lab/link.ts';
import { noLab, servicesThere } from '#lab/services.ts';
import type { LabContext } from '#lab/setup.ts';
import { groundThatIsThere } from './choose.ts';
import type { Ground } from './ground.ts';
import { PORT_IN_COMPOSE } from './ground.ts';
import { readServices } from './process/services.ts';

/** host:port of the server's ingest, as Toxiproxy dials it in Compose's network. */
export const LINK_EXIT_IN_COMPOSE = `server:${PORT_IN_COMPOSE.ingest}`;

/** host:port that Toxiproxy listens on in there, as lab/toxiproxy.json says. */
export const LINK_LISTEN_IN_COMPOSE = `0.0.0.0:${PORT_IN_COMPOSE.link}`;

export function linkOfLab({ config, files }: Pick<LabContext, 'config' | 'files'>): Link {
  const isProcess = groundThatIsThere(config.ground, files) === 'process';
  const exit = isProcess ? exitOfProcesses(files) : LINK_EXIT_IN_COMPOSE;
  const listen = isProcess ? `127.0.0.1:${config.linkPort}` : LINK_LISTEN_IN_COMPOSE;
  return new Link(config.toxiproxyPort, exit, listen);
}

/**
 * An order that a person gives.
 * @throws LabError `lab_missing` where it fails because nothing runs; `link_failed`.
 */
export async function orderLink<T>(
  context: LabContext,
  order: (link: Link) => Promise<T>,
): Promise<T> {
  try {
    return await order(linkOfLab(context));
  } catch (error) {
    throw (await servicesThere(context)) === null ? noLab(error) : error;
  }
}

/** Undefined where `up` has not noted its services yet. */
function exitOfProcesses(files: LabContext['files']): string | undefined {
  const server = readServices(files)?.find(({ name }) => name === 'server');
  const port = server?.ports[PORT_IN_COMPOSE.ingest];
  return port === undefined ? undefined : `127.0.0.1:${port}`;
}

/** The link of a ground that was opened. */
export function linkOf({ toxiproxyUrl, linkExit, linkListen }: Ground): Link {
  return new Link(toxiproxyUrl, linkExit, linkListen);
}
