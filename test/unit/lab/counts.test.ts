/** Counting: what a runner's report amounts to, above all when it is not what it seems. */
import { expect, test } from 'vitest';
import { add, closingLine, countVitest, failuresOf, held, NOTHING } from '#lab/counts.ts';

function report(parts: object): string {
  return JSON.stringify({
    success: true,
    numPassedTests: 0,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    testResults: [],
    ...parts,
  });
}

test('passed, failed, skipped and to-do tests are counted from the report', () => {
  const text = report({
    numPassedTests: 5,
    numFailedTests: 2,
    numPendingTests: 1,
    numTodoTests: 1,
  });
  expect(countVitest(text, 1)).toEqual({ passed: 5, failed: 2, skipped: 2 });
});

test('a file that did not load is a failure, though no test in it failed', () => {
  const text = report({
    success: false,
    numPassedTests: 3,
    testResults: [{ status: 'failed', assertionResults: [] }],
  });
  expect(countVitest(text, 1)).toEqual({ passed: 3, failed: 1, skipped: 0 });
});

test('a file with failed tests is not counted once more as a file', () => {
  const text = report({
    success: false,
    numFailedTests: 1,
    testResults: [{ status: 'failed', assertionResults: [{ status: 'failed' }] }],
  });
  expect(countVitest(text, 1).failed).toBe(1);
});

test('a runner that ends badly with a clean report has failed', () => {
  expect(countVitest(report({ numPassedTests: 9 }), 1).failed).toBe(1);
  expect(countVitest(report({ numPassedTests: 9, success: false }), 0).failed).toBe(1);
});

test('a missing, broken or foreign report is a failure', () => {
  for (const text of [null, '', '{"numPassed', '[]']) {
    expect(countVitest(text, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  }
});

test('a run holds only when something passed, and nothing failed or was skipped', () => {
  expect(held({ passed: 1, failed: 0, skipped: 0 })).toBe(true);
  expect(held(NOTHING)).toBe(false);
  expect(held({ passed: 1, failed: 1, skipped: 0 })).toBe(false);
  expect(held({ passed: 1, failed: 0, skipped: 1 })).toBe(false);
});

test('counts add up to the closing line that CI reads', () => {
  const total = add({ passed: 1, failed: 2, skipped: 3 }, { passed: 10, failed: 20, skipped: 30 });
  expect(closingLine(total)).toBe('11 passed, 22 failed, 33 skipped');
});

test('what failed is named, with the first line of what it said', () => {
  const text = report({
    success: false,
    testResults: [
      {
        name: '/lab/test/a.test.ts',
        status: 'failed',
        assertionResults: [
          { status: 'passed', fullName: 'one holds' },
          { status: 'failed', fullName: 'one breaks', failureMessages: ['Error: late\n    at b'] },
        ],
      },
      { name: '/lab/test/b.test.ts', status: 'failed', message: 'no port\n', assertionResults: [] },
    ],
  });
  expect(failuresOf(text, '/lab')).toEqual([
    'test/a.test.ts › one breaks: Error: late',
    'test/b.test.ts: no port',
  ]);
  expect(failuresOf('{', '/lab')).toEqual([]);
});
