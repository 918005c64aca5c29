/**
 * The dashboard's page at `/`, and its files below `/assets/`: a fixed map of what the build has
 * made, read once. Nothing else on disk can be asked for. What is sent is one of the copies that the
 * build has compressed; nothing is compressed here.
 *
 * A file's name in `/assets/` holds the hash of its content, so a browser keeps it for good; the page
 * itself it asks about at each visit, and an ETag spares it the rest.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { chooseEncoding, type Encoding } from './encoding.ts';

/** Where the build puts it, in the image as in a checkout. */
export const PAGE_FOLDER = fileURLToPath(new URL('../../dashboard/dist', import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
};

/** As the build names them, best first. */
const COMPRESSED = { br: '.br', gzip: '.gz' } as const;

const ASK_EACH_TIME = 'no-cache';
const KEEP_FOR_GOOD = 'max-age=31536000, immutable';

const NOT_BUILT = `The dashboard's page has not been built here; the API is there all the same.

  make up                      builds it and starts the lab
  npx vite build dashboard     builds it alone; then start the server anew
`;

interface Variant {
  readonly content: Buffer;
  readonly etag: string;
}

interface PageFile {
  readonly type: string;
  readonly cacheControl: string;
  /** In the order of preference. */
  readonly variants: ReadonlyMap<Encoding, Variant>;
}

/** @param folder what the build has made; a page that says how to build it where nothing is. */
export function addPage(app: FastifyInstance, folder: string): void {
  if (!existsSync(join(folder, 'index.html'))) {
    app.get('/', { schema: { hide: true } }, (_request, reply) =>
      reply.code(503).type('text/plain; charset=utf-8').send(NOT_BUILT),
    );
    return;
  }
  addFile(app, '/', readFile(join(folder, 'index.html'), ASK_EACH_TIME));
  const assets = join(folder, 'assets');
  for (const name of existsSync(assets) ? readdirSync(assets) : []) {
    if (!Object.hasOwn(TYPES, extname(name))) continue; // the compressed copies
    addFile(app, `/assets/${name}`, readFile(join(assets, name), KEEP_FOR_GOOD));
  }
}

function readFile(path: string, cacheControl: string): PageFile {
  const variants = new Map<Encoding, Variant>();
  for (const [encoding, ending] of Object.entries(COMPRESSED)) {
    if (!existsSync(path + ending)) continue;
    variants.set(encoding as Encoding, variantOf(readFileSync(path + ending)));
  }
  variants.set('identity', variantOf(readFileSync(path)));
  return { type: TYPES[extname(path)] ?? '', cacheControl, variants };
}

function variantOf(content: Buffer): Variant {
  const digest = createHash('sha256').update(content).digest('base64url').slice(0, 22);
  return { content, etag: `"${digest}"` };
}

function addFile(app: FastifyInstance, url: string, file: PageFile): void {
  app.get(url, { schema: { hide: true } }, (request, reply) => send(file, request, reply));
}

function send(file: PageFile, { headers }: FastifyRequest, reply: FastifyReply): FastifyReply {
  const offered = [...file.variants.keys()];
  const encoding = chooseEncoding(headers['accept-encoding'], offered);
  const { content, etag } = file.variants.get(encoding) as Variant;
  reply.headers({ 'cache-control': file.cacheControl, vary: 'accept-encoding', etag });
  if (isHeld(headers['if-none-match'], etag)) return reply.code(304).send();
  if (encoding !== 'identity') reply.header('content-encoding', encoding);
  return reply.type(file.type).send(content);
}

/** Whether a browser that asks with If-None-Match has it. */
function isHeld(header: string | undefined, etag: string): boolean {
  const held = header?.split(',').map((one) => one.trim().replace(/^W\//, '')) ?? [];
  return held.includes('*') || held.includes(etag);
}
