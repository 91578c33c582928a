/** A data folder as a busy installation has one after months: many of everything that the console lists. */
import { ConfigProvider, Effect, Layer, Logger, Redacted, Schedule } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { AuditEntry } from "../../src/access/Audit.ts"
import { ClientKeys } from "../../src/access/ClientKeys.ts"
import type { Decision } from "../../src/acquisition/decision.ts"
import { journal as decisionJournal } from "../../src/acquisition/decisions.ts"
import { Predictor } from "../../src/acquisition/Predictor.ts"
import { access, records } from "../../src/cli/layers.ts"
import type { TokenId } from "../../src/domain/Token.ts"
import { type CheckResult, journal as checkJournal } from "../../src/health/HealthChecks.ts"
import { alertJournal } from "../../src/monitoring/alertState.ts"
import { TokenPool } from "../../src/pool/TokenPool.ts"
import * as Sqlite from "../../src/store/Sqlite.ts"
import { type Journal, Store } from "../../src/store/Store.ts"

const auditJournal: Journal<AuditEntry> = { name: "audit", schema: AuditEntry, keep: 10_000 }

export const counts = {
  providers: 50,
  tokens: 2_000,
  decisions: 10_000,
  audited: 5_000,
  checks: 5_000,
  keys: 300,
  alerts: 1_000
}

const many = (count: number) => Array.from({ length: count }, (_, n) => n)
const padded = (n: number, digits: number) => String(n).padStart(digits, "0")

export const providerNames = many(counts.providers).map((n) => `provider-${padded(n, 2)}`)
/** Of the pool's tokens, so that the others are called with their keys alone, which the sandbox knows. */
const holders = providerNames.slice(0, 10)
/** Answered by the providers that hold no seeded token, each with a key of its own. */
export const answering = providerNames.slice(holders.length)
/** Of which each provider has two others. */
export const model = "hunyuan-turbo"

export const tokenName = (n: number) => `token-${padded(n, 4)}`

const configuration = {
  providers: providerNames.map((name, n) => ({
    name,
    kind: "openai",
    baseUrl: "sandbox:/hunyuan/v1",
    keys: [`sandbox-hunyuan-${n % 2 === 0 ? "a" : "b"}`],
    concurrency: 5,
    rpm: 6_000,
    models: [model, `model-${padded(n, 2)}-a`, `model-${padded(n, 2)}-b`]
  })),
  // The sandbox does not know the seeded tokens: checks would take them out of use one by one.
  health: { every: "1 day" }
}

const steps = ["dedup", "cache", "in_flight", "policy", "rate_limiter", "predictor", "upstream"] as const

export const decision = (at: number, n: number): Decision => ({
  at,
  provider: "warp",
  caller: `synthetic-${n % 7}`,
  errorContext: `synthetic ${n}`,
  step: steps[n % steps.length] ?? "policy",
  answer: n % 5 === 0 ? "token" : "denied",
  reason: `the reason of decision ${n}, in a sentence that is as long as they are`,
  inputs: { failureRate: (n % 100) / 100, attemptsThisHour: n % 4, level: "HIGH" }
})

const second = 1_000

/** Tokens in all states, some with a quota and with evidence of how they do. */
const tokens = Effect.gen(function* () {
  const pool = yield* TokenPool
  const ids = yield* pool.addAll(
    many(counts.tokens).map((n) => ({
      provider: holders[n % holders.length] ?? "",
      name: tokenName(n),
      kind: n % 3 === 0 ? "shared" : "personal",
      credential: { access: Redacted.make(`synthetic-token-${n}`) },
      ...(n % 7 === 0 && { disabled: "disabled by a person" })
    }))
  )
  for (const [n, id] of ids.entries()) {
    if (n % 4 === 1) yield* pool.noteQuota(id, { unlimited: false, limit: 1_000, used: n % 1_000 })
    if (n % 4 !== 2) continue
    const provider = holders[n % holders.length] ?? ""
    const kind = n % 3 === 0 ? "shared" : "personal"
    yield* Predictor.use((predictor) =>
      predictor.observe({ provider, kind, token: id, outcome: { _tag: "Succeeded", latencyMs: 20 } })
    )
  }
  return ids
})

const journals = Effect.fnUntraced(function* (ids: ReadonlyArray<TokenId>) {
  const now = Date.now()
  const store = yield* Store
  /** One each ten seconds, the last a minute ago. */
  const at = (n: number, count: number) => now - 60 * second - (count - n) * 10 * second
  yield* store.append(
    decisionJournal,
    many(counts.decisions).map((n) => decision(at(n, counts.decisions), n))
  )
  yield* store.append(
    auditJournal,
    many(counts.audited).map((n) => ({
      at: at(n, counts.audited),
      actor: "console",
      address: "127.0.0.1",
      action: "token.disable",
      subject: ids[n % ids.length] ?? "",
      result: n % 9 === 0 ? "refused" : "done"
    }))
  )
  yield* store.append(
    checkJournal,
    many(counts.checks).flatMap((n): ReadonlyArray<CheckResult> => {
      const token = ids[n % ids.length]
      if (token === undefined) return []
      const name = tokenName(n % counts.tokens)
      return [{ at: at(n, counts.checks), token, name, provider: "provider-00", ok: n % 9 !== 0, took: n % 400 }]
    })
  )
  yield* store.append(
    alertJournal,
    many(counts.alerts).map((n) => {
      const subject = providerNames[(n >> 1) % providerNames.length] ?? ""
      return {
        id: `provider_down:${subject}`,
        rule: "provider_down",
        subject,
        since: at(n, counts.alerts),
        message: `${subject} does not answer: all of its circuits are open`,
        values: { open: 3 },
        event: n % 2 === 0 ? "fired" : "recovered",
        at: at(n, counts.alerts)
      } as const
    })
  )
})

/** Takes a few seconds. Answers with the environment of a server that finds it all, and one of the keys. */
export const seeded = (folder: string) => {
  const file = join(folder, "weirgate.json")
  const env = { WEIRGATE_DATA: folder, WEIRGATE_CONFIG: file }
  writeFileSync(file, JSON.stringify(configuration))
  const seeding = Effect.gen(function* () {
    yield* journals(yield* tokens)
    const keys = yield* ClientKeys
    for (const n of many(counts.keys - 1)) yield* keys.create({ name: `client-${padded(n, 3)}`, role: "inference" })
    const { key } = yield* keys.create({ name: "storm", role: "inference" })
    return { env, key: Redacted.value(key) }
  })
  const settings = ConfigProvider.layer(ConfigProvider.fromEnv({ env }))
  const services = Layer.mergeAll(Predictor.layer.pipe(Layer.provideMerge(records)), access)
  return seeding.pipe(
    Effect.provide(Layer.fresh(services).pipe(Layer.provide(settings), Layer.provide(Logger.layer([])))),
    Effect.orDie
  )
}

/** The store that a server has open, as another process has it. */
export const storeOf = (folder: string) => Sqlite.layer(join(folder, "sandbox.db"))

interface Target {
  readonly url: string
  readonly key: string
}

/** A request for a model, answered by the nth provider that has its own key alone. */
const asked = ({ key, url }: Target, n: number, headers: Readonly<Record<string, string>> = {}) =>
  Effect.promise(async (signal) => {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      signal,
      headers: { ...headers, authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({
        model: `${answering[n % answering.length]}/${model}`,
        messages: [{ role: "user", content: "hi" }]
      })
    })
    await response.arrayBuffer()
    return response.status
  })

/** So many requests that are kept with their steps. */
export const explained = (target: Target, count: number) =>
  Effect.forEach(many(count), (n) => asked(target, n, { "x-weirgate-explain": "1" }), { concurrency: 4 })

/** What changes in each tenth of a second. */
export const perTurn = { requests: 3, decisions: 1 }

/** In each tenth of a second three requests for models, each with another provider's token, and a decision of another process. */
export const storm = Effect.fnUntraced(function* (target: Target, turns = Number.POSITIVE_INFINITY) {
  const store = yield* Store
  let n = 0
  const turn = Effect.suspend(() => {
    const asking = many(perTurn.requests).map(() => asked(target, n++))
    const deciding = store.append(decisionJournal, [decision(Date.now(), n)])
    return Effect.all([...asking, deciding], { concurrency: "unbounded", discard: true })
  })
  yield* Effect.repeat(turn, { schedule: Schedule.fixed("100 millis"), times: turns - 1 })
})
