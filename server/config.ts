/**
 * The server's settings: every variable with its default, rule and text. `main.ts` reads them;
 * docs/configuration.md is made from this table.
 */

import { TOKEN_BYTES_MIN } from '#protocol/limits.ts';
import {
  choiceSetting,
  integerSetting,
  type Settings,
  secretSetting,
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
  token: secretSetting({
    name: 'HOLDFAST_TOKEN',
    text: 'Secret that collectors and server share.',
    bytesMin: TOKEN_BYTES_MIN,
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
