/** `weirgate simulate`: what would become of recorded traffic with this configuration. Asks no upstream. */
import { Console, Duration, Effect, FileSystem, Redacted, Result } from "effect"
import { configured } from "../config/configured.ts"
import { parse, type SettingsFile } from "../config/SettingsFile.ts"
import { mean, quantile } from "../simulation/figures.ts"
import type { Figure, Outcome } from "../simulation/outcome.ts"
import { htmlOf } from "../simulation/report.ts"
import { parseScenario, scenarioOf } from "../simulation/scenario.ts"
import { simulate, SimulationInvalid } from "../simulation/Simulation.ts"
import { readTrace } from "../simulation/trace.ts"
import { FileRefused } from "./config.ts"
import { table } from "./table.ts"

export interface SimulateOptions {
  readonly trace: string
  readonly config: string
  readonly speed: number | undefined
  readonly load: number | undefined
  readonly peak: number | undefined
  readonly model: string | undefined
  readonly clients: number
  readonly seed: string
  readonly scenario: string | undefined
  readonly report: string | undefined
  readonly json: boolean
  /** Fails when a figure is missed. */
  readonly check: boolean
}

export const run = Effect.fnUntraced(function* (options: SimulateOptions) {
  const fs = yield* FileSystem.FileSystem
  const outcome = yield* outcomeOf(options)
  if (options.report !== undefined) yield* fs.writeFileString(options.report, yield* htmlOf(outcome))
  yield* Console.log(options.json ? JSON.stringify(outcome) : textOf(outcome))
  if (options.report !== undefined && !options.json) yield* Console.log(`\nreport       ${options.report}`)
  const missed = outcome.figures.filter(({ met }) => !met).map(({ name }) => name)
  if (options.check && missed.length > 0) {
    return yield* new SimulationInvalid({ field: "check", reason: `missed: ${missed.join(", ")}` })
  }
})

const outcomeOf = Effect.fnUntraced(function* (options: SimulateOptions) {
  const fs = yield* FileSystem.FileSystem
  const { file, ...configuration } = yield* configurationOf(yield* fs.readFileString(options.config), options.config)
  const { providers, routes, traffic } = configuration
  const scenario = yield* scenarioFrom(options.scenario, providers)
  const trace = yield* readTrace(yield* fs.readFileString(options.trace), options.trace)
  const model = options.model ?? routes[0]?.model
  if (model === undefined) {
    return yield* new SimulationInvalid({ field: "model", reason: "the configuration has no routes: say which model" })
  }
  const pace = yield* paceOf(options)
  const outcome = yield* simulate({
    broker: { ...file, providers, routes, traffic },
    scenario,
    trace,
    name: options.trace.split(/[/\\]/).at(-1) ?? options.trace,
    model,
    pace,
    clients: options.clients,
    seed: options.seed,
    ...(process.stderr.isTTY && { progress: (done, at) => shownProgress(done, trace.length, at) })
  })
  if (process.stderr.isTTY) yield* Effect.sync(() => void process.stderr.write("\r\u001B[K"))
  return outcome
})

const paceOf = ({ load, peak, speed }: SimulateOptions) => {
  const given = [
    ...(speed === undefined ? [] : [["speed", speed, { speed }] as const]),
    ...(load === undefined ? [] : [["load", load, { load }] as const]),
    ...(peak === undefined ? [] : [["peak", peak, { peak }] as const])
  ]
  const [first = ["speed", 1, { speed: 1 }] as const, second] = given
  const [field, value, pace] = first
  if (second !== undefined) {
    return Effect.fail(new SimulationInvalid({ field: second[0], reason: `a ${field} is given already` }))
  }
  return value > 0 && Number.isFinite(value)
    ? Effect.succeed(pace)
    : Effect.fail(new SimulationInvalid({ field, reason: `expected a number above 0, got ${value}` }))
}

const barWidth = 30

/** In place of the line before, at each minute of virtual time. */
const shownProgress = (done: number, all: number, at: number) =>
  Effect.sync(() => {
    if (at % 60_000 !== 0) return
    const filled = Math.round((done / all) * barWidth)
    const bar = "█".repeat(filled) + "░".repeat(barWidth - filled)
    process.stderr.write(`\r\u001B[K${bar} ${done} of ${all} requests, ${clockOf(at)}`)
  })

/** Nothing is sent, so no secret is needed: each is taken for set. */
const configurationOf = (text: string, file: string) => {
  const read = parse(text)
  if (Result.isFailure(read)) return Effect.fail(new FileRefused({ file, problems: read.failure }))
  const made = configured(read.success, () => Redacted.make("simulated"))
  return made.problems.length > 0
    ? Effect.fail(new FileRefused({ file, problems: made.problems }))
    : Effect.succeed({ ...made.configured, file: brokerOf(read.success) })
}

/** What of it holds for the layers as it stands. */
const brokerOf = ({ acquisition = {}, pool = {} }: SettingsFile) => ({ acquisition, pool })

const scenarioFrom = Effect.fnUntraced(function* (
  file: string | undefined,
  providers: Parameters<typeof scenarioOf>[1]
) {
  const fs = yield* FileSystem.FileSystem
  const text = file === undefined ? "{}" : yield* fs.readFileString(file)
  const made = Result.flatMap(parseScenario(text), (read) => scenarioOf(read, providers))
  return Result.isFailure(made)
    ? yield* new FileRefused({ file: file ?? "the scenario", problems: [made.failure] })
    : made.success
})

const textOf = ({ figures, latencies, leastMeanWaitMs, providers, requests, scenario, waits }: Outcome): string =>
  [
    `trace        ${scenario.trace}: ${scenario.rows} requests in ${clockOf(scenario.lengthMs)}, ${rounded(scenario.speed)} times as fast as recorded`,
    `asked for    ${scenario.model}, seed ${scenario.seed}`,
    `capacity     ${rounded(scenario.capacityPerMinute)} requests a minute; asked for on average ${percent(scenario.meanLoad)} of it, in the busiest minute ${percent(scenario.busiestMinuteLoad)}`,
    "",
    table(
      ["", "figure", "reached", "goal"],
      figures.map((figure) => [figure.met ? "✓" : "✗", figure.name, shown(figure, figure.value), goalOf(figure)])
    ),
    "",
    table(
      ["provider", "calls", "served", "429", "failed", "limit in use while waiting *", "waited for"],
      providers.map(({ calls, failed, name, served, throttled, useWhileWaiting, waitingMs }) => [
        name,
        calls,
        served,
        throttled,
        failed,
        useWhileWaiting === undefined ? "–" : percent(useWhileWaiting),
        clockOf(waitingMs)
      ])
    ),
    "* of the time in which it could be used: neither out of order nor without a usable key",
    "",
    `requests     ${requests.asked} asked, ${requests.answered} answered, ${requests.refused} refused, ${requests.failed} failed${reasonsOf(requests.reasons)}`,
    `in line      mean ${seconds(mean(waits))} (an ideal dispatcher's${requests.refused > 0 ? ", which refuses nobody" : ""}: ${seconds(leastMeanWaitMs)}), half within ${seconds(quantile(waits, 0.5))}, 90 % within ${seconds(quantile(waits, 0.9))}, 99 % within ${seconds(quantile(waits, 0.99))}, longest ${seconds(waits.at(-1) ?? 0)}`,
    `answered in  half within ${seconds(quantile(latencies, 0.5))}, 99 % within ${seconds(quantile(latencies, 0.99))}`
  ].join("\n")

const reasonsOf = (reasons: Readonly<Record<string, number>>) => {
  const all = Object.entries(reasons).map(([tag, times]) => `${tag} ${times}`)
  return all.length === 0 ? "" : ` (${all.join(", ")})`
}

const shown = ({ unit }: Figure, value: number) => (unit === "ms" ? seconds(value) : percent(value))
const goalOf = (figure: Figure) => `${figure.bound === "below" ? "below" : "at least"} ${shown(figure, figure.goal)}`
/** Rounded down near the whole: what is not all must not look like it. */
const percent = (share: number) =>
  share > 0.99 && share < 1 ? `${(Math.floor(share * 10_000) / 100).toFixed(2)} %` : `${(share * 100).toFixed(1)} %`
const seconds = (ms: number) => `${(ms / 1_000).toFixed(2)} s`
const rounded = (value: number) => String(Math.round(value * 100) / 100)
const clockOf = (ms: number) => Duration.format(Duration.seconds(Math.round(ms / 1_000)))
