/**
 * Builds the dashboard into `dist/`, which the server serves. Every file but the page itself has the
 * hash of its content in its name, so that a browser may keep it for good.
 */
import { defineConfig } from 'vite';

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
  },
});
