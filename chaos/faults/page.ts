/** The kinds of faults for people: what each is, its arguments with their ranges, what it needs. */
import { z } from 'zod';
import type { FaultKind } from './fault.ts';
import { FAULT_KINDS } from './kinds.ts';

/** The part of a JSON Schema that zod makes of the arguments. */
interface ArgumentSchema {
  readonly description?: string;
  readonly default?: unknown;
  readonly type?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly string[];
  readonly items?: ArgumentSchema;
  readonly anyOf?: readonly ArgumentSchema[];
}

/** The argument's name, its values, what it is when left out, and what it says. */
interface ArgumentRow {
  readonly name: string;
  readonly values: string;
  readonly standard: string;
  readonly description: string;
}

export function argumentsOf(kind: FaultKind): ArgumentRow[] {
  const { properties = {} } = z.toJSONSchema(kind.arguments, { io: 'input' });
  return Object.entries(properties as Record<string, ArgumentSchema>).map(([name, schema]) => ({
    name,
    values: valuesOf(schema),
    standard: schema.default === undefined ? 'must be given' : String(schema.default),
    description: schema.description ?? '',
  }));
}

function valuesOf(schema: ArgumentSchema): string {
  if (schema.anyOf !== undefined) return schema.anyOf.map(valuesOf).join(', or ');
  if (schema.type === 'array') return 'a list of such';
  if (schema.enum !== undefined) return schema.enum.join(', ');
  if (schema.minimum === undefined || schema.maximum === undefined) return schema.type ?? 'any';
  return `${schema.minimum} to ${schema.maximum}`;
}

function section(kind: FaultKind): string {
  const notes = [
    ...(kind.needs.length > 0 ? [`Needs of the ground: ${kind.needs.join(', ')}.`] : []),
    ...(kind.grounds === undefined ? [] : [`Only on: ${kind.grounds.join(', ')}.`]),
    ...(kind.draw === undefined ? ['The random swarm leaves it out.'] : []),
  ];
  const rows = argumentsOf(kind).map(
    ({ name, values, standard, description }) =>
      `| \`${name}\` | ${values} | ${standard} | ${description} |`,
  );
  const table =
    rows.length === 0
      ? []
      : ['| argument | values | when left out | |', '|---|---|---|---|', ...rows];
  return [`## ${kind.kind}`, [kind.summary, ...notes].join(' '), table.join('\n')]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** `docs/faults.md`, whole. */
export function faultsPage(): string {
  return `# Faults

The words that a scenario's actions name as \`fault\`, with their \`arguments\`. Every order is read back, and every fault has to show an effect that a
pipeline without it doesn't show, or the run is inconclusive. Each is undone when its step is over, whatever happened in it. What Toxiproxy
does goes by its own words. Its randomness can't be seeded, so toxics are on all connections or on none, and what is drawn is drawn by us.

This page is made from the table that the runner reads (\`HOLDFAST_WRITE_DOCS=1 make test-unit\`).

${[...FAULT_KINDS.values()].map(section).join('\n\n')}
`;
}
