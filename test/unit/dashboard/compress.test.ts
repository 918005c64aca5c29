/** The build's own part: the copies that the server sends, and the budget of the first view. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { build } from 'vite';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { compress } from '#dashboard/build/compress.ts';

const PAGE = '<!doctype html><script type="module" src="./main.ts"></script>';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-compress-'));
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

/** Builds a page of these sources; returns what the build printed. */
async function made(sources: Record<string, string>, firstViewBytesMax: number): Promise<string> {
  for (const [name, text] of Object.entries({ 'index.html': PAGE, ...sources })) {
    writeFileSync(join(folder, name), text);
  }
  const printed: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((line: string) => {
    printed.push(line);
  });
  await build({
    root: folder,
    configFile: false,
    logLevel: 'silent',
    build: { modulePreload: false },
    plugins: [compress({ firstViewBytesMax })],
  });
  return printed.join('\n');
}

const wordsOf = (count: number) => Array.from({ length: count }, (_, i) => `word ${i * i}`).join();

test('each file has copies that decode to it, where they are smaller', async () => {
  await made({ 'main.ts': `console.log('${wordsOf(100)}')` }, 10_000);
  const assets = join(folder, 'dist', 'assets');
  const [script = ''] = readdirSync(assets).filter((name) => name.endsWith('.js'));
  const content = readFileSync(join(assets, script), 'utf8');
  const copy = (ending: string) => readFileSync(join(assets, script + ending));
  expect(brotliDecompressSync(copy('.br')).toString()).toBe(content);
  expect(gunzipSync(copy('.gz')).toString()).toBe(content);
  expect(copy('.br').length).toBeLessThan(content.length);
  for (const name of readdirSync(assets)) expect(name).not.toMatch(/(br|gz)\.(br|gz)$/);
});

test('a file that does not get smaller has none', async () => {
  await made({ 'main.ts': 'alert()' }, 10_000);
  const assets = join(folder, 'dist', 'assets');
  const [script = ''] = readdirSync(assets).filter((name) => name.endsWith('.js'));
  expect(existsSync(join(assets, `${script}.gz`))).toBe(false);
});

test('the weight is of what a first visit loads, and not of what is loaded on demand', async () => {
  const main = `import './style.css'; document.onclick = () => import('./later.ts');`;
  const style = 'p { color: red }';
  const weigh = (later: string) =>
    made({ 'main.ts': main, 'style.css': style, 'later.ts': later }, 10_000);
  const rawOf = (printed: string) => Number(/^first view: ([\d.]+) kB raw/.exec(printed)?.[1]);
  const small = rawOf(await weigh('alert()'));
  const large = rawOf(await weigh(`alert('${wordsOf(5_000)}')`));
  expect(small).toBeGreaterThan(0);
  expect(large).toBeCloseTo(small, 1);
});

test('a first view beyond the budget is no build, and the message has the figures', async () => {
  const heavy = { 'main.ts': `console.log('${wordsOf(2_000)}')` };
  await expect(made(heavy, 1_000)).rejects.toThrow(
    /the page is too heavy\. first view: [\d.]+ kB raw, [\d.]+ kB gzip, [\d.]+ kB brotli; at most 1\.0 kB gzip/,
  );
});
