/**
 * The packed library as somebody gets it who has nothing else of Holdfast: installed from the
 * archive into an empty JavaScript project and an empty TypeScript project, on this Node.js and on
 * the oldest that it supports, against a real server.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  directory,
  endAll,
  oldestNode,
  ROOT,
  run,
  type Server,
  startServer,
  TOKEN,
} from './support.ts';

const NODES = [
  ['this Node.js', () => process.execPath],
  ['the oldest Node.js', oldestNode],
] as const;

/** What a user would write first; the same text is JavaScript and TypeScript. */
const SHIP = `import { Producer } from 'holdfast/producer';

const producer = new Producer({
  server: process.env.SERVER ?? '',
  token: process.env.TOKEN ?? '',
  queuePath: process.env.QUEUE ?? '',
  collectorId: process.env.ID ?? '',
});
const receipt = await producer.send('{"reading": 42}', { capturedAt: 1_700_000_000_000_000 });
const settled = await receipt.settled;
console.log(JSON.stringify({ seq: receipt.seq, state: settled.state }));
await producer.close();
`;

/** The samples of the library's page, each a module of its own: made to be copied as they are. */
const SAMPLES = readFileSync(join(ROOT, 'docs/producer.md'), 'utf8')
  .split('```ts\n')
  .slice(1)
  .map((part) => part.slice(0, part.indexOf('```')));
const SAMPLE_ADDRESS = 'telemetry.example:9004';

/** The types are those of the documented contract, not `any`. */
const TYPES = `import { Producer, type Receipt } from 'holdfast/producer';

declare const producer: Producer;
const receipt: Receipt = await producer.send(new Uint8Array(3));
const seq: number = receipt.seq;
// @ts-expect-error: a receipt's number is no text
const text: string = receipt.seq;
// @ts-expect-error: there is no such option
new Producer({ server: 'localhost:9004', token: '', queuePath: '', queueLimit: 3 });
export { seq, text };
`;

let archive = '';
let server: Server;

beforeAll(async () => {
  server = await startServer();
  const folder = directory();
  const packed = await run(join(ROOT, 'holdfast'), ['pack', '--to', join(folder, 'made', 'here')], {
    cwd: ROOT,
  });
  expect(packed.stderr).toBe('');
  archive = packed.stdout.trim();
});
afterAll(endAll);

/** An empty project with the library in it, from the archive alone: npm may ask no registry. */
async function project(): Promise<string> {
  const path = directory();
  writeFileSync(join(path, 'package.json'), '{ "name": "theirs", "type": "module" }\n');
  const npm = join(dirname(process.execPath), 'npm');
  const installed = await run(npm, ['install', '--offline', '--ignore-scripts', archive], {
    cwd: path,
  });
  expect(installed.exitCode, installed.stderr).toBe(0);
  return path;
}

async function ship(node: string, path: string, file: string, id: string): Promise<void> {
  const env = { SERVER: server.address, TOKEN, QUEUE: join(path, `queue-${id}`), ID: id };
  const shipped = await run(node, [file], { cwd: path, env });
  // The library prints nothing, and lets the process end.
  expect(shipped).toEqual({ exitCode: 0, stdout: '{"seq":1,"state":"stored"}\n', stderr: '' });
  const rows = await (await fetch(`${server.api}/api/v1/export?collector=${id}`)).text();
  const row = JSON.parse(rows) as Record<string, unknown>;
  expect(row).toMatchObject({ collector: id, payload: { reading: 42 } });
  expect(row.captured_at).toBe('2023-11-14T22:13:20.000000Z');
}

const idOf = (kind: string, name: string): string =>
  `${kind}-${name}`.toLowerCase().replaceAll(/[^a-z]+/g, '-');

test('holds JavaScript and types, and needs nothing', async () => {
  const path = await project();
  const manifest = JSON.parse(
    readFileSync(join(path, 'node_modules/holdfast/package.json'), 'utf8'),
  ) as Record<string, unknown>;
  expect(manifest).not.toHaveProperty('dependencies');
  expect(manifest).not.toHaveProperty('peerDependencies');
  const own = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  expect(manifest.version).toBe(own.version);
  const listed = await run('tar', ['-tzf', archive], { cwd: path });
  const files = listed.stdout.trim().split('\n');
  const strange = files.filter(
    (file) => !/^package\/((README|LICENSE)(\.md)?|package\.json|dist\/.+\.(js|d\.ts))$/.test(file),
  );
  expect(strange).toEqual([]);
  expect(files).toContain('package/README.md');
  // Imports of the emitted files: of Node.js or of each other.
  for (const file of files.filter((name) => name.endsWith('.js') || name.endsWith('.d.ts'))) {
    const text = readFileSync(join(path, 'node_modules/holdfast', file.slice(8)), 'utf8');
    const imported = [...text.matchAll(/^(?:import|export) .*?from ["']([^"']+)["']/gm)];
    const foreign = imported.filter(([, from]) => !/^(node:|\.\.?\/.+\.js$)/.test(from ?? ''));
    expect(foreign.map(([line]) => `${file}: ${line}`)).toEqual([]);
  }
});

describe.each(NODES)('on %s', (name, node) => {
  test('a JavaScript project sends a frame', async () => {
    const path = await project();
    writeFileSync(join(path, 'ship.js'), SHIP);
    await ship(node(), path, 'ship.js', idOf('module', name));
  });

  test('a CommonJS program requires it', async () => {
    const path = await project();
    const required = "const { Producer } = require('holdfast/producer');";
    const body = SHIP.replace(/^import .*\n/, '');
    writeFileSync(join(path, 'ship.cjs'), `${required}\n(async () => {${body}})();\n`);
    await ship(node(), path, 'ship.cjs', idOf('commonjs', name));
  });
});

test('a TypeScript project is checked in full, and what comes of it runs on both', async () => {
  const path = await project();
  mkdirSync(join(path, 'source'));
  writeFileSync(join(path, 'source/ship.ts'), SHIP);
  writeFileSync(join(path, 'source/types.ts'), TYPES);
  for (const [n, sample] of SAMPLES.entries()) {
    const text = sample.replace(SAMPLE_ADDRESS, server.address);
    writeFileSync(join(path, `source/sample-${n}.ts`), text);
  }
  const compilerOptions = {
    ...{ module: 'nodenext', target: 'es2022', strict: true, skipLibCheck: false },
    ...{ rootDir: 'source', outDir: 'made', types: ['node'] },
    typeRoots: [join(ROOT, 'node_modules/@types')],
  };
  writeFileSync(join(path, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
  const compiled = await run(join(ROOT, 'node_modules/.bin/tsc'), [], { cwd: path });
  expect(compiled).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  for (const [name, node] of NODES) await ship(node(), path, 'made/ship.js', idOf('typed', name));
  for (const n of SAMPLES.keys()) {
    const ended = await run(process.execPath, [`made/sample-${n}.js`], {
      cwd: path,
      env: { TOKEN },
    });
    expect(ended).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  }
  expect(SAMPLES).toHaveLength(2);
});
