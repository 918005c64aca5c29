/**
 * The lab's settings: every variable that set-up reads, in one table. Values come from the
 * environment, then from an optional .env file in the checkout, then from the defaults here.
 * Not here: the programs' own settings (collector/, server/), and where the lab keeps its files.
 */
import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { EXIT, LabError } from '#lab/errors.ts';
import {
  choiceSetting,
  type Environment,
  integerSetting,
  optionalTextSetting,
  readSettings,
  type Setting,
  type Settings,
  SettingsError,
  textSetting,
} from '#protocol/settings.ts';

const IMAGE_RULE = 'an image name, such as node:26-bookworm-slim';
const IMAGE_PATTERN = /^\w[\w.:/@-]{0,254}$/;

function portSetting(name: string, text: string, usual: number) {
  return integerSetting({ name, text, default: usual, min: 1, max: 65_535 });
}

const ground: Setting<'compose' | 'process' | undefined> = {
  name: 'HOLDFAST_GROUND',
  text: 'What the lab runs on: containers, or processes on loopback under a supervisor (Linux). Without it: what the last `up` chose, else containers, else processes where no Docker engine can be had.',
  rule: 'one of compose, process',
  default: undefined,
  optional: true,
  schema: z.enum(['compose', 'process']) as unknown as z.ZodType<
    'compose' | 'process' | undefined,
    string
  >,
};

export const LAB_SETTINGS = {
  ground,
  project: textSetting({
    name: 'HOLDFAST_PROJECT',
    text: 'Name of the Compose project. A second lab here needs its own, and its own ports.',
    default: 'holdfast',
    rule: 'lower case letters, digits, _ and -, a letter or digit first',
    pattern: /^[a-z0-9][a-z0-9_-]{0,62}$/,
  }),
  apiPort: portSetting('HOLDFAST_API_PORT', 'Port on 127.0.0.1 of the server API and page.', 8080),
  statusPort: portSetting(
    'HOLDFAST_STATUS_PORT',
    'Port on 127.0.0.1 of the collector status.',
    9464,
  ),
  linkPort: portSetting(
    'HOLDFAST_LINK_PORT',
    'Port on 127.0.0.1 of the entrance of the link.',
    9004,
  ),
  toxiproxyPort: portSetting(
    'HOLDFAST_TOXIPROXY_PORT',
    'Port on 127.0.0.1 of the Toxiproxy API.',
    8474,
  ),
  baseImage: optionalTextSetting({
    name: 'HOLDFAST_BASE_IMAGE',
    text: 'Base image with Node.js 26, instead of the official one or its stand-in.',
    rule: IMAGE_RULE,
    pattern: IMAGE_PATTERN,
  }),
  toxiproxyImage: optionalTextSetting({
    name: 'HOLDFAST_TOXIPROXY_IMAGE',
    text: 'Toxiproxy image, instead of the official one or its stand-in.',
    rule: IMAGE_RULE,
    pattern: IMAGE_PATTERN,
  }),
  toxiproxyProgram: optionalTextSetting({
    name: 'HOLDFAST_TOXIPROXY_PROGRAM',
    text: "Toxiproxy's server program where the lab runs as processes, instead of one that is found, taken from its image, or built.",
    rule: 'a path',
    pattern: /./,
  }),
  chromium: optionalTextSetting({
    name: 'HOLDFAST_CHROMIUM',
    text: 'Chromium, or Chrome, for the tests of the page, instead of one that is found or installed.',
    rule: 'a path',
    pattern: /./,
  }),
  tls: choiceSetting({
    name: 'TLS',
    text: '1: the link between collector and server is TLS 1.3, with certificates made here for both.',
    default: '0',
    choices: ['0', '1'],
  }),
  noInstall: choiceSetting({
    name: 'HOLDFAST_NO_INSTALL',
    text: '1: install nothing on this machine, say what to run instead.',
    default: '0',
    choices: ['0', '1'],
  }),
} as const;

export type LabConfig = Settings<typeof LAB_SETTINGS>;

/** The ports that the lab publishes: the setting of each, and who needs it. */
export const PORTS = [
  { key: 'apiPort', purpose: 'the server API and page' },
  { key: 'statusPort', purpose: 'the collector status' },
  { key: 'linkPort', purpose: 'the entrance of the link' },
  { key: 'toxiproxyPort', purpose: 'the Toxiproxy API' },
] as const satisfies readonly { key: keyof LabConfig; purpose: string }[];

/** Which lab and where: what a command on a running lab must take from that lab's set-up. */
const PLACE = ['project', ...PORTS.map(({ key }) => key)] as const;

/**
 * Reads the settings.
 * @param made what the last set-up chose, for commands on a lab that is there: its project and
 *   ports go before .env and the defaults, so that they meet it though those have changed since.
 * @throws LabError `bad_configuration` naming every bad variable, its rule and what it got.
 */
export function readConfig(
  environment: Environment,
  dotEnvPath: string,
  made: Environment = {},
): LabConfig {
  const given: Record<string, string> = {};
  const fromFile = existsSync(dotEnvPath) ? parseEnv(readFileSync(dotEnvPath, 'utf8')) : {};
  const names = PLACE.map((key) => LAB_SETTINGS[key].name);
  const place = Object.fromEntries(names.map((name) => [name, made[name]]));
  for (const source of [fromFile, place, environment]) {
    for (const [name, value] of Object.entries(source)) if (value) given[name] = value;
  }
  const config = parse(given);
  const collisions = PORTS.flatMap(({ key }, index) =>
    PORTS.slice(index + 1)
      .filter((other) => config[other.key] === config[key])
      .map((other) => {
        const names = `${LAB_SETTINGS[key].name} and ${LAB_SETTINGS[other.key].name}`;
        return `${names} must differ; both are ${config[key]}`;
      }),
  );
  if (collisions.length > 0) throw badConfiguration(collisions);
  return config;
}

function parse(given: Environment): LabConfig {
  try {
    return readSettings(LAB_SETTINGS, given, (path) => readFileSync(path, 'utf8'));
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    throw badConfiguration(
      error.problems.map(({ name, rule, got }) => `${name} must be ${rule}; got ${got}`),
    );
  }
}

function badConfiguration(details: readonly string[]): LabError {
  return new LabError({
    code: 'bad_configuration',
    exitCode: EXIT.usage,
    message: 'bad settings (environment or .env); nothing was done',
    details,
  });
}
