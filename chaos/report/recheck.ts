/**
 * A run judged again, from the raw files of its folder: every scenario by the oracle, then
 * result.json, the outcomes in run.json, the run's own result.json and the report are written anew.
 * Good for a run whose runner died, too: a scenario of which run.json does not know is judged with
 * the rest.
 *
 * Evidence that is missing or damaged makes a scenario inconclusive, with the name of the file; an
 * older result.json is then kept as result.previous.json, since it says what the files no longer do.
 */
import { existsSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, type ExitCode } from '#lab/errors.ts';
import { writeJson } from '#pages/folder.ts';
import { type EvidenceFiles, judgeFiles } from '../oracle/evidence.ts';
import type { Result } from '../oracle/judge.ts';
import type { RunRecord, ScenarioRecord } from '../run/records.ts';
import { judgeGrowth, withGrowth } from '../soak/judge.ts';
import { aboutScenario, FolderError, messageOf, readRun, scenarioFolders } from './folder.ts';
import { writeReport } from './write.ts';

/**
 * Answers the exit code: 0 held, 1 did not hold, 2 there is no run in this folder, 3 inconclusive,
 * 130 interrupted, as the run itself did, unless a failure is found in what was played.
 * `print` takes what a person is told, line by line.
 */
export async function recheck(runFolder: string, print: (line: string) => void): Promise<ExitCode> {
  let record: RunRecord;
  try {
    record = readRun(runFolder);
  } catch (error) {
    if (!(error instanceof FolderError)) throw error;
    print(`${error.message}\nnothing was judged`);
    return existsSync(join(runFolder, 'run.json')) ? EXIT.inconclusive : EXIT.usage;
  }
  const scenarios: ScenarioRecord[] = [];
  for (const scenario of [...record.scenarios, ...strangers(runFolder, record)]) {
    const judged = await judgeAgain(runFolder, scenario);
    scenarios.push(judged);
    print(lineOf(judged));
  }
  writeJson(join(runFolder, 'run.json'), { ...record, scenarios });
  const report = await writeReport(runFolder);
  const exitCode = EXIT[report.verdict];
  writeJson(join(runFolder, 'result.json'), {
    verdict: report.verdict,
    exit_code: exitCode,
    text: report.sentence,
  });
  print('');
  print(report.sentence);
  print(`Report: ${join(runFolder, 'report.html')}`);
  return exitCode;
}

/** Folders of scenarios that were under way when the runner died. */
function strangers(runFolder: string, { scenarios }: RunRecord): ScenarioRecord[] {
  const known = new Set(scenarios.map(({ folder }) => folder));
  return scenarioFolders(runFolder)
    .filter((folder) => !known.has(folder))
    .map((folder) => {
      const [, name = folder, repeat = '1'] = /^\d+-(.+?)(?:-r(\d+))?$/.exec(folder) ?? [];
      const {
        title = name,
        description = 'The runner died in it, so run.json does not tell of it.',
      } = scenarios.find((one) => one.name === name) ?? aboutScenario(runFolder, folder);
      return {
        name,
        title,
        description,
        repeat: Number(repeat),
        folder,
        outcome: 'inconclusive',
        reason: '',
        started_at: null,
        ended_at: null,
      };
    });
}

async function judgeAgain(runFolder: string, record: ScenarioRecord): Promise<ScenarioRecord> {
  const { folder, outcome: before } = record;
  if (folder === null) return record;
  const path = join(runFolder, folder);
  const judged = await resultOf(path);
  if (typeof judged === 'string') {
    setAside(path);
    // The message is for whoever has the folder, wherever it lies by then.
    const reason = judged.replaceAll(`${path}/`, `${folder}/`);
    return before === 'interrupted' ? record : { ...record, outcome: 'inconclusive', reason };
  }
  writeJson(join(path, 'result.json'), judged);
  const { verdict, reasons } = judged;
  // What was interrupted was not put to the whole test, so it can fail and not hold.
  if (before === 'interrupted' && verdict !== 'fail') return record;
  return { ...record, outcome: verdict, reason: reasons.map(({ text }) => text).join('; ') };
}

/** What is wrong with the evidence, in words, where the oracle can't judge. */
async function resultOf(path: string): Promise<Result | string> {
  try {
    const files = evidenceIn(path);
    if (typeof files === 'string') return files;
    return withGrowth(await judgeFiles(files), await growthIn(path));
  } catch (error) {
    return messageOf(error);
  }
}

async function growthIn(path: string): ReturnType<typeof judgeGrowth> {
  try {
    return await judgeGrowth(path);
  } catch (error) {
    throw new Error(`${join(path, 'usage.ndjson')} can't be judged: ${messageOf(error)}`);
  }
}

function evidenceIn(path: string): EvidenceFiles | string {
  const folder = join(path, 'ledger');
  const ledgers = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.jsonl'))
        .map((name) => join(folder, name))
        .sort()
    : [];
  const files = {
    export: join(path, 'export.ndjson'),
    audit: join(path, 'audit.json'),
    observations: join(path, 'observations.json'),
    case: join(path, 'case.json'),
  };
  const missing = [
    ...(ledgers.length === 0 ? [join(folder, '*.jsonl')] : []),
    ...Object.values(files).filter((file) => !existsSync(file)),
  ];
  if (missing.length === 0) return { ledgers, ...files };
  return `evidence is missing, so nothing can be judged: ${missing.join(', ')}`;
}

function setAside(path: string): void {
  const result = join(path, 'result.json');
  if (existsSync(result)) renameSync(result, join(path, 'result.previous.json'));
}

function lineOf({ name, repeat, outcome, reason }: ScenarioRecord): string {
  const which = repeat > 1 ? `${name} (repeat ${repeat})` : name;
  return `${outcome.padEnd(12)} ${which}${reason === '' ? '' : `: ${reason}`}`;
}
