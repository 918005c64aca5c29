/**
 * The load source's settings: those of the collector that it has in common with it, and its own.
 * `main.ts` reads them; docs/configuration.md is made from this table.
 */
import { z } from 'zod';
import { COLLECTOR_SETTINGS } from '#collector/config.ts';
import { TLS_SETTINGS } from '#collector/tls.ts';
import { integerSetting, type Setting, type Settings, textSetting } from '#protocol/settings.ts';
import type { SizeRange } from './payloads.ts';

const PAYLOAD_BYTES_MAX = 65_536;
const SIZES = /^(\d{1,5})(?:-(\d{1,5}))?:(\d{1,6})$/;

/** Mostly small, as telemetry is; large ones rare enough not to rule the bandwidth. */
const DEFAULT_SIZES = '1-64:200,65-512:700,513-4096:95,4097-65536:5';

const sizes: Setting<readonly SizeRange[]> = {
  name: 'HOLDFAST_LOAD_PAYLOADS',
  text: 'Sizes of payloads in bytes, as ranges with the weight of each beside the others.',
  rule: `min-max:weight, several of them separated by commas, sizes from 1 to ${PAYLOAD_BYTES_MAX}, weights of 1 and more`,
  default: DEFAULT_SIZES,
  schema: z.string().transform((text, context): readonly SizeRange[] => {
    const ranges = text.split(',').map(sizeRange);
    if (ranges.every((range) => range !== undefined)) return ranges;
    context.addIssue('no sizes');
    return z.NEVER;
  }),
};

const seed: Setting<number | undefined> = {
  name: 'HOLDFAST_LOAD_SEED',
  text: "Makes the same payloads again. Without it the ledger's is taken, or a random one.",
  rule: 'a whole number from 0 to 4294967295',
  default: undefined,
  optional: true,
  schema: z.string().regex(/^\d+$/).transform(Number).pipe(z.number().max(0xffff_ffff)),
};

export const SOURCE_SETTINGS = {
  server: COLLECTOR_SETTINGS.server,
  token: COLLECTOR_SETTINGS.token,
  ...TLS_SETTINGS,
  collectorId: COLLECTOR_SETTINGS.collectorId,
  queuePath: COLLECTOR_SETTINGS.queuePath,
  queueLimitBytes: COLLECTOR_SETTINGS.queueLimitBytes,
  keepSettledBytes: COLLECTOR_SETTINGS.keepSettledBytes,
  keepSettledMs: COLLECTOR_SETTINGS.keepSettledMs,
  ledgerPath: textSetting({
    name: 'HOLDFAST_LEDGER_PATH',
    text: "File of the ledger, outside the queue's volume. One that exists is continued.",
    default: './holdfast-ledger.jsonl',
    rule: 'a path',
  }),
  rate: integerSetting({
    name: 'HOLDFAST_LOAD_RATE',
    text: 'Frames a second. 0: none, and no ledger; it only brings over what its queue has.',
    default: 200,
    min: 0,
    max: 20_000,
  }),
  sizes,
  incompressiblePercent: integerSetting({
    name: 'HOLDFAST_LOAD_INCOMPRESSIBLE_PERCENT',
    text: 'How many of 100 payloads no compressor gets smaller.',
    default: 50,
    min: 0,
    max: 100,
  }),
  seed,
  framesMax: integerSetting({
    name: 'HOLDFAST_LOAD_FRAMES',
    text: 'Attempts in the whole ledger after which no more are made; 0 for no limit.',
    default: 0,
    min: 0,
    max: 1_000_000_000,
  }),
  durationMs: integerSetting({
    name: 'HOLDFAST_LOAD_DURATION_MS',
    text: 'Time after which this process makes no more attempts, in milliseconds; 0 for no limit.',
    default: 0,
    min: 0,
    max: 86_400_000,
  }),
  statusHost: COLLECTOR_SETTINGS.statusHost,
  statusPort: COLLECTOR_SETTINGS.statusPort,
  logLevel: COLLECTOR_SETTINGS.logLevel,
  stopDeadlineMs: COLLECTOR_SETTINGS.stopDeadlineMs,
} as const;

export type SourceSettings = Settings<typeof SOURCE_SETTINGS>;

function sizeRange(text: string): SizeRange | undefined {
  const parts = SIZES.exec(text);
  if (parts === null) return undefined;
  const [min, max, weight] = [parts[1], parts[2] ?? parts[1], parts[3]].map(Number);
  if (min === undefined || max === undefined || weight === undefined) return undefined;
  const legal = min >= 1 && min <= max && max <= PAYLOAD_BYTES_MAX && weight >= 1;
  return legal ? { min, max, weight } : undefined;
}
