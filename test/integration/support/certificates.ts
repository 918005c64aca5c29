/** The certificates of one stack, made for it, and brought into its containers. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { issue, makeAuthority, type Purpose, validFor } from '#lab/certificates.ts';
import type { ServiceContainer } from './container.ts';

/** What the server's certificate is for; the collector dials Toxiproxy. */
export const SERVERNAME = 'server';

const FOLDER = '/tls';

export const TLS_FILES = {
  cert: `${FOLDER}/cert.pem`,
  key: `${FOLDER}/key.pem`,
  ca: `${FOLDER}/ca.pem`,
} as const;

export class Certificates {
  readonly #ca = makeAuthority('a CA of the tests', validFor(1));

  /** By a folder of this machine: nothing can be copied into a container that is read-only. */
  give(container: ServiceContainer, purpose: Purpose, folder: string): ServiceContainer {
    const { cert, key } = issue(this.#ca, purpose, [SERVERNAME], validFor(1));
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries({ cert, key, ca: this.#ca.cert })) {
      writeFileSync(join(folder, `${name}.pem`), text, { mode: 0o444 });
    }
    return container.withReadOnly(folder, FOLDER);
  }
}
