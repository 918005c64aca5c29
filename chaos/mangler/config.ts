/** The mangler's settings. `main.ts` reads them; docs/configuration.md is made from this table. */
import { z } from 'zod';
import {
  parseServerAddress,
  SERVER_ADDRESS_RULE,
  type ServerAddress,
} from '#collector/producer/address.ts';
import { integerSetting, type Setting, type Settings, textSetting } from '#protocol/settings.ts';

const upstream: Setting<ServerAddress> = {
  name: 'HOLDFAST_MANGLER_UPSTREAM',
  text: 'Where it passes connections on to: host and port.',
  rule: SERVER_ADDRESS_RULE,
  default: '127.0.0.1:9000',
  schema: z.string().transform((text, context): ServerAddress => {
    const address = parseServerAddress(text);
    if (address !== undefined) return address;
    context.addIssue('no address');
    return z.NEVER;
  }),
};

export const MANGLER_SETTINGS = {
  host: textSetting({
    name: 'HOLDFAST_MANGLER_HOST',
    text: 'Address on which it takes connections.',
    default: '127.0.0.1',
    rule: 'an address of this machine',
  }),
  port: integerSetting({
    name: 'HOLDFAST_MANGLER_PORT',
    text: 'Port on which it takes connections. 0: any free one.',
    default: 9_005,
    min: 0,
    max: 65_535,
  }),
  upstream,
  controlHost: textSetting({
    name: 'HOLDFAST_MANGLER_CONTROL_HOST',
    text: 'Address of its control API, which asks nobody who is calling.',
    default: '127.0.0.1',
    rule: 'an address of this machine',
  }),
  controlPort: integerSetting({
    name: 'HOLDFAST_MANGLER_CONTROL_PORT',
    text: 'Port of its control API. 0: any free one.',
    default: 9_006,
    min: 0,
    max: 65_535,
  }),
  connectionsMax: integerSetting({
    name: 'HOLDFAST_MANGLER_CONNECTIONS_MAX',
    text: 'Connections at a time; more are closed at once.',
    default: 256,
    min: 1,
    max: 4_096,
  }),
} as const;

export type ManglerSettings = Settings<typeof MANGLER_SETTINGS>;
