/** The shipped scenarios as tables: for docs/chaos.md, and with the faults for a terminal. */
import type { FaultKind } from '../faults/fault.ts';
import type { NamedScenario } from './shipped.ts';

/** In Markdown: each scenario, and what it stands for. */
export function scenarioTable(scenarios: readonly NamedScenario[]): string {
  const rows = scenarios.map(({ name, scenario: { title, description, tags } }) => {
    const mark = tags.includes('default') ? ' ●' : '';
    return `| \`${name}\`${mark} | ${oneLine(title)} | ${oneLine(description)} |`;
  });
  return ['| scenario | what happens | what it stands for |', '|---|---|---|', ...rows].join('\n');
}

/** For a terminal. */
export function listLines(
  scenarios: readonly NamedScenario[],
  kinds: readonly FaultKind[],
): string[] {
  const width = 2 + Math.max(...scenarios.map(({ name }) => name.length));
  const kindWidth = 2 + Math.max(...kinds.map(({ kind }) => kind.length));
  return [
    'Scenarios (● is in the default set): make chaos SCENARIO=name',
    '',
    ...scenarios.flatMap(({ name, scenario: { title, description, tags } }) => [
      `${tags.includes('default') ? '●' : ' '} ${name.padEnd(width)}${oneLine(title)}`,
      `  ${' '.repeat(width)}${oneLine(description)}`,
    ]),
    '',
    'Faults that scenario files can name (docs/faults.md has their arguments)',
    '',
    ...kinds.map(({ kind, summary }) => `  ${kind.padEnd(kindWidth)}${oneLine(summary)}`),
  ];
}

function oneLine(text: string): string {
  return text.trim().replaceAll(/\s+/g, ' ');
}
