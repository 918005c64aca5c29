/**
 * A lab as processes of a test's own: a state folder, ports that are free, and nothing of what the
 * developer's environment says. Bringing it up and down is the test's, by the lab's own commands.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '#lab/config.ts';
import { Docker } from '#lab/docker.ts';
import { labFiles } from '#lab/paths.ts';
import { otherPort } from '#lab/ports.ts';
import { Programs } from '#lab/process.ts';
import type { LabContext } from '#lab/setup.ts';

/** Removing its state folder (`files.state`) is the caller's. */
export async function labOfItsOwn(): Promise<LabContext> {
  const ports: number[] = [];
  for (let count = 0; count < 4; count += 1) ports.push(await otherPort(ports));
  const [api, link, collector, toxiproxy] = ports.map(String);
  const config = readConfig(
    {
      HOLDFAST_GROUND: 'process',
      HOLDFAST_API_PORT: api,
      HOLDFAST_LINK_PORT: link,
      HOLDFAST_STATUS_PORT: collector,
      HOLDFAST_TOXIPROXY_PORT: toxiproxy,
      HOLDFAST_TOXIPROXY_PROGRAM: process.env.HOLDFAST_TOXIPROXY_PROGRAM,
    },
    '/nonexistent',
  );
  const { signal } = new AbortController();
  const programs = new Programs(signal);
  return {
    config,
    programs,
    docker: new Docker(programs),
    files: labFiles(mkdtempSync(join(tmpdir(), 'holdfast-lab-'))),
    signal,
  };
}
