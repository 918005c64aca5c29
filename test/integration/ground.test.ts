/**
 * The image as Compose runs it: an unprivileged user who can write the queue, the store and nothing
 * else, from the very first start on fresh volumes, and who can read a secret that other users of
 * the host cannot.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GenericContainer, type StartedTestContainer } from 'testcontainers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LABELS } from './support/labels.ts';

let host: string;
let container: StartedTestContainer;

beforeAll(async () => {
  const image = process.env.HOLDFAST_IMAGE;
  if (!image) throw new Error('HOLDFAST_IMAGE is not set: run ./holdfast test-integration');
  host = mkdtempSync(join(tmpdir(), 'holdfast-secret-'));
  const secrets = join(host, 'secrets');
  mkdirSync(secrets, { mode: 0o700 });
  writeFileSync(join(secrets, 'token'), 'a token');
  chmodSync(join(secrets, 'token'), 0o444);
  // Bound as Compose binds a secret; anonymous volumes begin like named ones, from the image.
  container = await new GenericContainer(image)
    .withLabels(LABELS)
    .withCommand(['node', '-e', 'setInterval(() => {}, 1e6)'])
    .withDroppedCapabilities('ALL')
    .withBindMounts([{ source: join(secrets, 'token'), target: '/run/secrets/token', mode: 'ro' }])
    .withTmpFs({ '/tmp': 'size=1m,mode=1777' })
    .start();
});

afterAll(async () => {
  await container?.stop();
  rmSync(host, { recursive: true, force: true });
});

async function evaluate(script: string): Promise<string> {
  const { exitCode, output } = await container.exec(['node', '-p', script]);
  return exitCode === 0 ? output.trim() : `failed: ${output.match(/E[A-Z]{4,}/)?.[0] ?? output}`;
}

const write = (path: string) => `require('fs').writeFileSync('${path}/probe', 'x'); 'written'`;

test('the image’s own user is uid 1000', async () => {
  expect(await evaluate('process.getuid()')).toBe('1000');
});

test.each(['/queue', '/store'])('%s belongs to that user alone', async (path) => {
  expect(await evaluate(write(path))).toBe('written');
  const mode = `(require('fs').statSync('${path}').mode & 0o777).toString(8)`;
  expect(await evaluate(mode)).toBe('700');
});

test.each(['/app', '/app/collector', '/etc', '/'])('%s cannot be written', async (path) => {
  expect(await evaluate(write(path))).toMatch(/^failed: E(ACCES|ROFS)/);
});

test('the secret can be read, and not changed', async () => {
  expect(await evaluate("require('fs').readFileSync('/run/secrets/token', 'utf8')")).toBe(
    'a token',
  );
  const change = "require('fs').writeFileSync('/run/secrets/token', 'x')";
  expect(await evaluate(change)).toMatch(/^failed: E(ACCES|ROFS)/);
});
