/**
 * Builds the dashboard into `dist/`, which the server serves; and serves it from its sources while
 * somebody works on it (`npx vite dashboard`), with the API of a server that runs. Every file but
 * the page itself has the hash of its content in its name, so that a browser may keep it for good.
 */
import { defineConfig } from 'vite';
import { compress } from './build/compress.ts';

/** Of a lab that is up; another one is named by HOLDFAST_API. */
const API = process.env.HOLDFAST_API ?? 'http://127.0.0.1:8080';
const PATHS_OF_SERVER = ['/api', '/metrics', '/healthz', '/readyz'];

export default defineConfig({
  root: import.meta.dirname,
  base: '/',
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'baseline-widely-available',
    // The policy of the server allows no script and no style within the page.
    assetsInlineLimit: 0,
    modulePreload: false,
    // Ours says more (build/compress.ts).
    reportCompressedSize: false,
  },
  plugins: [compress({ firstViewBytesMax: 150_000 })],
  server: {
    host: '127.0.0.1',
    // Under its own name, and with an Origin that is its own: else it takes us for another site.
    proxy: Object.fromEntries(
      PATHS_OF_SERVER.map((path) => [
        path,
        { target: API, changeOrigin: true, headers: { origin: API } },
      ]),
    ),
  },
});
