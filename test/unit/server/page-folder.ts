/** A page as the dashboard's build leaves it, made up: what the server serves at `/`. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';

export const PAGE = `<!doctype html><title>Holdfast</title>${'<p>text</p>'.repeat(50)}`;
export const SCRIPT = 'console.log("a script");'.repeat(50);
export const ICON = '<svg xmlns="http://www.w3.org/2000/svg"/>';

/** Removing it is the caller's. */
export function makePageFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-page-'));
  mkdirSync(join(folder, 'assets'));
  for (const [name, text] of [
    ['index.html', PAGE],
    ['assets/page-0.js', SCRIPT],
  ] as const) {
    writeFileSync(join(folder, name), text);
    writeFileSync(join(folder, `${name}.br`), brotliCompressSync(text));
    writeFileSync(join(folder, `${name}.gz`), gzipSync(text));
  }
  // Too small for copies.
  writeFileSync(join(folder, 'assets/icon-0.svg'), ICON);
  return folder;
}
