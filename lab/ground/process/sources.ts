/** Hashes of sources: other sources are another program, which `up` starts in place of the old one. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PATHS } from '#lab/paths.ts';
import { contentTag } from '#lab/staging.ts';

/** Of everything that the services and what is launched are made of, and their Node.js. */
export function programSources(): string {
  return contentTag(PATHS.root, process.version, process.arch);
}

/** Of the supervisor itself. */
export function supervisorSources(): string {
  const hash = createHash('sha256').update(process.version);
  for (const name of readdirSync(import.meta.dirname).sort()) {
    hash.update(name).update(readFileSync(join(import.meta.dirname, name)));
  }
  return hash.digest('hex').slice(0, 12);
}
