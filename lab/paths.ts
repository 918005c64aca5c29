/**
 * Where the lab keeps its things. Everything generated lives in two ignored folders of the
 * checkout: .lab/ is this lab's state (secret, generated environment, lock), .tools/ is cache
 * (Node.js, staged packages): removing .tools/ costs only time.
 */
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const state = join(root, '.lab');
const tools = join(root, '.tools');

/**
 * Tells this checkout from others on the machine, which may use the same engine at the same time:
 * what one cleans up must not be what another is testing with.
 */
export const CHECKOUT = createHash('sha256').update(root).digest('hex').slice(0, 8);

export const PATHS = {
  root,
  composeFile: join(root, 'docker-compose.yml'),
  dockerfile: join(root, 'Dockerfile'),
  dotEnv: join(root, '.env'),
  results: join(root, 'test-output'),
  tools,
  state,
  labEnv: join(state, 'lab.env'),
  secrets: join(state, 'secrets'),
  token: join(state, 'secrets', 'token'),
  tls: join(state, 'tls'),
} as const;
