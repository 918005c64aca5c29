/**
 * The docs that are made from code are what the code says. `HOLDFAST_WRITE_DOCS=1` writes them
 * anew instead of comparing.
 */
import { strict as assert } from 'node:assert';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SUITES } from '#bench/suites.ts';
import { FAULT_KINDS } from '#chaos/faults/kinds.ts';
import { MANGLER_SETTINGS } from '#chaos/mangler/config.ts';
import { shippedScenarios } from '#chaos/scenario/shipped.ts';
import { scenarioTable } from '#chaos/scenario/tables.ts';
import { SOURCE_SETTINGS } from '#chaos/source/config.ts';
import { COLLECTOR_SETTINGS } from '#collector/config.ts';
import { LEGAL_STEPS } from '#collector/producer/sender-state.ts';
import { LAB_SETTINGS } from '#lab/config.ts';
import { settingsMarkdown } from '#protocol/settings.ts';
import { SERVER_SETTINGS } from '#server/config.ts';
import { hostileInputPage } from '../hostile/page.ts';
import { benchReportPage } from './bench/page.ts';
import { blocksOf, parseRun, withTables } from './bench/performance.ts';
import { reportPage } from './chaos/report/page.ts';

const isHere = (path: string) => existsSync(new URL(`../../${path}`, import.meta.url));

const CONFIGURATION = new URL('../../docs/configuration.md', import.meta.url);

const ARCHITECTURE = new URL('../../docs/architecture.md', import.meta.url);

const TABLES = [
  ['Collector', COLLECTOR_SETTINGS],
  ['Server', SERVER_SETTINGS],
  ['Lab', LAB_SETTINGS],
  ['Load source', SOURCE_SETTINGS],
  ['Mangler', MANGLER_SETTINGS],
] as const;

function configuration(): string {
  const parts = TABLES.map(([name, table]) => `## ${name}\n\n${settingsMarkdown(table)}`);
  return `# Configuration

Every setting is an environment variable. A bad value names the variable, the rule and what was found, all bad ones at once, and
nothing starts (exit code 2). An empty variable counts as not set. A secret may stand in a file that its \`_FILE\` variable names.
\`./holdfast collector run --print-config\` and \`./holdfast server run --print-config\` show what is in force, secrets masked. The lab sets the
programs' variables itself (docker-compose.yml); its own may also stand in a file \`.env\` beside the Makefile.

This page is made from the tables that the programs read (\`HOLDFAST_WRITE_DOCS=1 make test-unit\`).

${parts.join('\n\n')}
`;
}

test('docs/configuration.md is the table of all settings', () => {
  const made = configuration();
  if (process.env.HOLDFAST_WRITE_DOCS === '1') writeFileSync(CONFIGURATION, made);
  expect(readFileSync(CONFIGURATION, 'utf8')).toBe(made);
});

/** Mermaid, for whatever shows Markdown, and readable as it is. */
function stateDiagram(): string {
  const id = (step: string) => step.replace('Recovering/', '');
  const steps = Object.entries(LEGAL_STEPS).flatMap(([from, next]) =>
    Object.entries(next).map(([to, cause]) => `  ${id(from)} --> ${id(to)}: ${cause}`),
  );
  const phases = Object.keys(LEGAL_STEPS).filter((step) => step.startsWith('Recovering/'));
  return [
    '```mermaid',
    'stateDiagram-v2',
    '  [*] --> dialing: start',
    '  state Recovering {',
    ...phases.map((phase) => `    ${id(phase)}`),
    '  }',
    ...steps,
    '```',
  ].join('\n');
}

test("docs/architecture.md has the sender's states as the table has them", () => {
  const page = readFileSync(ARCHITECTURE, 'utf8');
  const drawn = /```mermaid\n.*?```/s;
  const made = page.replace(drawn, stateDiagram());
  if (process.env.HOLDFAST_WRITE_DOCS === '1') writeFileSync(ARCHITECTURE, made);
  expect(drawn.exec(readFileSync(ARCHITECTURE, 'utf8'))?.[0]).toBe(stateDiagram());
});

test('docs/hostile-input.md is the tables that the tests play', () => {
  const page = new URL('../../docs/hostile-input.md', import.meta.url);
  const made = hostileInputPage();
  if (process.env.HOLDFAST_WRITE_DOCS === '1') writeFileSync(page, made);
  expect(readFileSync(page, 'utf8')).toBe(made);
});

test('docs/chaos-report.md has the schema of report.json', () => {
  const page = new URL('../../docs/chaos-report.md', import.meta.url);
  const made = reportPage();
  if (process.env.HOLDFAST_WRITE_DOCS === '1') writeFileSync(page, made);
  expect(readFileSync(page, 'utf8')).toBe(made);
});

test('docs/bench-report.md has the schema of bench.json', () => {
  const page = new URL('../../docs/bench-report.md', import.meta.url);
  const made = benchReportPage();
  if (process.env.HOLDFAST_WRITE_DOCS === '1') writeFileSync(page, made);
  expect(readFileSync(page, 'utf8')).toBe(made);
});

test('docs/performance.md has the tables of the committed run, and a place for every suite', () => {
  const page = new URL('../../docs/performance.md', import.meta.url);
  // The full run, where there is one: it has all that the short one has.
  const path = ['full', 'short'].map((size) => `docs/bench/${size}.json`).find(isHere);
  assert(path !== undefined, 'no run is committed');
  const text = readFileSync(page, 'utf8');
  const made = withTables(
    text,
    parseRun(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')),
    path,
  );
  if (process.env.HOLDFAST_WRITE_DOCS === '1') writeFileSync(page, made);
  expect(readFileSync(page, 'utf8')).toBe(made);
  expect(blocksOf(text).sort()).toEqual(['missed', 'run', ...Object.keys(SUITES)].sort());
});

test('docs/chaos.md lists the scenarios that are shipped', () => {
  const page = new URL('../../docs/chaos.md', import.meta.url);
  const text = readFileSync(page, 'utf8');
  const listed = /\| scenario \|[\s\S]*$|$/;
  const table = `${scenarioTable(shippedScenarios([...FAULT_KINDS.values()]))}\n`;
  const made = text.replace(listed, table);
  if (process.env.HOLDFAST_WRITE_DOCS === '1') writeFileSync(page, made);
  expect(readFileSync(page, 'utf8')).toBe(made);
});
