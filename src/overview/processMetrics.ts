/** What a process is and takes, under the names that Prometheus' own clients use where they have one. */
import { Effect, Metric } from "effect"
import { performance } from "node:perf_hooks"
import { version } from "../version.ts"

const build = Metric.gauge("weirgate_build_info", { description: "1; which version runs" })
const startTime = Metric.gauge("process_start_time_seconds", {
  description: "When the process began, in seconds since the epoch"
})
const cpu = Metric.counter("process_cpu_seconds_total", {
  description: "Time of a processor that the process has used, in seconds",
  incremental: true
})
const resident = Metric.gauge("process_resident_memory_bytes", {
  description: "Memory that the process holds, in bytes"
})
const heap = Metric.gauge("nodejs_heap_size_used_bytes", {
  description: "Memory that JavaScript's objects take, in bytes"
})
const busy = Metric.counter("weirgate_event_loop_seconds_total", {
  description: "Time in which the event loop was at work, in seconds: with one second a second nothing more fits in",
  incremental: true
})

const cpuSeconds = () => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1e6
}

/** There until the scope closes; each is read when it is looked at. */
export const registered = Effect.gen(function* () {
  const context = yield* Effect.context<never>()
  const ofGauge = (gauge: Metric.Gauge<number>, read: () => number) =>
    Metric.registerUnsafe(gauge, context, { get: () => ({ value: read() }), update: ignored, modify: ignored })
  const ofCounter = (counter: Metric.Counter<number>, read: () => number) =>
    Metric.registerUnsafe(counter, context, {
      get: () => ({ count: read(), incremental: true }),
      update: ignored,
      modify: ignored
    })
  const series = [
    ofGauge(Metric.withAttributes(build, { version }), () => 1),
    ofGauge(startTime, () => performance.timeOrigin / 1_000),
    ofGauge(resident, () => process.memoryUsage.rss()),
    ofGauge(heap, () => process.memoryUsage().heapUsed),
    ofCounter(cpu, cpuSeconds),
    ofCounter(busy, () => performance.eventLoopUtilization().active / 1_000)
  ]
  yield* Effect.addFinalizer(() => Effect.sync(() => series.forEach((one) => one.remove())))
})

const ignored = () => undefined
