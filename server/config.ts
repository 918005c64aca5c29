/**
 * The server's settings: every variable with its default, rule and text. `main.ts` reads them;
 * docs/configuration.md is made from this table.
 */

import { TOKEN_BYTES_MIN } from '#protocol/limits.ts';
import {
  choiceSetting,
  integerSetting,
  optionalSecretSetting,
  optionalTextSetting,
  type SettingProblem,
  type Settings,
  SettingsError,
  textSetting,
} from '#protocol/settings.ts';

export const SERVER_SETTINGS = {
  ingestHost: textSetting({
    name: 'HOLDFAST_INGEST_HOST',
    text: 'Address that collectors connect to.',
    default: '127.0.0.1',
    rule: 'an address or a host name of this machine',
    pattern: /^[A-Za-z0-9_.:-]+$/,
  }),
  ingestPort: integerSetting({
    name: 'HOLDFAST_INGEST_PORT',
    text: 'Port that collectors connect to; 0 takes a free one.',
    default: 9000,
    min: 0,
    max: 65_535,
  }),
  apiHost: textSetting({
    name: 'HOLDFAST_API_HOST',
    text: 'Address of the API and the page.',
    default: '127.0.0.1',
    rule: 'an address or a host name of this machine',
    pattern: /^[A-Za-z0-9_.:-]+$/,
  }),
  apiPort: integerSetting({
    name: 'HOLDFAST_API_PORT',
    text: 'Port of the API and the page; 0 takes a free one.',
    default: 8080,
    min: 0,
    max: 65_535,
  }),
  storePath: textSetting({
    name: 'HOLDFAST_STORE_PATH',
    text: 'Directory of the store; made when it is not there.',
    default: './holdfast-store',
    rule: 'a path',
  }),
  token: optionalSecretSetting({
    name: 'HOLDFAST_TOKEN',
    text: 'Secret that all collectors and the server share. This or HOLDFAST_TOKENS_FILE must be given.',
    bytesMin: TOKEN_BYTES_MIN,
  }),
  tokensFile: optionalTextSetting({
    name: 'HOLDFAST_TOKENS_FILE',
    text: 'File with the keys of each collector, made by `./holdfast server token`; read again when it changes and on SIGHUP. Where it is given nobody else comes in, with the shared token neither.',
    rule: 'a path',
    pattern: /./,
  }),
  logLevel: choiceSetting({
    name: 'HOLDFAST_LOG_LEVEL',
    text: 'Least serious level that is logged.',
    default: 'info',
    choices: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
  }),
  connectionsMax: integerSetting({
    name: 'HOLDFAST_CONNECTIONS_MAX',
    text: 'Collector connections at a time; more are closed as they come. Each costs a file handle.',
    default: 2_000,
    min: 1,
    max: 100_000,
  }),
  payloadBytesMax: integerSetting({
    name: 'HOLDFAST_PAYLOAD_BYTES_MAX',
    text: 'Largest payload that is stored, in bytes; frames with a larger one are rejected for good.',
    default: 1_048_576,
    min: 1,
    max: 1_048_576,
  }),
  windowBytes: integerSetting({
    name: 'HOLDFAST_WINDOW_BYTES',
    text: 'Bytes that one connection may have on their way into the store, before it has to wait.',
    default: 4_194_304,
    min: 1_179_648,
    max: 67_108_864,
  }),
  eventClientsMax: integerSetting({
    name: 'HOLDFAST_EVENT_CLIENTS_MAX',
    text: 'Readers of /api/v1/events at a time; more get 503.',
    default: 100,
    min: 1,
    max: 10_000,
  }),
} as const;

export type ServerSettings = Settings<typeof SERVER_SETTINGS>;

/** What settings must be to each other. Throws SettingsError that names all that isn't right. */
export function assertConsistent(settings: ServerSettings): void {
  const problems: SettingProblem[] = [];
  const { token, tokensFile } = settings;
  if (token === undefined && tokensFile === undefined) {
    const { name, rule } = SERVER_SETTINGS.token;
    problems.push({ name, rule: `${rule}, or HOLDFAST_TOKENS_FILE be given`, got: 'neither' });
  }
  if (problems.length > 0) throw new SettingsError(problems);
}
