/** The blocks of docs/performance.md: parts in their order, and a reason where there is no figure. */
import { expect, test } from 'vitest';
import { documentOf } from '#bench/document.ts';
import { figureOf, partOf, runOf } from './made-up.ts';
import { withTables } from './performance.ts';

const BLOCK = '<!-- bench heart -->\nas it was\n<!-- /bench -->';

test('parts stand in the order of their suite, however they were measured, with what has no figures', () => {
  const heart = (name: string, error: string | null = null) =>
    partOf(error === null ? [figureOf('figure', [1, 2, 3])] : [], { suite: 'heart', name, error });
  const parts = [heart('drain'), heart('lone', 'the disk is full'), heart('append')];
  const leftOut = [
    { suite: 'heart', part: 'latency', reason: 'no time was left' },
    { suite: 'fleet', part: 'growth', reason: 'no time was left' },
  ];
  const table = (title: string) => `| ${title} | n | median | middle half | least – most | aim |
|---|---|---|---|---|---|
| figure [ratio] | 3 | 2 | 1.5 – 2.5 | 1 – 3 |  |`;
  expect(withTables(BLOCK, documentOf(runOf(parts, { leftOut })), 'docs/bench/full.json')).toBe(
    `<!-- bench heart -->
${table('heart append')}

\`heart lone\` has no figures: the disk is full.

${table('heart drain')}

\`heart latency\` was not measured: no time was left.
<!-- /bench -->`,
  );
});

test('a suite of which nothing was measured says so', () => {
  expect(withTables(BLOCK, documentOf(runOf([partOf([])])), 'docs/bench/full.json')).toBe(
    '<!-- bench heart -->\nNot part of the committed run.\n<!-- /bench -->',
  );
});
