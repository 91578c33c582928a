/** What only a running server knows, shown: how it does, its routes, and what became of its requests. */
import { Clock, Console, Effect, Stream } from "effect"
import type { Overview } from "../contract/overview.ts"
import { Outcome, type Trace } from "../traffic/trace.ts"
import { json } from "./json.ts"
import { RunningServer, ServerFailed } from "./RunningServer.ts"
import { shown, table } from "./table.ts"
import { ago, span } from "./time.ts"

const none = "(none)"
const whatIsKept =
  "the newest are kept, until the server stops: those sent with x-weirgate-explain: 1, a sample of all others, and those that failed"

export const overview = Effect.fnUntraced(function* (isJson: boolean) {
  const overview = yield* RunningServer.use((server) => server.overview)
  return isJson ? json(overview) : overviewText(overview)
})

const overviewText = ({
  acquisitions,
  at,
  history,
  queue,
  requests,
  tokens,
  upstream_throttled,
  uptime,
  version
}: Overview): string => {
  const { latency, per_second, total } = requests
  const outcomes = Outcome.literals
  const sum = (column: ReadonlyArray<number | null>) => column.reduce<number>((all, each) => all + (each ?? 0), 0)
  return [
    `Weirgate ${shown(version)}, up for ${span(uptime)}`,
    "",
    "Requests for models",
    table(
      ["", ...outcomes],
      [
        ["a second", ...outcomes.map((outcome) => per_second[outcome].toFixed(2))],
        ["since the start", ...outcomes.map((outcome) => total[outcome])]
      ]
    ),
    `${requests.under_way} under way, ${requests.streaming} of them streaming; ` +
      (latency === null
        ? "none was answered in the last minute"
        : `answers begin after ${Math.round(latency.p50)} ms (p50), ${Math.round(latency.p95)} ms (p95), ${Math.round(latency.p99)} ms (p99)`),
    "",
    `Queue         ${queue.waiting} waiting${queue.oldest_wait === null ? "" : `, the oldest for ${span(queue.oldest_wait)}`}; ${queue.in_use} slots in use`,
    `Upstream 429  ${upstream_throttled.last_minute} in the last minute, ${upstream_throttled.total} since the start`,
    `Acquisitions  ${acquisitions === null ? "unknown: the store is away" : budgetOf(acquisitions, at)}`,
    `Last hour     ${sum(history.requests)} requests, ${sum(history.failures)} limited or failed, ${sum(history.throttled)} upstream 429s, ${sum(history.acquisitions)} acquisitions`,
    "",
    "Tokens",
    tokens.length === 0
      ? none
      : table(
          ["provider", "held", "usable", "lent", "active", "cooling", "exhausted", "disabled", "dead"],
          tokens.map((each) => [
            each.provider,
            each.total,
            each.usable,
            each.leased,
            each.active,
            each.cooling,
            each.exhausted,
            each.disabled,
            each.dead
          ])
        )
  ].join("\n")
}

const budgetOf = (
  { day, hour, limited_by, next_allowed_at, provider }: NonNullable<Overview["acquisitions"]>,
  now: number
) =>
  `${shown(provider)}: ${hour.used} of ${hour.limit} in the hour, ${day.used} of ${day.limit} in the day; the next ` +
  (next_allowed_at === null
    ? "now"
    : `in ${span(next_allowed_at - now)}${limited_by === null ? "" : ` (${shown(limited_by)})`}`)

/** A line of JSON for each, until it is told to stop. */
export const events = RunningServer.use((server) =>
  Stream.runForEach(server.events, ({ data, event }) => Console.log(json({ event, data }, { indent: 0 })))
)

export const routes = Effect.fnUntraced(function* (isJson: boolean) {
  const routes = yield* RunningServer.use((server) => server.routes)
  const now = yield* Clock.currentTimeMillis
  if (isJson) return json({ routes })
  if (routes.length === 0) return none
  return table(
    ["model", "target", "state", "until"],
    routes.flatMap(({ model, targets }) =>
      targets.map((target, i) => [
        i === 0 ? model : "",
        `${target.provider}/${target.model}`,
        target.state,
        target.until === null || target.until <= now ? "" : `for ${span(target.until - now)}`
      ])
    )
  )
})

export const requests = Effect.fnUntraced(function* (limit: number, isJson: boolean) {
  const requests = yield* RunningServer.use((server) => server.requests(limit))
  if (isJson) return json({ requests })
  if (requests.length === 0) return `${none}: ${whatIsKept}`
  return table(
    ["id", "when", "client", "model", "outcome", "target", "calls", "in line"],
    requests.map(({ attempts, client, id, model, outcome, queuedMs, startedAt, target }) => [
      id,
      timeText(startedAt),
      known(client),
      known(model),
      outcome,
      known(target),
      attempts,
      `${Math.round(queuedMs)} ms`
    ])
  )
})

export const explain = Effect.fnUntraced(function* (id: string, isJson: boolean) {
  const trace = yield* RunningServer.use((server) => server.request(id)).pipe(
    Effect.mapError((error) =>
      error.code === "not_found"
        ? new ServerFailed({ ...error, reason: `it keeps no trace of ${id}; ${whatIsKept}` })
        : error
    )
  )
  return isJson ? json(trace) : traceText(trace)
})

const traceText = ({ steps, ...trace }: Trace): string =>
  [
    table(
      ["request", trace.id],
      [
        ["when", timeText(trace.startedAt)],
        ["client", known(trace.client)],
        ["model", known(trace.model)],
        ["outcome", trace.outcome],
        ["sent to", trace.target ?? "nobody"],
        ["calls", trace.attempts],
        ["priority", known(trace.priority)],
        ["in line", `${Math.round(trace.queuedMs)} ms`],
        ["time it had", timeOf(trace.timeout)]
      ]
    ),
    "",
    steps.length === 0
      ? none
      : table(
          ["at", "took", "step", "target", "token", "detail"],
          steps.flatMap(({ at, detail = "", skipped = [], step, target = "", token = "", took }) => [
            [
              `${Math.round(at)} ms`,
              took === undefined ? "" : `${Math.round(took)} ms`,
              step,
              target,
              token,
              detail
            ] as const,
            ...skipped.map(({ target, why }) => ["", "", "passed over", target, "", why] as const)
          ])
        )
  ].join("\n")

/** Of one that was refused before that was known. */
const known = (value: string | number | null) => value ?? "–"

const timeOf = (timeout: number | null) => (timeout === null ? known(timeout) : span(timeout))

/** Not to be trusted to be a time: it is shown, whatever it is. */
const timeText = (at: string) => at.slice(0, 19).replace("T", " ")

/** Audited by the server, as done by the holder of the key. */
export const resetProvider = Effect.fnUntraced(function* (name: string) {
  yield* RunningServer.use((server) => server.resetProvider(name))
  yield* Console.log(`${shown(name)}: all its targets are taken for in order again`)
})

/** As the server has it, with what is at work and in line there. */
export const providers = Effect.fnUntraced(function* (isJson: boolean) {
  const providers = yield* RunningServer.use((server) => server.providers)
  const now = yield* Clock.currentTimeMillis
  if (isJson) return json({ providers })
  return table(
    ["name", "kind", "state", "in use", "a minute", "waiting", "out of order", "tokens usable"],
    providers.map((each) => [
      each.name,
      each.kind,
      each.paused_since !== null
        ? `paused ${ago(now - each.paused_since)}`
        : each.held_until !== null && each.held_until > now
          ? `held for ${span(each.held_until - now)}`
          : "at work",
      `${each.in_use} of ${limitText(each.limits.concurrency)}`,
      `${each.last_minute} of ${limitText(each.limits.rpm)}`,
      each.waiting,
      each.targets.flatMap(({ circuit, model }) => (circuit === "closed" ? [] : [`${model} (${circuit})`])).join(", "),
      `${each.tokens.usable} of ${each.tokens.held}`
    ])
  )
})

const limitText = ({ learned, most }: { readonly learned: boolean; readonly most: number | null }) =>
  most === null ? "any number" : `${most}${learned ? " (learned)" : ""}`
