/**
 * A case from its start to its verdict: a scenario on containers of its own, played, judged and
 * written down as `make chaos` does it. All evidence is in the case's folder.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FAULT_KINDS } from '#chaos/faults/kinds.ts';
import { reportText } from '#chaos/oracle/report.ts';
import { randomOf } from '#chaos/random.ts';
import { type Played, playScenario } from '#chaos/run/stage.ts';
import { scenarioSchema } from '#chaos/scenario/scenario.ts';
import { seed } from '../../unit/seed.ts';
import { Stack } from '../support/stack.ts';
import type { Logging, MatrixCase, Seen } from './cases.ts';

export interface Outcome {
  readonly verdict: Played['outcome'];
  /** For people, with where the evidence is and how to play it again. */
  readonly report: string;
  readonly seen: Seen;
  /** What a program has logged from its beginning to its end. */
  log(program: Logging): string;
  /** Drops the ledger and the export, which are large and of no use once a case has passed. */
  discard(): void;
}

export async function runCase(one: MatrixCase): Promise<Outcome> {
  const random = randomOf(seed, one.name);
  const scenario = scenarioSchema.parse({
    title: one.name,
    description: one.what,
    configuration: one.configuration,
    'steady-state-hypothesis': { tolerances: one.asks },
    method: one.method(random),
  });
  const stack = await Stack.start(`matrix-${one.name}`, { secured: one.secured ?? false });
  const { folder } = stack;
  try {
    const { outcome, reason, result } = await playScenario({
      ...{ ground: stack, kinds: [...FAULT_KINDS.values()], scenario, folder, random },
      prefix: one.name,
      signal: new AbortController().signal,
      tell: () => undefined,
      onStatus: () => undefined,
    });
    const told = result === null ? `${reason}\n` : reportText(result);
    const report = `${told}seed: ${seed}\nevidence: ${folder}\n`;
    writeFileSync(join(folder, 'report.txt'), report);
    return {
      verdict: outcome,
      report,
      seen: JSON.parse(readFileSync(join(folder, 'observations.json'), 'utf8')),
      log: (program) => readFileSync(join(folder, `${program}.log`), 'utf8'),
      discard: () => {
        for (const name of ['ledger', 'export.ndjson']) {
          rmSync(join(folder, name), { recursive: true, force: true });
        }
      },
    };
  } finally {
    await stack.stop();
  }
}
