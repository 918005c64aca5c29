/** The certificates of one stack, made for it, and brought into its containers. */
import type { GenericContainer } from 'testcontainers';
import { issue, makeAuthority, type Purpose, validFor } from '#lab/certificates.ts';

/** What the server's certificate is for; the collector dials Toxiproxy. */
export const SERVERNAME = 'server';

export const TLS_FILES = {
  cert: '/etc/holdfast/cert.pem',
  key: '/etc/holdfast/key.pem',
  ca: '/etc/holdfast/ca.pem',
} as const;

/** Readable for the container's user, who is not the one that copies. */
const MODE = 0o444;

export class Certificates {
  readonly #ca = makeAuthority('a CA of the tests', validFor(1));

  give<C extends GenericContainer>(container: C, purpose: Purpose): C {
    const { cert, key } = issue(this.#ca, purpose, [SERVERNAME], validFor(1));
    const contents = { cert, key, ca: this.#ca.cert };
    container.withCopyContentToContainer(
      Object.entries(TLS_FILES).map(([part, target]) => ({
        content: contents[part as keyof typeof contents],
        target,
        mode: MODE,
      })),
    );
    return container;
  }
}
