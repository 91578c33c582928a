import { dirname } from "node:path"
import { defineConfig } from "vitest/config"

export default defineConfig({
  root: dirname(import.meta.dirname),
  test: { include: ["test/**/*.test.ts"], disableConsoleIntercept: true, testTimeout: 30_000, hookTimeout: 30_000 }
})
