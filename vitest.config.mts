import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// Tests of pure parts import from ../src; tests of the whole start fixture programs, which load the built package from
// dist/ by its own name. A test file that imports '@shellflip/node' gets the same built instance.
export default defineConfig({
  resolve: { alias: { '@shellflip/node': fileURLToPath(new URL('./dist/index.mjs', import.meta.url)) } },
  test: {
    include: ['__test__/**/*.test.ts'],
    pool: 'forks',
    // Each test file starts real processes: two at a time keep a two-core machine honest.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    server: { deps: { external: [/\/dist\//, /\/src\/native\//] } },
  },
})
