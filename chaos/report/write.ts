/**
 * The report of a run: report.html, report.json and junit.xml, from the raw files of its folder
 * alone. Nothing is judged here; that was done, or is done anew by `recheck.ts`.
 */
import { basename, dirname, join, resolve } from 'node:path';
import { writeJson, writeWhole } from '#pages/folder.ts';
import type { RepeatReport, Report } from './document.ts';
import { readRun, readScenario, wasInterrupted } from './folder.ts';
import { junitOf } from './junit.ts';
import { page, type RepeatView } from './page.ts';
import { stepsOf } from './steps.ts';
import { repeatReport, reportOf } from './summary.ts';
import { startOf, timelineOf } from './timeline.ts';

/** Points of each line, and of all pictures of a report together, so that it stays light. */
const POINTS_MAX = 600;
const POINTS_MIN = 120;
const POINTS_ALL = 18_000;

/**
 * Answers what report.json says, once all three are written; each is whole or as it was before.
 * @throws FolderError when there is no run.json that can be used.
 */
export async function writeReport(runFolder: string): Promise<Report> {
  const record = readRun(runFolder);
  const share = Math.floor(POINTS_ALL / Math.max(1, record.scenarios.length));
  const points = Math.max(POINTS_MIN, Math.min(POINTS_MAX, share));
  const repeats: RepeatReport[] = [];
  const views: RepeatView[] = [];
  for (const scenario of record.scenarios) {
    const { folder } = scenario;
    // One after the other: of each only the buckets are kept.
    const files = folder === null ? undefined : await readScenario(runFolder, folder);
    const { observations, exportPath } = files ?? {};
    const start = observations && startOf(observations);
    const repeat = repeatReport(scenario, files);
    repeats.push(repeat);
    views.push({
      repeat,
      timeline: observations && (await timelineOf(observations, exportPath, points)),
      steps: observations && start !== undefined ? stepsOf(observations, start) : [],
      scenario: files?.scenario,
      usage: files?.usage ?? [],
      points,
    });
  }
  const report = reportOf(record, repeats, wasInterrupted(runFolder));
  writeJson(join(runFolder, 'report.json'), report);
  writeWhole(join(runFolder, 'junit.xml'), junitOf(report));
  writeWhole(join(runFolder, 'report.html'), page(report, views, told(runFolder)));
  return report;
}

/** `reports/2026-11-26T07-12-00Z`: by its last two names, wherever they lie by then. */
function told(runFolder: string): string {
  const path = resolve(runFolder);
  return join(basename(dirname(path)), basename(path));
}
