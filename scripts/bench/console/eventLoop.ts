/** Loaded into a server by `--import`: tells its parent on request how long its event loop was held up since the request before. */
import { monitorEventLoopDelay } from "node:perf_hooks"

const delays = monitorEventLoopDelay({ resolution: 5 })
delays.enable()
let before = process.cpuUsage()
let at = performance.now()

process.on("message", () => {
  const { system, user } = process.cpuUsage(before)
  const cpu = (system + user) / 1_000
  process.send?.({
    p99: delays.percentile(99) / 1e6,
    max: delays.max / 1e6,
    cpu,
    wall: performance.now() - at
  })
  delays.reset()
  before = process.cpuUsage()
  at = performance.now()
})
// The server ends when it is told to, though its parent listens.
process.channel?.unref()
