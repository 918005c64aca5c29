import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// Hundreds of programs are started by tests; ./holdfast sets the same.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, '.tools', 'compile-cache');

export default defineConfig({
  test: {
    teardownTimeout: 60_000,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'ground',
          include: ['test/ground/**/*.test.ts'],
          // A whole lab is brought up, harmed and healed.
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'library',
          include: ['test/library/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'simulation',
          include: ['test/simulation/**/*.test.ts'],
          testTimeout: 600_000,
          // Hunts of mutants side by side, each a process.
          maxConcurrency: 2,
        },
      },
      {
        test: {
          name: 'api',
          include: ['test/api/**/*.test.ts'],
          testTimeout: 600_000,
        },
      },
      {
        test: {
          name: 'hostile',
          include: ['test/hostile/**/*.test.ts'],
          // The longest deadline of the protocol, the handshake's, takes a minute; all that wait for
          // one do it side by side.
          maxConcurrency: 20,
          testTimeout: 180_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          // Each file is a lab and a browser.
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          fileParallelism: false,
          // Stacks of containers side by side, within what two cores carry.
          maxConcurrency: 3,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
