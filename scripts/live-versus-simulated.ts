/**
 * The same traffic twice: for ten real minutes through a real server and the sandbox, and through the simulation. Prints both
 * and by how much they differ.
 *
 *     node scripts/live-versus-simulated.ts [--minutes 10] [--load 0.8] [--runs 1]
 *
 * Everything stays on this machine. Both replay the busiest minutes of scripts/traces/azure-llm-code-2023.csv, at the speed at
 * which they ask for `load` of what the providers of scripts/five-providers.json can serve. Chance is the only thing that is not
 * the same: how long each call takes differs by up to a fifth from what its tokens take. What that alone does to a figure is
 * told by simulations with other seeds.
 */
import { Duration, Effect, Redacted, Result } from "effect"
import { spawn } from "node:child_process"
import { randomInt } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { Agent, request } from "undici"
import { table } from "../src/cli/table.ts"
import { configured } from "../src/config/configured.ts"
import { parse } from "../src/config/SettingsFile.ts"
import type { PerformanceReport } from "../src/http/performanceReport.ts"
import { usualService } from "../src/sandbox/openai/serviceTime.ts"
import { mean, quantile } from "../src/simulation/figures.ts"
import { capacityPerMinute } from "../src/simulation/ideal.ts"
import { interval, Meter } from "../src/simulation/meter.ts"
import { parseScenario, scenarioOf } from "../src/simulation/scenario.ts"
import { simulate } from "../src/simulation/Simulation.ts"
import { type Arrival, atSpeed, mostWithin, readTrace } from "../src/simulation/trace.ts"

const { values: flags } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    load: { type: "string", default: "0.8" },
    runs: { type: "string", default: "1" }
  }
})
const [minutes, load, runs] = [Number(flags.minutes), Number(flags.load), Number(flags.runs)]

const model = "expert"
const clients = 20
/** Of the simulations that tell what chance does. */
const seeds = Array.from({ length: 40 }, (_, index) => `seed ${index + 1}`)
const configFile = "scripts/five-providers.json"
const traceFile = "scripts/traces/azure-llm-code-2023.csv"

/** What is compared. */
interface Run {
  readonly requests: {
    readonly asked: number
    readonly answered: number
    readonly refused: number
    readonly failed: number
  }
  /** Milliseconds in line, ascending. */
  readonly waits: ReadonlyArray<number>
  readonly latencies: ReadonlyArray<number>
  readonly providers: ReadonlyArray<{
    readonly name: string
    readonly calls: number
    readonly throttled: number
    readonly useWhileWaiting: number | undefined
  }>
}

const { broker, providers, scenario } = (() => {
  const file = Result.getOrThrow(parse(readFileSync(configFile, "utf8")))
  const { providers, routes, traffic } = configured(file, () => Redacted.make("none")).configured
  const scenario = Result.getOrThrow(Result.flatMap(parseScenario("{}"), (read) => scenarioOf(read, providers)))
  return { broker: { providers, routes, traffic }, providers: providers.map(({ name }) => name), scenario }
})()

const whole = await Effect.runPromise(readTrace(readFileSync(traceFile, "utf8"), traceFile))
const capacity = capacityPerMinute(whole, [...scenario.upstreams.values()])
const length = minutes * 60_000

/** At this speed the busiest minutes ask for the load. */
const speed = (() => {
  let [slow, fast] = [1e-3, 1e3]
  for (let i = 0; i < 50; i++) {
    const middle = Math.sqrt(slow * fast)
    if (mostWithin(whole, length * middle) < load * capacity * minutes) slow = middle
    else fast = middle
  }
  return fast
})()

/** The rows of those minutes, from zero, at the pace of the recording. */
const rows = ((): ReadonlyArray<Arrival> => {
  const within = (first: Arrival) => whole.filter(({ at }) => at >= first.at && at < first.at + length * speed)
  const counts = whole.map((first) => within(first).length)
  const first = whole[counts.indexOf(Math.max(...counts))]
  return first === undefined ? [] : within(first).map((row) => ({ ...row, at: row.at - first.at }))
})()

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer()
    const port = randomInt(10_000, 32_000)
    server.once("error", () => resolve(freePort()))
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(port)))
  })

const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 })

const ask = async (url: string, body?: unknown, headers: Record<string, string> = {}) => {
  const answer = await request(url, {
    dispatcher,
    method: body === undefined ? "GET" : "POST",
    headers: { "content-type": "application/json", ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() }
}

/** A question of so many tokens, by whose answer only `max_tokens` sets the length. */
const questionOf = ({ completion, prompt }: Arrival) => ({
  model,
  messages: [{ role: "user", content: "count to 10000".padEnd(prompt * 4, " .").slice(0, Math.max(14, prompt * 4)) }],
  max_tokens: completion
})

const play = async (): Promise<Run> => {
  const folder = mkdtempSync(join(tmpdir(), "weirgate-live-"))
  const [port, sandboxPort] = [await freePort(), await freePort()]
  const [url, sandbox] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${sandboxPort}`]
  const server = spawn(process.execPath, ["src/main.ts", "serve", "--log-level", "warn"], {
    env: {
      PATH: process.env["PATH"],
      WEIRGATE_PORT: `${port}`,
      WEIRGATE_SANDBOX_PORT: `${sandboxPort}`,
      WEIRGATE_DATA: folder,
      WEIRGATE_CONFIG: configFile
    },
    stdio: ["ignore", "ignore", "inherit"]
  })
  try {
    while (
      !(await ask(`${url}/readyz`).then(
        ({ status }) => status === 200,
        () => false
      ))
    )
      await sleep(100)
    const { firstToken, perThousandPrompt, perToken } = usualService
    const service = {
      firstToken: Duration.toMillis(firstToken),
      perThousandPrompt: Duration.toMillis(perThousandPrompt),
      perToken: Duration.toMillis(perToken),
      jitter: scenario.jitter
    }
    for (const provider of providers) await ask(`${sandbox}/_sandbox/limits`, { provider, service })
    return await replay(url, sandbox)
  } finally {
    server.kill()
    await new Promise((resolve) => server.once("exit", resolve))
    rmSync(folder, { recursive: true, force: true })
  }
}

const replay = async (url: string, sandbox: string): Promise<Run> => {
  const paced = atSpeed(rows, speed)
  const requests = { asked: 0, answered: 0, refused: 0, failed: 0 }
  const waits: Array<number> = []
  const latencies: Array<number> = []
  const meter = new Meter(providers)
  const startedAt = performance.now() + 1_000
  const now = () => performance.now() - startedAt

  const one = async (arrival: Arrival, ordinal: number) => {
    await sleep(Math.max(0, arrival.at - now()))
    requests.asked++
    const { headers, status } = await ask(`${url}/v1/chat/completions`, questionOf(arrival), {
      "x-weirgate-client": `client-${(ordinal % clients) + 1}`
    })
    if (Number(headers["x-weirgate-attempts"]) > 0) waits.push(Number(headers["x-weirgate-queue-ms"]))
    if (status === 200) {
      requests.answered++
      latencies.push(now() - arrival.at)
    } else if (status === 429 || status === 503) requests.refused++
    else requests.failed++
  }

  const over = new AbortController()
  const watching = (async () => {
    for (let at = 0; !over.signal.aborted; at += interval) {
      await sleep(Math.max(0, at - now()))
      const { timestamp, traffic }: PerformanceReport = JSON.parse((await ask(`${url}/v1/performance`)).text)
      const standings = traffic.providers.map((provider) => ({
        ...provider,
        inUse: provider.in_use,
        lastMinute: provider.last_minute,
        heldUntil: provider.held_until ?? undefined,
        targets: provider.targets.map((target) => ({
          ...target,
          until: target.until ?? undefined,
          source: target.source ?? undefined
        }))
      }))
      meter.look(at, traffic.waiting, standings, timestamp * 1_000)
    }
  })()
  const telling = setInterval(() => {
    process.stderr.write(`${Math.round(now() / 1_000)} s: ${requests.asked} asked, ${requests.answered} answered\n`)
  }, 30_000)
  await Promise.all(paced.map(one))
  over.abort()
  clearInterval(telling)
  await watching

  const { openai } = JSON.parse((await ask(`${sandbox}/_sandbox/stats`)).text)
  return {
    requests,
    waits: waits.toSorted((a, b) => a - b),
    latencies: latencies.toSorted((a, b) => a - b),
    providers: providers.map((name) => ({
      name,
      calls: openai[name].chat.total,
      throttled: openai[name].refusedByLimit,
      useWhileWaiting: meter.of(name).useWhileWaiting
    }))
  }
}

const simulated = (seed: string): Promise<Run> =>
  Effect.runPromise(simulate({ broker, scenario, trace: rows, name: traceFile, model, pace: { speed }, clients, seed }))

const seconds = (ms: number) => `${(ms / 1_000).toFixed(2)} s`
const percent = (share: number) => `${(share * 100).toFixed(1)} %`
const number = (value: number) => `${Math.round(value * 10) / 10}`

/** What is compared: how it is told, and where it is found in a run. */
const figures: ReadonlyArray<readonly [string, (value: number) => string, (run: Run) => number]> = [
  ["mean wait", seconds, ({ waits }) => mean(waits)],
  ["wait, p50", seconds, ({ waits }) => quantile(waits, 0.5)],
  ["wait, p90", seconds, ({ waits }) => quantile(waits, 0.9)],
  ["wait, p99", seconds, ({ waits }) => quantile(waits, 0.99)],
  ["answered in, mean", seconds, ({ latencies }) => mean(latencies)],
  ["answered", number, ({ requests }) => requests.answered],
  ["refused", number, ({ requests }) => requests.refused],
  ["failed", number, ({ requests }) => requests.failed],
  ["upstream 429s", number, ({ providers }) => providers.reduce((sum, { throttled }) => sum + throttled, 0)],
  ...providers.map((name) => [`calls of ${name}`, number, (run: Run) => of(run, name).calls] as const),
  ...providers.map(
    (name) => [`${name} in use while waiting`, percent, (run: Run) => of(run, name).useWhileWaiting ?? 0] as const
  )
]

const of = (run: Run, name: string) =>
  run.providers.find((provider) => provider.name === name) ?? { calls: 0, throttled: 0, useWhileWaiting: undefined }

const difference = (value: number, from: number): string => {
  if (from === 0) return value === 0 ? "none" : "–"
  return `${value < from ? "−" : "+"}${Math.abs((value / from - 1) * 100).toFixed(1)} %`
}

const print = (text: string) => process.stdout.write(`${text}\n`)
const asked = rows.length / minutes
print(
  `${rows.length} requests in ${minutes} minutes from ${clients} clients, ${speed.toFixed(2)} times as fast as recorded:`
)
print(
  `${asked.toFixed(0)} a minute, ${percent(asked / capacity)} of what the providers can serve; in the busiest minute`
)
print(`${percent(mostWithin(atSpeed(rows, speed), 60_000) / capacity)}.\n`)

const lives: Array<Run> = []
for (let run = 0; run < runs; run++) lives.push(await play())
await dispatcher.close()
const others: Array<Run> = []
for (const seed of seeds) others.push(await simulated(seed))

print(
  table(
    ["", ...lives.map((_, run) => (runs === 1 ? "live" : `live ${run + 1}`)), "simulated", "difference", "by chance"],
    figures.map(([name, told, read]) => {
      const expected = mean(others.map(read))
      const astray = others.map((other) => Math.abs(read(other) - expected)).toSorted((a, b) => a - b)
      return [
        name,
        ...lives.map((live) => told(read(live))),
        told(expected),
        difference(mean(lives.map(read)), expected),
        expected === 0 ? "" : `± ${((quantile(astray, 0.9) / expected) * 100).toFixed(1)} %`
      ]
    })
  )
)
print(`
simulated   the mean of ${seeds.length} seeds
by chance   nine in ten of them are within this of it: what other draws of the calls' lengths make of the same traffic`)
