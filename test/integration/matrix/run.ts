/**
 * A case from its start to its verdict. All evidence is written to the case's folder and judged
 * from there, by what is in the files alone.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { judgeFiles } from '#chaos/oracle/evidence.ts';
import type { Result } from '#chaos/oracle/judge.ts';
import { reportText } from '#chaos/oracle/report.ts';
import { randomOf, SEED } from '../support/random.ts';
import type { Side } from '../support/stack.ts';
import type { MatrixCase } from './cases.ts';
import { type Seen, Stage } from './stage.ts';

export interface Outcome {
  readonly result: Result;
  /** For people, with where the evidence is and how to play it again. */
  readonly report: string;
  readonly seen: Seen;
  /** What a program has logged from its beginning to its end. */
  log(side: Side): string;
  /** Drops the ledger and the export, which are large and of no use once a case has passed. */
  discard(): void;
}

export async function runCase(one: MatrixCase): Promise<Outcome> {
  const stage = await Stage.open(`matrix-${one.name}`, {
    environment: one.environment ?? {},
    traced: one.traced,
    secured: one.secured ?? false,
    random: randomOf(one.name),
  });
  try {
    await stage.play((on) => one.play(on));
    const result = await judge(one, stage);
    const { folder } = stage.stack;
    const report = `${reportText(result)}seed: ${SEED}\nevidence: ${folder}\n`;
    writeFileSync(join(folder, 'report.txt'), report);
    const discard = () => {
      for (const name of ['ledger', 'export.ndjson']) {
        rmSync(join(folder, name), { recursive: true });
      }
    };
    const log = (side: Side) => readFileSync(join(folder, `${side}.log`), 'utf8');
    return { result, report, seen: stage.seen, log, discard };
  } finally {
    writeJson(stage, 'toxiproxy', stage.proxies);
    await stage.stack.stop();
  }
}

/** The audit before the export: what is stored in between is then no contradiction. */
async function judge(one: MatrixCase, stage: Stage): Promise<Result> {
  const { stack, seen } = stage;
  const observations = writeJson(stage, 'observations', seen);
  const expected = writeJson(stage, 'case', { ...one.asks, faults: one.faults });
  const audit = join(stack.folder, 'audit.json');
  const exported = join(stack.folder, 'export.ndjson');
  try {
    writeJson(stage, 'audit', await stack.auditDocument());
    await stack.exportTo(exported);
  } catch (error) {
    const before = seen.harness_failures.map((text) => `\n${text}`).join('');
    throw new Error(`the server tells nothing that could be judged${before}`, { cause: error });
  }
  const result = await judgeFiles({
    ledgers: [stack.ledgerPath],
    export: exported,
    audit,
    observations,
    case: expected,
  });
  writeJson(stage, 'result', result);
  return result;
}

/** Answers the path. */
function writeJson({ stack }: Stage, name: string, document: unknown): string {
  const path = join(stack.folder, `${name}.json`);
  writeFileSync(path, `${JSON.stringify(document, null, 1)}\n`);
  return path;
}
