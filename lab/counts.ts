/**
 * Counting what ran: from a test runner's own report to the closing line that people and CI read.
 * Pure; reading and writing the files is the callers'.
 */
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
    z.object({ status: z.string(), assertionResults: z.array(z.object({ status: z.string() })) }),
  ),
});

/**
 * Counts a Vitest JSON report. A file that failed without a failed test in it (it did not load, or
 * a hook failed) counts as one failure; so does a run that ended badly with nothing failed in its
 * report, and a report that is missing (null) or unreadable.
 */
export function countVitest(reportText: string | null, exitCode: number): Counts {
  const parsed = reportText === null ? null : report.safeParse(parseJson(reportText));
  if (!parsed?.success) return { ...NOTHING, failed: 1 };
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } =
    parsed.data;
  const brokenFiles = testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((one) => one.status === 'failed'),
  );
  const failed = numFailedTests + brokenFiles.length;
  const endedBadly = exitCode !== 0 || !parsed.data.success;
  return {
    passed: numPassedTests,
    failed: failed === 0 && endedBadly ? 1 : failed,
    skipped: numPendingTests + numTodoTests,
  };
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
