/** Preloaded into a server: on SIGUSR2 collects garbage and appends what is left to the file named by `BENCH_MEMORY`. */
import { appendFileSync } from "node:fs"

const { BENCH_MEMORY: file } = process.env
process.on("SIGUSR2", () => {
  globalThis.gc?.()
  // What lies outside the heap is freed by another thread, a little later.
  setTimeout(() => {
    globalThis.gc?.()
    if (file !== undefined) appendFileSync(file, `${JSON.stringify(process.memoryUsage())}\n`)
  }, 500)
})
