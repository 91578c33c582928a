/** Tries each service once, at no cost to anyone, so that whoever starts the program sees at once what does not work. */
import { Effect, Redacted, Schema } from "effect"
import { HttpClient } from "effect/http"
import { Cache } from "../acquisition/Cache.ts"
import { Dedup } from "../acquisition/Dedup.ts"
import { Predictor } from "../acquisition/Predictor.ts"
import { RateLimiter } from "../acquisition/RateLimiter.ts"
import { ClientKeys } from "../access/ClientKeys.ts"
import { warpProvider, wopanProvider } from "../domain/Provider.ts"
import { Drive } from "../drive/Drive.ts"
import { HealthChecks } from "../health/HealthChecks.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import { type Collection, Store } from "../store/Store.ts"
import { Vault } from "../store/Vault.ts"
import { Governor } from "../traffic/Governor.ts"
import { Upstream } from "./Upstream.ts"

/** What was found to be wrong. */
export class SelfTestFailed extends Schema.TaggedError<SelfTestFailed>()("SelfTestFailed", { reason: Schema.String }) {
  override get message() {
    return this.reason
  }
}

export interface Finding {
  readonly service: string
  readonly ok: boolean
  readonly detail: string
}

const patience = "10 seconds"

const failed = (reason: string) => Effect.fail(new SelfTestFailed({ reason }))

const trial: Collection<{ readonly at: string }> = { name: "self-test", schema: Schema.Struct({ at: Schema.String }) }

const store = Effect.gen(function* () {
  const store = yield* Store
  yield* store.modify(trial, "trial", () => [undefined, { at: "start" }])
  const read = yield* store.get(trial, "trial")
  yield* store.modify(trial, "trial", () => [undefined, undefined])
  return read?.at === "start"
    ? "a record was written, read and removed"
    : yield* failed("what was written was not read")
})

const vault = Effect.gen(function* () {
  const vault = yield* Vault
  const sealed = yield* vault.seal(Redacted.make("trial"), "self-test")
  const opened = yield* vault.open(sealed, "self-test")
  return Redacted.value(opened) === "trial"
    ? "a secret was sealed and opened"
    : yield* failed("it opens another secret")
})

const pool = Effect.gen(function* () {
  const tokens = yield* TokenPool.use((pool) => pool.list())
  const providers = [...new Set(tokens.map(({ provider }) => provider))]
  if (providers.length === 0) return "no token is held yet"
  const counts = providers.map((name) => {
    const own = tokens.filter(({ provider }) => provider === name)
    return { name, usable: own.filter(({ usable }) => usable).length, held: own.length }
  })
  const detail = counts.map(({ held, name, usable }) => `${name} ${usable} of ${held} usable`).join(", ")
  return counts.some(({ usable }) => usable === 0) ? yield* failed(detail) : detail
})

const limiter = Effect.map(
  RateLimiter.use((limiter) => limiter.statistics(warpProvider)),
  ({ daily, hourly, limits }) =>
    `${hourly} of ${limits.hourly} acquisitions this hour, ${daily} of ${limits.daily} today`
)

const governor = Effect.gen(function* () {
  const providers = yield* Governor.use((governor) => governor.providers)
  return providers.length === 0 ? "no provider answers models" : providers.map(({ name }) => name).join(", ")
})

const keys = Effect.map(ClientKeys, (keys) =>
  keys.isOpen() ? "no key yet: models may be asked from this machine without one" : "a key is needed"
)

/** One token of each provider is asked for at its upstream. */
const upstreams = Effect.gen(function* () {
  const tokens = yield* TokenPool.use((pool) => pool.list())
  const checks = yield* HealthChecks
  const first = new Map(tokens.filter(({ usable }) => usable).map((token) => [token.provider, token]))
  return [...first.values()].map(({ id, provider }) => ({
    service: `upstream ${provider}`,
    run: Effect.flatMap(checks.check(id), (result) =>
      result === undefined
        ? Effect.succeed("cannot be asked without a call")
        : result.ok
          ? Effect.succeed(`answered in ${Math.round(result.took)} ms; its token is good`)
          : failed(result.detail ?? "it did not answer")
    )
  }))
})

const drive = Effect.gen(function* () {
  const { wopan } = yield* Upstream
  const tokens = yield* TokenPool.use((pool) => pool.list(wopanProvider))
  if (wopan === undefined || tokens.length === 0) return "no drive is configured"
  const { entries, source } = yield* Drive.use((drive) => drive.list({ path: "" }))
  return `${entries.length} entries in its root (${source})`
})

/** Asked from outside, as a client would. */
const listener = Effect.fnUntraced(function* (url: string) {
  const client = yield* HttpClient.HttpClient
  const health = yield* client.get(`${url}/healthz`)
  const guarded = yield* client.get(`${url}/api/token/stats`)
  if (health.status !== 200) return yield* failed(`GET /healthz answered ${health.status}`)
  if (guarded.status !== 401) return yield* failed(`GET /api/token/stats without a key answered ${guarded.status}`)
  return "answers, and refuses tokens to who shows no key"
})

const cache = Effect.map(
  Cache.use(({ statistics }) => statistics),
  ({ size }) => `${size} tokens are kept`
)

const dedup = Effect.map(
  Dedup.use((dedup) => dedup.statistics(warpProvider)),
  ({ seen }) => `${seen} requests were seen`
)

const predictor = Effect.map(
  Predictor.use((predictor) => predictor.score(warpProvider)),
  ({ predictions }) => `${predictions} predictions were scored`
)

/** Never fails, and takes ten seconds at most. */
export const selfTest = Effect.fnUntraced(function* (url: string) {
  const found = yield* Effect.all(
    [
      finding("Store", store),
      finding("Vault", vault),
      finding("TokenPool", pool),
      finding("RateLimiter", limiter),
      finding("Cache", cache),
      finding("Dedup", dedup),
      finding("Predictor", predictor),
      finding("Governor", governor),
      finding("ClientKeys", keys),
      ...(yield* upstreams).map(({ run, service }) => finding(service, run)),
      finding("Drive", drive),
      finding("Server", listener(url))
    ],
    { concurrency: "unbounded" }
  )
  return found as ReadonlyArray<Finding>
})

const finding = <E extends Error, R>(service: string, run: Effect.Effect<string, E, R>) =>
  run.pipe(
    Effect.map((detail): Finding => ({ service, ok: true, detail })),
    Effect.timeoutOrElse({ duration: patience, orElse: () => failed(`there was no answer in ${patience}`) }),
    Effect.catch(({ message }) => Effect.succeed<Finding>({ service, ok: false, detail: message }))
  )
