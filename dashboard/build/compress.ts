/**
 * What the build adds to Vite's: beside each file its copies in gzip and Brotli, which the server
 * sends as they are, and the weight of the first view, printed and held to a budget. Compressing
 * once, here, allows the slowest and best level of both.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Plugin, Rolldown } from 'vite';

type Bundle = Rolldown.OutputBundle;

interface Weight {
  readonly raw: number;
  readonly gzip: number;
  readonly brotli: number;
}

/**
 * @param firstViewBytesMax what a first visit may load, in gzip, which every browser takes; the
 *   build fails beyond it.
 */
export function compress({ firstViewBytesMax }: { firstViewBytesMax: number }): Plugin {
  return {
    name: 'holdfast:compress',
    apply: 'build',
    enforce: 'post',
    writeBundle({ dir = '' }, bundle) {
      const weights = new Map(filesIn(dir).map((name) => [name, copiesOf(join(dir, name))]));
      const firstView = [...filesOfFirstView(bundle)].map((name) => weights.get(name) ?? NOTHING);
      const sum = firstView.reduce(add, NOTHING);
      const text = `first view: ${kilobytes(sum.raw)} raw, ${kilobytes(sum.gzip)} gzip, ${kilobytes(sum.brotli)} brotli; at most ${kilobytes(firstViewBytesMax)} gzip`;
      if (sum.gzip > firstViewBytesMax) {
        this.error(`the page is too heavy. ${text}. The list of files shows what it is made of`);
      }
      console.log(text);
    },
  };
}

const NOTHING: Weight = { raw: 0, gzip: 0, brotli: 0 };

function add(one: Weight, other: Weight): Weight {
  return {
    raw: one.raw + other.raw,
    gzip: one.gzip + other.gzip,
    brotli: one.brotli + other.brotli,
  };
}

function filesIn(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

/** Writes the copies that are smaller than the file itself. */
function copiesOf(path: string): Weight {
  const content = readFileSync(path);
  const quality = constants.BROTLI_MAX_QUALITY;
  const brotli = brotliCompressSync(content, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: quality,
      [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
    },
  });
  const gzip = gzipSync(content, { level: constants.Z_BEST_COMPRESSION });
  return {
    raw: content.length,
    gzip: writeIfSmaller(`${path}.gz`, gzip, content.length),
    brotli: writeIfSmaller(`${path}.br`, brotli, content.length),
  };
}

function writeIfSmaller(path: string, compressed: Buffer, rawBytes: number): number {
  if (compressed.length >= rawBytes) return rawBytes;
  writeFileSync(path, compressed);
  return compressed.length;
}

/** The page, and all that it loads by itself: what is imported on demand only comes later. */
function filesOfFirstView(bundle: Bundle): Set<string> {
  const files = new Set<string>();
  const collect = (name: string) => {
    const output = bundle[name];
    if (output === undefined || files.has(name)) return;
    files.add(name);
    if (output.type === 'asset') return;
    const { imports, viteMetadata } = output;
    const loaded = [imports, viteMetadata?.importedCss ?? [], viteMetadata?.importedAssets ?? []];
    for (const one of loaded.flatMap((names) => [...names])) collect(one);
  };
  const entries = Object.values(bundle).filter((one) => one.type === 'chunk' && one.isEntry);
  for (const { fileName } of entries) collect(fileName);
  for (const page of Object.keys(bundle).filter((name) => name.endsWith('.html'))) {
    collect(page);
    const text = String((bundle[page] as Rolldown.OutputAsset).source);
    for (const name of Object.keys(bundle)) if (text.includes(`/${name}"`)) collect(name);
  }
  return files;
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1_000).toFixed(1)} kB`;
}
