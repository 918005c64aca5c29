/** The lab's settings: sources and their order, and mistakes reported all at once. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readConfig } from '#lab/config.ts';
import type { LabError } from '#lab/errors.ts';

let folder: string;
let dotEnv: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-config-'));
  dotEnv = join(folder, '.env');
});

afterEach(() => rmSync(folder, { recursive: true }));

function failure(environment: Record<string, string>): LabError {
  try {
    readConfig(environment, dotEnv);
  } catch (error) {
    return error as LabError;
  }
  throw new Error('the settings were taken');
}

test('an empty environment and no .env give the defaults', () => {
  const config = readConfig({}, dotEnv);
  expect(config).toMatchObject({
    project: 'holdfast',
    apiPort: 8080,
    statusPort: 9464,
    linkPort: 9004,
    toxiproxyPort: 8474,
    noInstall: '0',
  });
});

test('the environment wins over .env, and an empty variable leaves .env in force', () => {
  writeFileSync(dotEnv, 'HOLDFAST_API_PORT=8081\nHOLDFAST_STATUS_PORT=9465\n');
  const config = readConfig({ HOLDFAST_API_PORT: '8082', HOLDFAST_STATUS_PORT: '' }, dotEnv);
  expect(config.apiPort).toBe(8082);
  expect(config.statusPort).toBe(9465);
});

test('what the last set-up chose goes before .env, and the environment before that', () => {
  writeFileSync(dotEnv, 'HOLDFAST_API_PORT=8081\n');
  const made = {
    HOLDFAST_PROJECT: 'mine',
    HOLDFAST_API_PORT: '8090',
    HOLDFAST_STATUS_PORT: '9490',
    HOLDFAST_TOXIPROXY_IMAGE: 'chosen:1',
  };
  const config = readConfig({ HOLDFAST_STATUS_PORT: '9491' }, dotEnv, made);
  expect(config).toMatchObject({ project: 'mine', apiPort: 8090, statusPort: 9491 });
  expect(config.toxiproxyImage).toBeUndefined();
});

test('every bad value is reported at once, with its rule and what it got', () => {
  const error = failure({
    HOLDFAST_API_PORT: '0',
    HOLDFAST_PROJECT: 'Not This',
    HOLDFAST_NO_INSTALL: 'yes',
  });
  expect(error.exitCode).toBe(2);
  expect(error.details).toHaveLength(3);
  expect(error.details.join('\n')).toContain('HOLDFAST_API_PORT must be a whole number from 1');
  expect(error.details.join('\n')).toContain('"Not This"');
});

test('an image name cannot smuggle an option into a command', () => {
  expect(failure({ HOLDFAST_BASE_IMAGE: '--privileged' }).details).toHaveLength(1);
});

test('two services cannot have one port', () => {
  const error = failure({ HOLDFAST_LINK_PORT: '8474' });
  expect(error.details).toEqual([
    'HOLDFAST_LINK_PORT and HOLDFAST_TOXIPROXY_PORT must differ; both are 8474',
  ]);
});
