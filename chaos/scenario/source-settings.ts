/**
 * What a scenario may set of its load source: every setting of the program but those that the
 * runner gives it. Checked by the program's own table: one that is mistyped would set nothing.
 */

import { nearest } from '#lab/suggest.ts';
import { SOURCE_SETTINGS } from '../source/config.ts';
import { type Finding, isObject } from './finding.ts';
import { shown } from './words.ts';

/** Where the source finds things is the runner's and the ground's to say. */
const RESERVED: ReadonlySet<string> = new Set(
  (
    [
      'server',
      'token',
      'collectorId',
      'queuePath',
      'ledgerPath',
      'statusHost',
      'statusPort',
    ] as const
  ).map((key) => SOURCE_SETTINGS[key].name),
);

const TABLE = new Map(Object.values(SOURCE_SETTINGS).map((setting) => [setting.name, setting]));
const OPEN = [...TABLE.keys()].filter((name) => !RESERVED.has(name) && !name.includes('_TLS'));

/** Takes the whole document as it stands in the file. */
export function sourceFindings(value: unknown): Finding[] {
  const configuration = isObject(value) ? value.configuration : undefined;
  if (!isObject(configuration)) return [];
  const { load, environment } = configuration;
  return [
    ...(isObject(environment) ? Object.entries(environment) : []).flatMap(([name, text]) =>
      settingFindings(name, text),
    ),
    ...(isObject(load) ? payloadFindings(load.payloads) : []),
  ];
}

function settingFindings(name: string, text: unknown): Finding[] {
  const path = ['configuration', 'environment', name];
  if (!OPEN.includes(name)) return [{ path, part: 'word', rule: unknownRule(name), got: null }];
  const setting = TABLE.get(name);
  if (typeof text !== 'string' || setting?.schema.safeParse(text).success) return [];
  return [{ path, part: 'value', rule: `must be ${setting?.rule}`, got: shown(text) }];
}

function unknownRule(name: string): string {
  if (TABLE.has(name)) return 'is set by the runner';
  const meant = nearest(name, OPEN);
  const hint = meant === undefined ? `; there are: ${OPEN.join(', ')}` : `; did you mean ${meant}?`;
  return `is no setting of the load source${hint}`;
}

function payloadFindings(payloads: unknown): Finding[] {
  const { schema, rule } = SOURCE_SETTINGS.sizes;
  if (typeof payloads !== 'string' || schema.safeParse(payloads).success) return [];
  const path = ['configuration', 'load', 'payloads'];
  return [{ path, part: 'value', rule: `must be ${rule}`, got: shown(payloads) }];
}
