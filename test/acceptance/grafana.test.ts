/** The Grafana dashboard asks only for what `/metrics` has. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parse, parseVariable, type Query } from "../support/promql.ts"
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
  readonly __inputs?: ReadonlyArray<object>
  readonly __requires: ReadonlyArray<{ readonly type: string; readonly id: string }>
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

interface Asked extends Query {
  readonly title: string
  readonly expr: string
}

/** Throws at what is no PromQL. */
const asked: ReadonlyArray<Asked> = [
  ...drawn.flatMap(({ targets = [], title }) => targets.map(({ expr }) => ({ title, expr, ...parse(expr) }))),
  ...queried.map((variable) => ({ ...variable, ...parseVariable(variable.expr) }))
]

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

const openai = (name: string, model: string, keys: ReadonlyArray<string>, rpm: number | "unlimited") => ({
  name,
  kind: "openai",
  baseUrl: `sandbox:/${name}/v1`,
  keys: keys.map((key) => `sandbox-${name}-${key}`),
  concurrency: 50,
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
  yield* ask("auto")
  const page = Effect.map(get(`${url}/metrics`), ({ text }) => text)
  yield* eventually(page, (text) => text.includes("weirgate_prediction_confidence{"), "no token is predicted")
  yield* Effect.forEach(times(60), () => ask("auto"))
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

  it("can be imported anywhere: it asks which Prometheus, and its panels have places, targets and ids of their own", () => {
    assert.strictEqual(dashboard.schemaVersion, 42)
    assert.deepInclude(variables[0], { name: "datasource", type: "datasource", query: "prometheus" })
    assert.isUndefined(dashboard.__inputs, "which a provisioned dashboard is never asked for")
    const required = dashboard.__requires.filter(({ type }) => type === "panel").map(({ id }) => id)
    assert.sameMembers(required, [...new Set(drawn.map(({ type }) => type))])
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
      assert.strictEqual(datasource?.uid, "${datasource}", title)
      assert.strictEqual(new Set(targets.map(({ refId }) => refId)).size, targets.length, title)
      for (const { datasource, expr, legendFormat = "" } of targets) {
        assert.isNotEmpty(expr, title)
        assert.strictEqual(datasource.uid, "${datasource}", title)
        const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = ""]) => label)
        assert.includeMembers([...parse(expr).grouped], shown, `${title}: its legend names what its series do not have`)
      }
    }
  })

  it("uses the variables it has, and those of Grafana", () => {
    const used = asked.flatMap(({ expr }) => [...expr.matchAll(/\$(\w+)/g)].map(([, name = ""]) => name))
    const own = new Set(used.filter((name) => !name.startsWith("__")))
    assert.sameMembers(
      ["datasource", ...own],
      variables.map(({ name }) => name)
    )
    for (const name of used) if (!own.has(name)) assert.include(["__rate_interval", "__range"], name)
  })

  it("divides by nothing that may be zero", () => {
    const divisors = asked.flatMap(({ divisors }) => divisors)
    assert.isNotEmpty(divisors)
    for (const divisor of divisors) assert.match(divisor, /^\(.* > 0\)$/)
  })

  it.live(
    "asks for no metric, label or value that the server does not have, and for each in the way of its kind",
    () =>
      Effect.gen(function* () {
        const names = new Set(asked.flatMap(({ selectors }) => selectors.map(({ sample }) => sample)))
        assert.isAtLeast(names.size, 50)

        yield* acquiring
        // One process, and so one page.
        const url = yield* atWork
        const page = Effect.map(get(`${url}/metrics`), ({ text }) => exposed(text))
        const missing = Effect.map(page, (metrics) => [...names].filter((name) => !metrics.has(baseOf(name, metrics))))
        yield* eventually(missing, ({ length }) => length === 0, "not on the page")

        const metrics = yield* page
        const listed = [...readFileSync("README.md", "utf8").matchAll(/^\| `(\w+)` +\| (?:counter|gauge|histogram)/gm)]
        assert.sameMembers(
          [...metrics.keys()],
          listed.map(([, name = ""]) => name),
          "the README lists them all"
        )
        for (const { expr, grouped, selectors, title } of asked) {
          for (const { isRange, matchers, sample } of selectors) {
            const told = `${title}: ${sample}`
            const metric = metrics.get(baseOf(sample, metrics))
            assert.isDefined(metric, told)
            const { kind, labels, values } = metric
            assert.strictEqual(isRange, kind !== "gauge", told)
            if (kind === "histogram") assert.match(sample, /_(?:bucket|sum|count)$/, told)
            if (expr.startsWith("histogram_quantile")) assert.match(sample, /_bucket$/, told)
            const has = [...labels, ...ofTheScrape, ...(sample.endsWith("_bucket") ? ["le"] : [])]
            assert.includeMembers(has, [...matchers.map(({ label }) => label), ...grouped], told)
            for (const { label, value } of matchers) {
              if (value.startsWith("$")) assert.strictEqual(value, `$${label}`, told)
              else assert.isTrue(values.has(`${label}=${value}`), `${told}: ${label} is never ${value}`)
            }
          }
          if (expr.startsWith("histogram_quantile")) assert.include(grouped, "le", title)
        }
      }),
    60_000
  )

  it.effect.each([
    "rate(a)",
    "sum by x (a)",
    "a[5m]",
    "sum(a",
    "a b",
    "a{b=~c}",
    "increase(a{}[x])",
    "a == == b",
    "nothing(a)"
  ])("would be refused with a query such as %s", (query) => Effect.sync(() => assert.throws(() => parse(query))))
})
