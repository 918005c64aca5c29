/** The fields of a document as a table in Markdown, made from its schema. */
import { z } from 'zod';

interface Node {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly enum?: readonly string[];
  readonly const?: unknown;
  readonly anyOf?: readonly Node[];
  readonly items?: Node;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node | boolean;
}

export function schemaTable(documentSchema: z.ZodType): string {
  const schema = z.toJSONSchema(documentSchema, { io: 'output' }) as Node;
  const rows = rowsOf(schema, '').map(
    ({ path, type, text }) => `| \`${path}\` | ${type} | ${text} |`,
  );
  return ['| field | type | |', '|---|---|---|', ...rows].join('\n');
}

function rowsOf(node: Node, path: string): { path: string; type: string; text: string }[] {
  const { description = '' } = node;
  const own = path === '' ? [] : [{ path, type: typeOf(node), text: description }];
  const inner = (node.anyOf ?? [node]).flatMap((one) => {
    const { properties = {}, items, additionalProperties } = one;
    return [
      ...Object.entries(properties).flatMap(([name, child]) =>
        rowsOf(child, path === '' ? name : `${path}.${name}`),
      ),
      ...(items?.properties === undefined ? [] : rowsOf(items, `${path}[]`).slice(1)),
      ...(typeof additionalProperties === 'object' && additionalProperties.items !== undefined
        ? rowsOf(additionalProperties.items, `${path}.*[]`).slice(1)
        : []),
    ];
  });
  return [...own, ...inner];
}

function typeOf(node: Node): string {
  if (node.anyOf !== undefined) return node.anyOf.map(typeOf).join(' or ');
  if (node.const !== undefined) return JSON.stringify(node.const);
  if (node.enum !== undefined) return node.enum.join(', ');
  if (node.type === 'array') return `list of ${typeOf(node.items ?? {})}`;
  if (node.type === 'object') return node.properties === undefined ? 'object by name' : 'object';
  return [node.type].flat().join(' or ');
}
