/**
 * Counting what ran: from a test runner's own report to the closing lines that people and CI read.
 * Pure; reading and writing the files is the callers'.
 */
import { relative } from 'node:path';
import { z } from 'zod';

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export const NOTHING: Counts = { passed: 0, failed: 0, skipped: 0 };

const report = z.object({
  success: z.boolean(),
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  testResults: z.array(
    z.object({
      name: z.string().default(''),
      status: z.string(),
      message: z.string().default(''),
      assertionResults: z.array(
        z.object({
          status: z.string(),
          fullName: z.string().default(''),
          failureMessages: z.array(z.string()).default([]),
        }),
      ),
    }),
  ),
});

type FileResult = z.infer<typeof report>['testResults'][number];

/**
 * Counts a Vitest JSON report. A file that failed without a failed test in it (it did not load, or
 * a hook failed) counts as one failure; so does a run that ended badly with nothing failed in its
 * report, and a report that is missing (null) or unreadable.
 */
export function countVitest(reportText: string | null, exitCode: number): Counts {
  const parsed = parseReport(reportText);
  if (parsed === undefined) return { ...NOTHING, failed: 1 };
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = parsed;
  const failed = numFailedTests + testResults.filter(isBroken).length;
  const endedBadly = exitCode !== 0 || !parsed.success;
  return {
    passed: numPassedTests,
    failed: failed === 0 && endedBadly ? 1 : failed,
    skipped: numPendingTests + numTodoTests,
  };
}

/**
 * What failed by a Vitest JSON report, a line each: the file by its path below `root`, the test, and
 * the first line of what it said. Empty for a report that is missing or unreadable.
 */
export function failuresOf(reportText: string | null, root: string): string[] {
  const files = parseReport(reportText)?.testResults ?? [];
  return files.flatMap((file) => {
    const name = relative(root, file.name);
    if (isBroken(file)) return [`${name}: ${firstLine(file.message)}`];
    return file.assertionResults
      .filter(({ status }) => status === 'failed')
      .map((one) => `${name} › ${one.fullName}: ${firstLine(one.failureMessages[0])}`);
  });
}

/** It did not load, or a hook failed: failed without a failed test in it. */
function isBroken({ status, assertionResults }: FileResult): boolean {
  return status === 'failed' && !assertionResults.some((one) => one.status === 'failed');
}

function firstLine(text = ''): string {
  return text.split('\n', 1)[0] ?? '';
}

function parseReport(text: string | null): z.infer<typeof report> | undefined {
  return text === null ? undefined : report.safeParse(parseJson(text)).data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function add(one: Counts, other: Counts): Counts {
  return {
    passed: one.passed + other.passed,
    failed: one.failed + other.failed,
    skipped: one.skipped + other.skipped,
  };
}

/** True when something passed, and nothing failed or was skipped. */
export function held(counts: Counts): boolean {
  return counts.passed > 0 && counts.failed === 0 && counts.skipped === 0;
}

/** The closing line, in the words that CI looks for. */
export function closingLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
