import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { defineConfig } from "vitest/config"
import { LongestFirst } from "./support/LongestFirst.ts"

// Each worker, and each process that a test starts, imports the same thousand modules: they are compiled once.
process.env["NODE_COMPILE_CACHE"] ??= join(tmpdir(), "weirgate-compile-cache")

/** Those that run the whole program, or a browser: each file has a process of its own. */
const whole = [
  "test/acceptance/**/*.test.ts",
  "test/console/**/*.test.ts",
  "test/package/**/*.test.ts",
  "test/**/*.browser.test.ts"
]

export default defineConfig({
  root: dirname(import.meta.dirname),
  test: {
    disableConsoleIntercept: true,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // The longest tests wait for processes of their own more than they work.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: "whole", include: whole } },
      // No state outlives a test in these, so one import of everything serves many files.
      { extends: true, test: { name: "parts", include: ["test/**/*.test.ts"], exclude: whole, isolate: false } }
    ]
  }
})
