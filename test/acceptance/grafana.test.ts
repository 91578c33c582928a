/** The Grafana dashboard asks only for what `/metrics` has. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { globSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { get, post, running, temporaryFolder } from "../support/running.ts"
import { eventually, login, sandboxAt, send } from "../support/staged.ts"

const file = "scripts/grafana/weirgate.json"

interface Target {
  readonly refId: string
  readonly expr: string
  readonly legendFormat?: string
  readonly datasource: { readonly uid: string }
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly datasource?: { readonly uid: string }
  readonly targets?: ReadonlyArray<Target>
  readonly panels?: ReadonlyArray<Panel>
}

interface Variable {
  readonly name: string
  readonly type: string
  readonly query: string | { readonly query: string }
}

const text = readFileSync(file, "utf8")
const dashboard: {
  readonly __inputs: ReadonlyArray<object>
  readonly schemaVersion: number
  readonly panels: ReadonlyArray<Panel>
  readonly templating: { readonly list: ReadonlyArray<Variable> }
} = JSON.parse(text)

const everyPanel = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])])
const drawn = everyPanel.filter(({ type }) => type !== "row")
const variables = dashboard.templating.list
const queried = variables
  .filter(({ type }) => type === "query")
  .map(({ name, query }) => ({ title: `variable ${name}`, expr: typeof query === "string" ? query : query.query }))
const asked = [...drawn.flatMap(({ targets = [], title }) => targets.map(({ expr }) => ({ title, expr }))), ...queried]

type Kind = "counter" | "gauge" | "histogram"

interface Metric {
  readonly kind: Kind
  readonly labels: Set<string>
  /** Values of labels that were seen, as `label=value`. */
  readonly values: Set<string>
}

/** What Prometheus adds to all that it reads from one server. */
const ofTheScrape = ["instance", "job"]

/** Prometheus's exposition format. */
const exposed = (page: string): Map<string, Metric> => {
  const metrics = new Map<string, Metric>()
  for (const line of page.split("\n")) {
    const [, typed = "", kind] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? []
    if (kind !== undefined) metrics.set(typed, { kind: kind as Kind, labels: new Set(), values: new Set() })
    const [, sample, labels = ""] = /^(\w+)(?:\{(.*)\})? \S+$/.exec(line) ?? []
    const metric = sample === undefined ? undefined : metrics.get(baseOf(sample, metrics))
    for (const [, label = "", value = ""] of labels.matchAll(/(\w+)="([^"]*)"/g)) {
      metric?.labels.add(label)
      metric?.values.add(`${label}=${value}`)
    }
  }
  return metrics
}

/** A histogram's name without what it ends in when it is read. */
const baseOf = (sample: string, metrics: ReadonlyMap<string, Metric>) => {
  const base = sample.replace(/_(?:bucket|sum|count)$/, "")
  return metrics.get(base)?.kind === "histogram" ? base : sample
}

/**
 * What takes a week, a failing disk, or two requests within the same millisecond to show: of these the sources are asked.
 * All else that the dashboard asks for has to be on the page.
 */
const notProvoked = new Set([
  "weirgate_tokens_retired_total",
  "weirgate_pool_store_failures_total",
  "weirgate_acquisition_limited_total",
  "weirgate_predictions_total"
])

/** The server's; the client's metrics are on another page. */
const sources = globSync("src/**/*.ts")
  .filter((path) => !path.startsWith(join("src", "client")))
  .map((path) => readFileSync(path, "utf8"))

const declaration = /const (\w+) = Metric\.(counter|gauge|histogram)\("(\w+)"/g

/** The labels that a metric is ever given stand in the file that declares it. */
const declared = sources.flatMap((source) =>
  [...source.matchAll(declaration)].map(([, variable = "", kind, name = ""]): readonly [string, Metric] => {
    const given = [...source.matchAll(new RegExp(`withAttributes\\(${variable}, \\{([^}]*)\\}`, "g"))]
    const fields = given.flatMap(([, fields = ""]) => fields.split(","))
    const labels = new Set(fields.map((field) => field.split(":")[0]?.trim() ?? ""))
    return [name, { kind: kind as Kind, labels, values: new Set() }]
  })
)

interface Selector {
  /** As it is read: of a histogram with its ending. */
  readonly sample: string
  readonly matchers: ReadonlyArray<{ readonly label: string; readonly value: string }>
  readonly isRange: boolean
}

const selectorsOf = (expr: string): ReadonlyArray<Selector> =>
  [...expr.matchAll(/\b(weirgate_\w+)(?:\{([^}]*)\})?(\[)?/g)].map(([, sample = "", matchers = "", range]) => ({
    sample,
    isRange: range !== undefined,
    matchers: [...matchers.matchAll(/(\w+)=~?"([^"]*)"/g)].map(([, label = "", value = ""]) => ({ label, value }))
  }))

/** Labels that stand outside of braces: those of a grouping, and that whose values a variable has. */
const groupedBy = (expr: string) =>
  [...expr.matchAll(/\bby \(([^)]*)\)|label_values\(.*, (\w+)\)$/g)].flatMap(([, list = "", label = list]) =>
    label.split(", ")
  )

const language = new Set("sum by or unless offset rate increase histogram_quantile vector label_values".split(" "))

/** Words that are neither metrics of ours, nor labels, variables and PromQL's own. */
const strangersOf = (expr: string) =>
  [
    ...expr.replaceAll(/\{[^}]*\}|\[[^\]]*\]|\bby \([^)]*\)|, \w+\)$|\$\w+|\b[\d.]+[smhd]?\b/g, " ").matchAll(/\w+/g)
  ].flatMap(([word]) => (word.startsWith("weirgate_") || language.has(word) ? [] : [word]))

const openai = (name: string, model: string, keys: ReadonlyArray<string>, rpm: number | "unlimited") => ({
  name,
  kind: "openai",
  baseUrl: `sandbox:/${name}/v1`,
  keys: keys.map((key) => `sandbox-${name}-${key}`),
  concurrency: "unlimited",
  rpm,
  models: [model]
})

const configured = Effect.fnUntraced(function* (config: object, env: Readonly<Record<string, string>> = {}) {
  const path = join(yield* temporaryFolder, "weirgate.json")
  writeFileSync(path, JSON.stringify(config))
  const server = yield* running({ WEIRGATE_CONFIG: path, ...env })
  const ask = (model: string, extra: object = {}) =>
    post(`${server.url}/v1/chat/completions`, { model, messages: [{ role: "user", content: "hi" }], ...extra })
  return { ...server, ask, sandbox: sandboxAt(server.sandbox) }
})

const times = (n: number) => Array.from({ length: n })

/** Tokens are made at an emulated Warp until the budget is used up. */
const acquiring = Effect.gen(function* () {
  const config = { acquisition: { hourly: 2, interval: "1 milli", alertAbove: 1 } }
  const { ask, url } = yield* configured(config, { WEIRGATE_SANDBOX_TOKENS: "none" })
  yield* Effect.forEach(times(60), () => ask("auto"))
  return url
})

/** Providers serve, refuse and fail; somebody logs in, makes a key, reads the drive, borrows tokens and disables them. */
const atWork = Effect.gen(function* () {
  const server = yield* configured({
    traffic: { maxWait: "1 second" },
    providers: [
      openai("nvidia1", "llama-3.3-70b", ["a", "b"], "unlimited"),
      openai("zhipu", "glm-4.5", ["a"], "unlimited"),
      openai("siliconflow", "deepseek-v3", ["a"], 1)
    ]
  })
  const { ask, sandbox, url } = server
  yield* ask("nvidia1/llama-3.3-70b")
  yield* ask("nvidia1/llama-3.3-70b", { stream: true })
  // Its minute is full with the first.
  yield* Effect.forEach(times(2), () => ask("siliconflow/deepseek-v3"))
  yield* sandbox.faults(
    { call: "chat", times: null, provider: "nvidia1", kind: "rate_limit", retryAfter: 1 },
    { call: "chat", times: null, provider: "zhipu", kind: "server_error" }
  )
  yield* Effect.forEach(times(6), () => ask("zhipu/glm-4.5"))
  yield* Effect.forEach(times(2), () => ask("nvidia1/llama-3.3-70b"))

  const { headers } = yield* login(server)
  yield* post(`${url}/api/admin/login`, { password: "synthetic-and-wrong" })
  yield* send(`${url}/api/admin/keys`, "POST", headers, { name: "reader", role: "inference" })
  yield* sandbox.expire("account-1")
  yield* sandbox.expire("account-2")
  yield* get(`${url}/api/folders`, headers)
  const lent = yield* get(`${url}/api/token/get`, headers)
  const report = { lease: lent.json.data.lease, success: true }
  yield* Effect.forEach(times(2), () => send(`${url}/api/token/report`, "POST", headers, report))
  const { tokens } = (yield* get(`${url}/api/token/stats`, headers)).json.data
  for (const { token } of tokens) {
    yield* send(`${url}/api/admin/tokens/${token}/check`, "POST", headers)
    yield* send(`${url}/api/admin/tokens/${token}/disable`, "POST", headers)
  }
  yield* get(`${url}/api/token/get`, headers)
  return url
})

describe("the Grafana dashboard", () => {
  it("is in the repository's format", () => {
    const { status, stdout } = spawnSync("node_modules/.bin/oxfmt", ["--check", file], { encoding: "utf8" })
    assert.strictEqual(status, 0, stdout)
  })

  it("can be imported: it asks for a Prometheus, and its panels have places, targets and ids of their own", () => {
    assert.strictEqual(dashboard.schemaVersion, 42)
    assert.deepInclude(dashboard.__inputs[0], { name: "DS_PROMETHEUS", type: "datasource", pluginId: "prometheus" })
    const ids = everyPanel.map(({ id }) => id)
    assert.strictEqual(new Set(ids).size, ids.length, "an id is there twice")
    const taken = new Map<string, string>()
    for (const { gridPos, title, type } of everyPanel) {
      assert.isNotEmpty(title)
      assert.isAtMost(gridPos.x + gridPos.w, 24, title)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.isUndefined(taken.get(`${x} ${y}`), `${title} lies on ${taken.get(`${x} ${y}`)}`)
          taken.set(`${x} ${y}`, `${type} ${title}`)
        }
      }
    }
    for (const { datasource, description = "", targets = [], title } of drawn) {
      assert.isNotEmpty(targets, title)
      assert.isNotEmpty(description, title)
      assert.strictEqual(datasource?.uid, "${DS_PROMETHEUS}", title)
      assert.strictEqual(new Set(targets.map(({ refId }) => refId)).size, targets.length, title)
      for (const { datasource, expr, legendFormat = "" } of targets) {
        assert.isNotEmpty(expr, title)
        assert.strictEqual(datasource.uid, "${DS_PROMETHEUS}", title)
        const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = ""]) => label)
        assert.includeMembers(groupedBy(expr), shown, `${title}: its legend names what its series do not have`)
      }
    }
  })

  it("uses the variables it has, and those of Grafana", () => {
    const used = asked.flatMap(({ expr }) => [...expr.matchAll(/\$(\w+)/g)].map(([, name = ""]) => name))
    const own = new Set(used.filter((name) => !name.startsWith("__")))
    assert.sameMembers(
      [...own],
      variables.map(({ name }) => name)
    )
    for (const name of used) if (!own.has(name)) assert.include(["__rate_interval", "__range"], name)
  })

  it("divides by nothing that may be zero", () => {
    for (const { expr, title } of asked) {
      for (const [, divisor] of expr.matchAll(/ \/ (.*)/g)) assert.match(divisor ?? "", /^\(.* > 0\)$/, title)
    }
  })

  it.live(
    "asks for no metric, label or value that the server does not have, and for each in the way of its kind",
    () =>
      Effect.gen(function* () {
        for (const { expr, title } of asked) assert.deepStrictEqual(strangersOf(expr), [], title)
        const names = new Set(asked.flatMap(({ expr }) => selectorsOf(expr).map(({ sample }) => sample)))
        assert.isAtLeast(names.size, 25)

        yield* acquiring
        // One process, and so one page.
        const url = yield* atWork
        const page = Effect.map(get(`${url}/metrics`), ({ text }) => exposed(text))
        const missing = Effect.map(page, (metrics) =>
          [...names].filter((name) => !notProvoked.has(name) && !metrics.has(baseOf(name, metrics)))
        )
        yield* eventually(missing, ({ length }) => length === 0, "not on the page")

        const metrics = new Map([...declared.filter(([name]) => notProvoked.has(name)), ...(yield* page)])
        for (const { expr, title } of asked) {
          for (const { isRange, matchers, sample } of selectorsOf(expr)) {
            const told = `${title}: ${sample}`
            const metric = metrics.get(baseOf(sample, metrics))
            assert.isDefined(metric, told)
            const { kind, labels, values } = metric
            if (kind === "gauge") assert.isFalse(isRange, told)
            // Only to see whether it was there.
            else if (!expr.includes(" offset ")) assert.isTrue(isRange, told)
            if (kind === "histogram") assert.match(sample, /_(?:bucket|sum|count)$/, told)
            if (expr.startsWith("histogram_quantile")) assert.match(sample, /_bucket$/, told)
            const has = [...labels, ...ofTheScrape, ...(sample.endsWith("_bucket") ? ["le"] : [])]
            assert.includeMembers(has, [...matchers.map(({ label }) => label), ...groupedBy(expr)], told)
            for (const { label, value } of matchers) {
              if (value.startsWith("$")) assert.strictEqual(value, `$${label}`, told)
              else if (!values.has(`${label}=${value}`)) {
                assert.isTrue(
                  sources.some((source) => source.includes(`"${value}"`)),
                  `${told}: ${label} is never ${value}`
                )
              }
            }
          }
          if (expr.startsWith("histogram_quantile")) assert.include(groupedBy(expr), "le", title)
        }
      }),
    60_000
  )
})
