/**
 * The server's settings: every variable with its default, rule and text. `main.ts` reads them;
 * docs/configuration.md is made from this table.
 */

import { z } from 'zod';
import { TOKEN_BYTES_MIN } from '#protocol/limits.ts';
import {
  choiceSetting,
  integerSetting,
  optionalSecretSetting,
  optionalTextSetting,
  type Setting,
  type SettingProblem,
  type Settings,
  SettingsError,
  textSetting,
} from '#protocol/settings.ts';
import { DEFAULT_CAPS } from './ingest/caps.ts';

const apiHosts: Setting<readonly string[]> = {
  name: 'HOLDFAST_API_HOSTS',
  text: 'Names by which the API may be asked for, beside those of loopback, HOLDFAST_API_HOST, and the address at which a request comes in. Others are refused, for a page of theirs could read it through a browser (DNS rebinding).',
  rule: 'host names or addresses without ports, separated by commas',
  default: '',
  schema: z
    .string()
    .transform((text) =>
      text
        .split(',')
        .map((name) => name.trim())
        .filter(Boolean),
    )
    .refine((names) => names.every((name) => HOST_NAME.test(name))),
};

/** A name, an IPv4 or an IPv6 address. */
const HOST_NAME = /^[A-Za-z0-9._:-]{1,253}$/;

/** `http://host:port`, as it is used: without a slash at the end. */
const labToxiproxy: Setting<string | undefined> = {
  ...optionalTextSetting({
    name: 'HOLDFAST_LAB_TOXIPROXY',
    text: "URL of Toxiproxy's API. Set in the lab alone, by the lab: then whoever may ask the API may cut the link, slow it and restore it (/api/v1/lab), and the faults of the link are noted.",
    rule: 'a URL such as http://toxiproxy:8474',
    pattern: /./,
  }),
  schema: z
    .string()
    .regex(/^https?:\/\/[A-Za-z0-9._:[\]-]+\/?$/)
    .transform((text) => text.replace(/\/$/, '')),
};

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
  apiToken: optionalSecretSetting({
    name: 'HOLDFAST_API_TOKEN',
    text: 'Secret that the API and the page want to be shown, health aside: as a bearer token, or as the password of HTTP Basic, whatever the user. Without it whoever reaches the port may read.',
    bytesMin: TOKEN_BYTES_MIN,
  }),
  apiHosts,
  storePath: textSetting({
    name: 'HOLDFAST_STORE_PATH',
    text: 'Directory of the store; made when it is not there.',
    default: './holdfast-store',
    rule: 'a path',
  }),
  retentionMs: integerSetting({
    name: 'HOLDFAST_RETENTION_MS',
    text: 'How long frames are kept after they were received, in milliseconds; 0 keeps them. Counted from their arrival, so that a long outage costs nothing, nor a wrong clock of a collector.',
    default: 0,
    min: 0,
    max: 3_155_760_000_000,
  }),
  retentionBytes: integerSetting({
    name: 'HOLDFAST_RETENTION_BYTES',
    text: 'How much the store may take, in bytes, its log of some 8 to 32 MiB not counted; past it the frames that arrived first are removed. 0 keeps them.',
    default: 0,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
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
  tlsCertFile: optionalTextSetting({
    name: 'HOLDFAST_TLS_CERT_FILE',
    text: 'Certificate of the port for collectors, with what leads to its CA, in PEM. With it and its key collectors speak TLS 1.3. Read again when it changes and on SIGHUP, as the other two are.',
    rule: 'a path',
    pattern: /./,
  }),
  tlsKeyFile: optionalTextSetting({
    name: 'HOLDFAST_TLS_KEY_FILE',
    text: 'Private key of that certificate, in PEM, without a passphrase.',
    rule: 'a path',
    pattern: /./,
  }),
  tlsClientCaFile: optionalTextSetting({
    name: 'HOLDFAST_TLS_CLIENT_CA_FILE',
    text: 'With TLS: only collectors with a certificate of this CA come in, beside their token. In PEM.',
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
    text: 'Collectors connected at a time; one more is told to come again later. Each costs a file handle and some 30 kB; lowered at the start where the limit of open files allows no more.',
    default: 2_000,
    min: 1,
    max: 100_000,
  }),
  connectionsPerAddressMax: integerSetting({
    name: 'HOLDFAST_CONNECTIONS_PER_ADDRESS_MAX',
    text: 'The same for one address, so that one host can not have all places. All by default: behind a proxy or a NAT collectors share an address.',
    default: 100_000,
    min: 1,
    max: 100_000,
  }),
  filesReserved: integerSetting({
    name: 'HOLDFAST_FILES_RESERVED',
    text: 'File handles that are kept free of collectors: 64 for the store and the log, the rest for clients of the API. The store must never be short of one.',
    default: 192,
    min: 96,
    max: 10_000,
  }),
  helloMs: integerSetting({
    name: 'HOLDFAST_HELLO_TIMEOUT_MS',
    text: 'How long a connection may take to prove that it holds the token, in milliseconds; with TLS as long for the handshake before it. Long enough for a path of 15 s each way; silent connections cost nobody a place, they go first when places run short.',
    default: DEFAULT_CAPS.helloMs,
    min: 1_000,
    max: 300_000,
  }),
  helloBytesMax: integerSetting({
    name: 'HOLDFAST_HELLO_BYTES_MAX',
    text: 'Largest message before that proof, in bytes. A HELLO with 64 epochs needs 3,734.',
    default: DEFAULT_CAPS.helloBytesMax,
    min: 4_352,
    max: 8_192,
  }),
  messageBytesMax: integerSetting({
    name: 'HOLDFAST_MESSAGE_BYTES_MAX',
    text: 'Largest message behind it, in bytes: so much of a connection is held before anything of it can be used. With less than the default a collector can not get rid of a frame that does not fit: lower it only where payloads are known to be smaller.',
    default: DEFAULT_CAPS.messageBytesMax,
    min: 327_680,
    max: DEFAULT_CAPS.messageBytesMax,
  }),
  decodedBytesMax: integerSetting({
    name: 'HOLDFAST_DECODED_BYTES_MAX',
    text: 'What a compressed message may inflate to, in bytes; checked before it is inflated. As for HOLDFAST_MESSAGE_BYTES_MAX, a frame that does not fit stays with its collector.',
    default: DEFAULT_CAPS.decodedBytesMax,
    min: 851_968,
    max: DEFAULT_CAPS.decodedBytesMax,
  }),
  payloadBytesMax: integerSetting({
    name: 'HOLDFAST_PAYLOAD_BYTES_MAX',
    text: 'Largest payload that is stored, in bytes; frames with a larger one are rejected for good.',
    default: DEFAULT_CAPS.payloadBytesMax,
    min: 1,
    max: 1_048_576,
  }),
  windowBytes: integerSetting({
    name: 'HOLDFAST_WINDOW_BYTES',
    text: 'Bytes that one connection may have on their way into the store, before it has to wait.',
    default: DEFAULT_CAPS.windowBytes,
    min: 1_179_648,
    max: 67_108_864,
  }),
  windowFrames: integerSetting({
    name: 'HOLDFAST_WINDOW_FRAMES',
    text: 'Frames that one connection may have on their way into the store, before it has to wait: small ones cost more than their bytes.',
    default: DEFAULT_CAPS.windowFrames,
    min: 4_096,
    max: 1_048_576,
  }),
  ingestBytesMax: integerSetting({
    name: 'HOLDFAST_INGEST_BYTES_MAX',
    text: 'Bytes that all connections together may hold in memory, received and not yet on disk or sent and not yet read. Past it those with a backlog wait in line; a few frames of anybody are still taken.',
    default: 67_108_864,
    min: 8_388_608,
    max: 17_179_869_184,
  }),
  stallMs: integerSetting({
    name: 'HOLDFAST_STALL_TIMEOUT_MS',
    text: 'How long a connection may stand still in the middle of a message, in milliseconds. A link may be slow, but it has to move: half a message holds memory.',
    default: DEFAULT_CAPS.stallMs,
    min: 1_000,
    max: 300_000,
  }),
  eventClientsMax: integerSetting({
    name: 'HOLDFAST_EVENT_CLIENTS_MAX',
    text: 'Readers of /api/v1/events at a time; more get 503.',
    default: 100,
    min: 1,
    max: 10_000,
  }),
  series: choiceSetting({
    name: 'HOLDFAST_SERIES',
    text: 'Whether the numbers of JSON payloads are kept as series for charts (/api/v1/series), in `series.db` beside the store. Made from the store: it can be switched off and on, or removed.',
    default: 'on',
    choices: ['on', 'off'],
  }),
  seriesPerCollectorMax: integerSetting({
    name: 'HOLDFAST_SERIES_PER_COLLECTOR_MAX',
    text: 'Series of one collector that are charted; numbers of further ones are counted and left out.',
    default: 2_000,
    min: 1,
    max: 20_000,
  }),
  seriesBucketsMax: integerSetting({
    name: 'HOLDFAST_SERIES_BUCKETS_MAX',
    text: 'Time buckets of one collector that are kept at each resolution but the coarsest, newest first: two days of seconds, a third of a year of minutes.',
    default: 172_800,
    min: 1_000,
    max: 10_000_000,
  }),
  labToxiproxy,
  labLinkExit: optionalTextSetting({
    name: 'HOLDFAST_LAB_LINK_EXIT',
    text: 'In the lab: where a whole link leads to, as Toxiproxy dials it. Without it a link that was led elsewhere counts as whole.',
    rule: 'host:port',
    pattern: /^[A-Za-z0-9._-]+:\d{1,5}$/,
  }),
  labCollectorPage: optionalTextSetting({
    name: 'HOLDFAST_LAB_COLLECTOR_PAGE',
    text: "In the lab: where a browser finds the collector's own page, which is there while the link is cut.",
    rule: 'a URL such as http://127.0.0.1:9464/',
    pattern: /^https?:\/\/[^\s"<>]+$/,
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
  const { tlsCertFile, tlsKeyFile, tlsClientCaFile } = settings;
  if ((tlsCertFile === undefined) !== (tlsKeyFile === undefined)) {
    const { name } =
      tlsCertFile === undefined ? SERVER_SETTINGS.tlsCertFile : SERVER_SETTINGS.tlsKeyFile;
    problems.push({ name, rule: 'given too: TLS needs a certificate and its key', got: 'nothing' });
  } else if (tlsCertFile === undefined && tlsClientCaFile !== undefined) {
    const { name } = SERVER_SETTINGS.tlsCertFile;
    const rule = 'given too: client certificates are asked for in TLS alone';
    problems.push({ name, rule, got: 'nothing' });
  }
  if (problems.length > 0) throw new SettingsError(problems);
}
