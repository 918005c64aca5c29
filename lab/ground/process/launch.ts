/**
 * What is launched beside the lab's own services, as a program of this machine: the same words as in
 * a container, where its places are others. A port is one that is free here; the addresses that it
 * listens on and the folder of its data are replaced where they stand.
 */
import { join, resolve } from 'node:path';
import type { LabFiles } from '#lab/paths.ts';
import { otherPort } from '#lab/ports.ts';
import type { Launch } from '../ground.ts';
import type { ProgramSpec } from './control.ts';
import { launchedPath } from './place.ts';
import { collectorTls, nodeCommand } from './services.ts';

const GRACE_MS = 15_000;

export interface LaunchOptions {
  readonly files: LabFiles;
  /** TLS is on in this lab. */
  readonly secured: boolean;
}

export async function launchedSpec(launch: Launch, options: LaunchOptions): Promise<ProgramSpec> {
  const { files, secured } = options;
  const ports: Record<string, number> = {};
  for (const port of launch.ports) ports[port] = await otherPort(Object.values(ports));
  const data =
    launch.data === undefined ? null : join(launchedPath(files.process, launch.name), launch.data);
  const here = (text: string) => ofThisMachine(text, { ports, data, place: launch.data });
  const environment: Record<string, string> = { NODE_ENV: 'production' };
  for (const [name, value] of Object.entries(launch.environment)) {
    const port = name.endsWith('_PORT') ? ports[value] : undefined;
    environment[name] = port === undefined ? here(value) : String(port);
  }
  if (launch.folder !== undefined) {
    environment[launch.folder.variable] = resolve(launch.folder.host, launch.folder.file);
  }
  if (launch.joins === true) {
    environment.HOLDFAST_TOKEN_FILE = files.token;
    Object.assign(environment, collectorTls(secured, files.tls));
  }
  return {
    name: launch.name,
    command: commandHere(launch.command.map(here)),
    environment,
    data,
    ports,
    restarts: launch.restarts ?? true,
    graceMs: GRACE_MS,
    role: 'launched',
    sources: '',
  };
}

/** `node` is the Node.js that runs this. */
export function commandHere([file = '', ...words]: readonly string[]): string[] {
  return file === 'node' ? nodeCommand(...words) : [file, ...words];
}

/**
 * What a container has to itself, replaced by what this machine shares: all its addresses by
 * loopback (nobody else is to come in), a port that it listens on by its own here, the place of its
 * data by the folder.
 */
function ofThisMachine(
  text: string,
  {
    ports,
    data,
    place,
  }: { ports: Record<string, number>; data: string | null; place?: string | undefined },
): string {
  const address = text.replace(/\b0\.0\.0\.0\b/g, '127.0.0.1');
  const withPort = address.replace(
    /(^|127\.0\.0\.1):(\d+)$/,
    (whole, host: string, port: string) =>
      ports[port] === undefined ? whole : `${host}:${ports[port]}`,
  );
  if (data === null || place === undefined) return withPort;
  const isIn = withPort === place || withPort.startsWith(`${place}/`);
  return isIn ? `${data}${withPort.slice(place.length)}` : withPort;
}
