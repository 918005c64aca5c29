/**
 * The collector's settings: every variable with its default, rule and text. `main.ts` reads them;
 * docs/configuration.md is made from this table.
 */
import { z } from 'zod';
import { COLLECTOR_ID_RULE, isCollectorId } from '#protocol/identity.ts';
import { TOKEN_BYTES_MIN } from '#protocol/limits.ts';
import {
  choiceSetting,
  integerSetting,
  type Setting,
  type Settings,
  secretSetting,
  textSetting,
} from '#protocol/settings.ts';
import { parseServerAddress, SERVER_ADDRESS_RULE, type ServerAddress } from './producer/address.ts';
import { TLS_SETTINGS } from './tls.ts';

const KIB = 1_024;
const MIB = 1_024 ** 2;
const GIB = 1_024 ** 3;

const server: Setting<ServerAddress> = {
  name: 'HOLDFAST_SERVER',
  text: 'Where the server takes frames: host and port.',
  rule: SERVER_ADDRESS_RULE,
  default: '127.0.0.1:9004',
  schema: z.string().transform((text, context): ServerAddress => {
    const address = parseServerAddress(text);
    if (address !== undefined) return address;
    context.addIssue('no address');
    return z.NEVER;
  }),
};

const collectorId: Setting<string | undefined> = {
  name: 'HOLDFAST_COLLECTOR_ID',
  text: 'Name of this collector at the server. Without it one is made and kept with the queue.',
  rule: COLLECTOR_ID_RULE,
  default: undefined,
  optional: true,
  schema: z.string().refine(isCollectorId),
};

export const COLLECTOR_SETTINGS = {
  server,
  token: secretSetting({
    name: 'HOLDFAST_TOKEN',
    text: 'Secret that collectors and server share.',
    bytesMin: TOKEN_BYTES_MIN,
  }),
  ...TLS_SETTINGS,
  collectorId,
  queuePath: textSetting({
    name: 'HOLDFAST_QUEUE_PATH',
    text: 'Directory of the queue; made when it is not there. One collector at a time.',
    default: './holdfast-queue',
    rule: 'a path',
  }),
  queueLimitBytes: integerSetting({
    name: 'HOLDFAST_QUEUE_LIMIT_BYTES',
    text: 'Disk that the queue may take, in bytes.',
    default: GIB,
    min: 64 * KIB,
    max: 1_024 * GIB,
  }),
  queueWhenFull: choiceSetting({
    name: 'HOLDFAST_QUEUE_WHEN_FULL',
    text: 'At that limit, drop-oldest: the oldest frames are given up and declared as evicted. refuse: new samples are not taken; they are counted and logged.',
    default: 'drop-oldest',
    choices: ['drop-oldest', 'refuse'],
  }),
  queueMaxAgeMs: integerSetting({
    name: 'HOLDFAST_QUEUE_MAX_AGE_MS',
    text: 'Frames that wait for longer are given up and declared as expired, in milliseconds; up to a second late, or 1/64 of it. By time since the append that no change of the clock moves; for what is found at a start, since then. 0: frames never expire.',
    default: 0,
    min: 0,
    max: 31_536_000_000,
  }),
  drainOrder: choiceSetting({
    name: 'HOLDFAST_DRAIN_ORDER',
    text: 'What leaves first after an outage: the oldest frames, or live: new ones, and the backlog beside them.',
    default: 'oldest',
    choices: ['oldest', 'live'],
  }),
  backlogSharePercent: integerSetting({
    name: 'HOLDFAST_BACKLOG_SHARE_PERCENT',
    text: 'With the order live: how much of the link the backlog has while new frames wait too, in percent.',
    default: 50,
    min: 1,
    max: 99,
  }),
  flushIntervalMs: integerSetting({
    name: 'HOLDFAST_FLUSH_INTERVAL_MS',
    text: 'How long a frame may wait for others to share a message with, in milliseconds; 0: it leaves at once.',
    default: 0,
    min: 0,
    max: 60_000,
  }),
  compression: choiceSetting({
    name: 'HOLDFAST_COMPRESSION',
    text: 'auto: frames are compressed on the way where the link is what limits, and where it pays. off: never.',
    default: 'auto',
    choices: ['auto', 'off'],
  }),
  keepSettledBytes: integerSetting({
    name: 'HOLDFAST_KEEP_SETTLED_BYTES',
    text: "Of the queue's disk, what frames that the server has confirmed may take, in bytes: they are sent again should the server lose them. They are the first to go when the queue needs room; 0 keeps none.",
    default: 64 * MIB,
    min: 0,
    max: 1_024 * GIB,
  }),
  keepSettledMs: integerSetting({
    name: 'HOLDFAST_KEEP_SETTLED_MS',
    text: 'How long confirmed frames are kept at most, in milliseconds; after a restart anew. 0 keeps none.',
    default: 3_600_000,
    min: 0,
    max: 604_800_000,
  }),
  sampleIntervalMs: integerSetting({
    name: 'HOLDFAST_SAMPLE_INTERVAL_MS',
    text: 'Time between two samples, in milliseconds.',
    default: 1_000,
    min: 100,
    max: 3_600_000,
  }),
  statusHost: textSetting({
    name: 'HOLDFAST_STATUS_HOST',
    text: 'Address of /status, /metrics, /healthz, /readyz and the page.',
    default: '127.0.0.1',
    rule: 'an address or a host name of this machine',
    pattern: /^[A-Za-z0-9_.:-]+$/,
  }),
  statusPort: integerSetting({
    name: 'HOLDFAST_STATUS_PORT',
    text: 'Port of the same; 0 takes a free one.',
    default: 9_464,
    min: 0,
    max: 65_535,
  }),
  logLevel: choiceSetting({
    name: 'HOLDFAST_LOG_LEVEL',
    text: 'Least serious level that is logged.',
    default: 'info',
    choices: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
  }),
  stopDeadlineMs: integerSetting({
    name: 'HOLDFAST_STOP_DEADLINE_MS',
    text: 'On a stop signal: time to bring waiting frames over, in milliseconds. The rest is kept.',
    default: 3_000,
    min: 0,
    max: 60_000,
  }),
} as const;

export type CollectorSettings = Settings<typeof COLLECTOR_SETTINGS>;
