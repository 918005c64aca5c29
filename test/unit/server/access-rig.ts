/** An Access with everything switched on, for what it tells in metrics. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { Registry } from 'prom-client';
import { issue, makeAuthority, validFor } from '#lab/certificates.ts';
import { Access } from '#server/access/access.ts';
import { TokensFile } from '#server/access/tokens-file.ts';

/** Its metrics, as they are at its start. */
export function accessMetrics(): Registry {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-access-'));
  const write = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  const ca = makeAuthority('a CA', validFor(1));
  const { cert, key } = issue(ca, 'server', ['server'], validFor(1));
  const registry = new Registry();
  try {
    const access = new Access({
      settings: {
        token: undefined,
        tokensFile: write('tokens', new TokensFile().format()),
        tlsCertFile: write('cert.pem', cert),
        tlsKeyFile: write('key.pem', key),
        tlsClientCaFile: write('ca.pem', ca.cert),
        helloMs: 1_000,
      },
      log: pino({ level: 'silent' }),
      registry,
      after: () => () => {},
    });
    access.close();
    return registry;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
