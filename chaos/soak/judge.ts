/**
 * Growth as a part of a scenario's verdict: reads what was sampled out of the scenario's folder,
 * leaves `growth.json` there, and adds its reasons to the oracle's result. A folder without samples
 * is left as it is. Judging the same folder again gives the same.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { linesOf } from '../ledger/lines-of.ts';
import type { Result } from '../oracle/judge.ts';
import { type Reason, verdictOf } from '../oracle/rules.ts';
import { type UsageSample, usageSampleSchema } from '../run/records.ts';
import { type Growth, growthOf } from './growth.ts';
import { USAGE_FILE } from './soak.ts';

/** What is used of the observations. */
const storedSchema = z.object({
  audits: z.array(
    z.object({
      at: z.object({ monotonic_ms: z.number() }),
      document: z.object({
        collectors: z.array(z.object({ totals: z.object({ stored: z.number() }) })),
      }),
    }),
  ),
});

/**
 * Undefined for a folder in which nothing was sampled. Rejects when something in it can't be read.
 * A last line of samples that was cut off is left out.
 */
export async function judgeGrowth(folder: string): Promise<Growth | undefined> {
  const path = join(folder, USAGE_FILE);
  if (!existsSync(path)) return undefined;
  const samples: UsageSample[] = [];
  const push = (line: string) => samples.push(usageSampleSchema.parse(JSON.parse(line)));
  await linesOf(path, { push });
  const growth = growthOf({
    samples,
    stored: storedIn(join(folder, 'observations.json')),
    payloadBytes: await payloadBytesOf(join(folder, 'ledger')),
  });
  writeFileSync(join(folder, 'growth.json'), `${JSON.stringify(growth, null, 1)}\n`);
  return growth;
}

/** The result, with what growth adds to its reasons; as it was where nothing was sampled. */
export function withGrowth(result: Result, growth: Growth | undefined): Result {
  const ours = growth?.lines.filter((line) => line.ours) ?? [];
  const reasons = ours.flatMap(({ verdict, text }): Reason[] => {
    if (verdict === 'grows')
      return [{ code: 'growth', verdict: 'fail', text: `it grows: ${text}` }];
    if (verdict === 'steady') return [];
    return [{ code: 'growth_not_judged', verdict: 'inconclusive', text }];
  });
  if (reasons.length === 0) return result;
  const all = [...result.reasons, ...reasons];
  return { ...result, verdict: verdictOf(all), reasons: all };
}

function storedIn(path: string): { monotonic_ms: number; rows: number }[] {
  const { audits } = storedSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  return audits.map(({ at: { monotonic_ms }, document: { collectors } }) => ({
    monotonic_ms,
    rows: collectors.reduce((sum, { totals }) => sum + totals.stored, 0),
  }));
}

const ATTEMPT_BYTES = /^\{"type":"attempt",.*"bytes":(\d+)/;

/** Mean of the attempts in all ledgers of a folder; 0 without any. */
async function payloadBytesOf(folder: string): Promise<number> {
  let attempts = 0;
  let bytes = 0;
  const push = (line: string): void => {
    const found = ATTEMPT_BYTES.exec(line);
    if (found === null) return;
    attempts += 1;
    bytes += Number(found[1]);
  };
  for (const name of readdirSync(folder)) await linesOf(join(folder, name), { push });
  return attempts === 0 ? 0 : bytes / attempts;
}
