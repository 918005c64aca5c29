/** What people type behind `queue` and `store` of the lab, and what the programs get. */
import { expect, test } from 'vitest';
import { queueCommand, storeCommand } from '#lab/volume-tools.ts';

test.each([
  ['', 'queue status'],
  ['list --json', 'queue list --json'],
  ['queue verify', 'queue verify'],
  ['dead list', 'dead list'],
])('queue %j is collector %j', (typed, command) => {
  expect(queueCommand(typed.split(' ').filter(Boolean)).join(' ')).toBe(command);
});

test.each([
  ['', 'audit'],
  ['audit --json', 'audit --json'],
  ['export --format csv', 'export --format csv'],
  ['check', 'store check'],
  ['store check', 'store check'],
  ['backup today.db', 'store backup today.db'],
])('store %j is server %j', (typed, command) => {
  expect(storeCommand(typed.split(' ').filter(Boolean)).join(' ')).toBe(command);
});
