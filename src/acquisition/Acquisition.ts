/** Decides whether an upstream is asked for a new token: seven steps, each decision kept with its reason. */
import { Context, Duration, Effect, Layer, Schedule } from "effect"
import type { Scope } from "effect"
import { TokenPool } from "../pool/TokenPool.ts"
import type { Store, StoreUnavailable } from "../store/Store.ts"
import type { Vault } from "../store/Vault.ts"
import { WarpClient } from "../upstream/WarpClient.ts"
import { Cache } from "./Cache.ts"
import * as Creation from "./creation.ts"
import { type AcquiredToken, AcquisitionDenied, type AcquisitionRequest, type Decision } from "./decision.ts"
import { storeFailed, type Step, type Verdict } from "./decision.ts"
import * as Decisions from "./decisions.ts"
import { Dedup, type Shared } from "./Dedup.ts"
import * as Grounds from "./grounds.ts"
import type { Predictor } from "./Predictor.ts"
import { RateLimiter, type Unfinished } from "./RateLimiter.ts"

export { type AcquiredToken, AcquisitionDenied, type AcquisitionRequest, Decision, Step } from "./decision.ts"

export interface AcquisitionOptions {
  /** More attempts than this in an hour raise the alert (default 3). */
  readonly alertAbove?: number
  /** The providers at which users can be made (default `warp` alone). */
  readonly providers?: ReadonlyArray<string>
}

export class Acquisition extends Context.Service<
  Acquisition,
  {
    /**
     * Answers with a token or says no. Waits while a request for the same need is at work (this process or another), and
     * for the upstream. Interruption leaves others who wait unharmed; what was reserved stays spent, and the token that
     * the upstream was asked for is stored all the same.
     */
    request(request: AcquisitionRequest): Effect.Effect<AcquiredToken, AcquisitionDenied>
    /** The newest decisions, newest first; 500 are kept. */
    decisions(limit: number): Effect.Effect<ReadonlyArray<Decision>, StoreUnavailable>
    /** How many requests are at work now in this process. */
    readonly processing: Effect.Effect<number>
  }
>()("weirgate/acquisition/Acquisition") {
  static readonly layerWith = (options: AcquisitionOptions = {}): Layer.Layer<Acquisition, never, Needs> =>
    Layer.effect(
      Acquisition,
      Effect.suspend(() => make(options))
    )

  static readonly layer: Layer.Layer<Acquisition, never, Needs> = Acquisition.layerWith()
}

type Needs = Store | Vault | RateLimiter | Cache | Dedup | Predictor | TokenPool | WarpClient

/** How often is looked for attempts that a crash, or an upstream that was down, left unfinished. */
const finishEvery = Duration.seconds(15)

const make = Effect.fnUntraced(function* ({
  alertAbove = 3,
  providers = ["warp"]
}: AcquisitionOptions): Effect.fn.Return<Acquisition["Service"], never, Needs | Scope.Scope> {
  const pool = yield* TokenPool
  const limiter = yield* RateLimiter
  const cache = yield* Cache
  const dedup = yield* Dedup
  const warp = yield* WarpClient
  const grounds = yield* Grounds.make(providers)
  const creation = yield* Creation.make(alertAbove)
  const { keep, recent } = yield* Decisions.make

  const isUsable = (provider: string) => (id: string) =>
    Effect.map(pool.list(provider), (views) => views.some((view) => view.id === id && view.usable))
  const fromCache = ({ context = "default", provider }: AcquisitionRequest, look: "get" | "peek") =>
    cache[look]({ provider, kind: "anonymous", context }, isUsable(provider)).pipe(
      Effect.mapError(storeFailed("cache"))
    )

  /** The token that another process has just acquired, if one was at work. */
  const fromElsewhere = Effect.fnUntraced(function* (request: AcquisitionRequest) {
    const waited = yield* Effect.mapError(dedup.awaitElsewhere(request.provider), storeFailed("in_flight"))
    if (!waited) return undefined
    yield* Effect.mapError(pool.sync, storeFailed("in_flight"))
    const token = yield* fromCache(request, "peek")
    return token && given("in_flight", token, "another process was at work on it")
  })

  const finish = (request: AcquisitionRequest, left: Unfinished, commit: Effect.Effect<void>) =>
    commit.pipe(
      Effect.andThen(creation.finish(left, request.context ?? "default")),
      Effect.flatMap((verdict) => keep(request, verdict)),
      Effect.uninterruptible
    )

  /** Steps 4 to 7, for the one request of a provider that is at work. */
  const work = Effect.fnUntraced(function* (
    request: AcquisitionRequest,
    commit: Effect.Effect<void>
  ): Effect.fn.Return<Verdict, Verdict> {
    // What was at work when this request looked may have ended since.
    const token = yield* fromCache(request, "peek")
    if (token !== undefined) return yield* keep(request, given("cache", token, "it was acquired a moment ago"))
    const theirs = yield* fromElsewhere(request)
    if (theirs !== undefined) return yield* keep(request, theirs)

    const left = warp.minting
      ? yield* Effect.mapError(limiter.takeOver(request.provider), storeFailed("rate_limiter"))
      : undefined
    if (left !== undefined) return yield* finish(request, left, commit)

    const denial = yield* grounds.against(request)
    // Whoever has just taken the place will have a token for this request too.
    if (denial !== undefined) return yield* keep(request, (yield* fromElsewhere(request)) ?? denial)
    const attempt = commit.pipe(
      Effect.andThen(creation.attempt(request)),
      Effect.flatMap((verdict) => (verdict.step === "rate_limiter" ? Effect.succeed(verdict) : keep(request, verdict))),
      Effect.uninterruptible
    )
    const verdict = yield* Effect.mapError(dedup.registered(request, attempt), storeFailed("dedup"))
    if (verdict.step !== "rate_limiter") return verdict
    return yield* keep(request, (yield* fromElsewhere(request)) ?? verdict)
  })

  const share = (request: AcquisitionRequest) =>
    dedup.share(request, (commit) => work(request, commit).pipe(Effect.catch((verdict) => keep(request, verdict))))

  /** Steps 1 to 3, and the rest if they give no answer. */
  const decide = Effect.fnUntraced(function* (request: AcquisitionRequest): Effect.fn.Return<Verdict, Verdict> {
    const isUnderWay = yield* dedup.isUnderWay(request)
    let isDuplicate = isUnderWay
    if (!isUnderWay) {
      const earlier = yield* Effect.mapError(dedup.look(request), storeFailed("dedup"))
      isDuplicate = earlier !== undefined
      if (earlier?.ending._tag === "Failed") {
        yield* dedup.count({ duplicate: true, removed: true })
        return yield* keep(request, {
          step: "dedup",
          answer: "denied",
          reason: `the same request has just failed: ${earlier.ending.reason}`,
          retryAfterMs: Duration.toMillis(earlier.timeLeft),
          inputs: {}
        })
      }
      const token = yield* fromCache(request, "get")
      if (token !== undefined) {
        yield* dedup.count({ duplicate: isDuplicate, removed: isDuplicate })
        const verdict = isDuplicate
          ? given("dedup", token, "the same request was answered with it")
          : given("cache", token, "it meets the same need")
        return yield* keep(request, verdict)
      }
    }
    const shared = yield* share(request)
    yield* dedup.count({ duplicate: isDuplicate || shared.as === "same", removed: shared.as === "same" })
    return shared.as === "led" ? shared.verdict : yield* keep(request, joined(shared))
  })

  const finishLeft = Effect.forEach(
    warp.minting ? providers : [],
    Effect.fnUntraced(function* (provider) {
      const left = yield* limiter.takeOver(provider)
      if (left === undefined) return
      const request = { provider, caller: "weirgate", errorContext: "an attempt was left unfinished" }
      yield* dedup.share(request, (commit) => finish(request, left, commit))
    }),
    { discard: true }
  ).pipe(
    Effect.catch((error) => Effect.logWarning(`unfinished attempts were not looked for: ${error.message}`)),
    Effect.annotateLogs({ service: "Acquisition" })
  )
  yield* Effect.forkScoped(Effect.repeat(finishLeft, Schedule.spaced(finishEvery)))

  return Acquisition.of({
    request: Effect.fn("Acquisition.request")(function* (request) {
      const verdict = yield* decide(request).pipe(Effect.catch((verdict) => keep(request, verdict)))
      if (verdict.answer === "token") return verdict.token
      return yield* new AcquisitionDenied({
        provider: request.provider,
        step: verdict.step,
        reason: verdict.reason,
        ...(verdict.retryAfterMs !== undefined && { retryAfter: Duration.millis(verdict.retryAfterMs) })
      })
    }),
    decisions: recent,
    processing: dedup.processing
  })
})

const given = (step: Step, token: AcquiredToken, reason: string): Verdict => ({
  step,
  answer: "token",
  reason,
  token,
  inputs: {}
})

/** The answer of work that was done for another request. */
const joined = ({ as, verdict }: Shared): Verdict => ({
  ...verdict,
  step: as === "same" ? "dedup" : "in_flight",
  reason: `shared with a request at work: ${verdict.reason}`,
  inputs: { ...verdict.inputs, decidedBy: verdict.step }
})
