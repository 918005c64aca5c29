/**
 * Where the lab keeps its things. Everything generated lives in two ignored folders of the
 * checkout: .lab/ is this lab's state (secret, generated environment, lock), .tools/ is cache
 * (Node.js, staged packages): removing .tools/ costs only time.
 */
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const tools = join(root, '.tools');

/**
 * Tells this checkout from others on the machine, which may use the same engine at the same time:
 * what one cleans up must not be what another is testing with.
 */
export const CHECKOUT = createHash('sha256').update(root).digest('hex').slice(0, 8);

/** What a lab's state consists of. */
export interface LabFiles {
  readonly state: string;
  /** What the last set-up chose, for Compose and the tests. */
  readonly labEnv: string;
  /** On what the lab runs, since the last `up`. */
  readonly ground: string;
  readonly secrets: string;
  readonly token: string;
  /** The server's copy of it: chaos changes the server's alone. */
  readonly serverToken: string;
  readonly tls: string;
  /** All of the lab that runs as processes. */
  readonly process: string;
}

export function labFiles(state: string): LabFiles {
  return {
    state,
    labEnv: join(state, 'lab.env'),
    ground: join(state, 'ground'),
    secrets: join(state, 'secrets'),
    token: join(state, 'secrets', 'token'),
    serverToken: join(state, 'secrets', 'server-token'),
    tls: join(state, 'tls'),
    process: join(state, 'process'),
  };
}

export const PATHS = {
  root,
  composeFile: join(root, 'docker-compose.yml'),
  dockerfile: join(root, 'Dockerfile'),
  dotEnv: join(root, '.env'),
  results: join(root, 'test-output'),
  tools,
  ...labFiles(join(root, '.lab')),
} as const;
