/** Decides whether an upstream is asked for a new token: seven steps, each decision kept with its reason. */
import { Context, Duration, Effect, Layer, Schedule } from "effect"
import type { Scope } from "effect"
import { warpProvider } from "../domain/Provider.ts"
import type { TokenPool } from "../pool/TokenPool.ts"
import type { Page, PageQuery, Store, StoreUnavailable } from "../store/Store.ts"
import type { Vault } from "../store/Vault.ts"
import { WarpClient } from "../upstream/WarpClient.ts"
import type { Cache } from "./Cache.ts"
import * as Creation from "./creation.ts"
import { type AcquiredToken, AcquisitionDenied, type AcquisitionRequest, type Decision } from "./decision.ts"
import { contextOf, type Verdict } from "./decision.ts"
import { storeFailed } from "./storeFailed.ts"
import * as Decisions from "./decisions.ts"
import { Dedup, type Shared } from "./Dedup.ts"
import * as Grounds from "./grounds.ts"
import { subjectOf } from "./policy.ts"
import type { Predictor } from "./Predictor.ts"
import { RateLimiter, type Unfinished } from "./RateLimiter.ts"
import * as Search from "./search.ts"
import type { Found } from "./search.ts"

export { type AcquiredToken, AcquisitionDenied, type AcquisitionRequest, Decision, Step } from "./decision.ts"

export interface AcquisitionOptions {
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
    /** The newest decisions, newest first, of all processes on the store; 10,000 are kept. */
    decisions(limit: number): Effect.Effect<ReadonlyArray<Decision>, StoreUnavailable>
    /** A page of them, also of those of one provider, answer or step. */
    decisionPage(query: PageQuery<Decision>): Effect.Effect<Page<Decision>, StoreUnavailable>
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
  providers = [warpProvider]
}: AcquisitionOptions): Effect.fn.Return<Acquisition["Service"], never, Needs | Scope.Scope> {
  const limiter = yield* RateLimiter
  const dedup = yield* Dedup
  const warp = yield* WarpClient
  const search = yield* Search.make
  const grounds = yield* Grounds.make(providers)
  const creation = yield* Creation.make
  const { keep, page, recent } = yield* Decisions.make

  /** Makes a token of an attempt that was left unfinished, if there is one that nobody holds. */
  const finish = (
    request: AcquisitionRequest,
    commit: Effect.Effect<void>,
    isTold: (left: Unfinished, isOver: boolean) => boolean
  ) =>
    // Taken over only inside the work, and not to be interrupted: what is held here nobody else can finish.
    Effect.gen(function* () {
      const left = yield* Effect.mapError(limiter.takeOver(request.provider), storeFailed("rate_limiter"))
      if (left === undefined) return undefined
      yield* commit
      const { isOver, verdict } = yield* creation.finish(left, contextOf(request))
      return isTold(left, isOver) ? yield* keep(request, verdict) : verdict
    }).pipe(Effect.uninterruptible)

  /** Steps 3 to 7, for the one request of a provider that is at work. */
  const work = Effect.fnUntraced(function* (
    request: AcquisitionRequest,
    found: Found | undefined,
    commit: Effect.Effect<void>
  ): Effect.fn.Return<Verdict, Verdict> {
    const current = found !== undefined && search.isCurrent(found) ? found : yield* search.again(request)
    const answer = current.answer ?? (yield* search.afterElsewhere(request, current))
    if (answer !== undefined) return yield* keep(request, answer)

    const facts = yield* grounds.look(request)
    if (warp.minting && facts.budget.hasUnfinished) {
      const finished = yield* finish(request, commit, () => true)
      if (finished !== undefined) return finished
    }
    const denial = yield* grounds.against(facts)
    if (denial !== undefined) {
      // Who has asked the upstream since this request looked will have a token for it too.
      const isOvertaken = facts.budget.lastAttemptAt !== undefined && facts.budget.lastAttemptAt >= current.at
      return yield* keep(request, (isOvertaken ? yield* search.overtaken(request) : undefined) ?? denial)
    }
    const attempt = commit.pipe(
      Effect.andThen(creation.attempt(request)),
      Effect.flatMap((verdict) => (verdict.step === "rate_limiter" ? Effect.succeed(verdict) : keep(request, verdict))),
      Effect.uninterruptible
    )
    const verdict = yield* Effect.mapError(dedup.registered(request, attempt), storeFailed("dedup"))
    if (verdict.step !== "rate_limiter") return verdict
    return yield* keep(request, (yield* search.overtaken(request)) ?? verdict)
  })

  /** Steps 1 to 3, and the rest if they give no answer. */
  const decide = Effect.fnUntraced(function* (request: AcquisitionRequest): Effect.fn.Return<Verdict, Verdict> {
    let isDuplicate = false
    while (true) {
      const found = (yield* dedup.isUnderWay(request)) ? undefined : yield* search.first(request)
      isDuplicate ||= found?.isDuplicate ?? true
      if (found?.answer !== undefined) {
        yield* dedup.count({ duplicate: isDuplicate, removed: isDuplicate })
        return yield* keep(request, found.answer)
      }
      const shared = yield* dedup.share(request, (commit) =>
        work(request, found, commit).pipe(
          Effect.catch((verdict) => keep(request, verdict)),
          Effect.ensuring(search.outdate)
        )
      )
      isDuplicate ||= shared.as === "same"
      if (!holdsFor(request, shared)) continue
      const isRemoved = isDuplicate && (shared.as !== "led" || shared.verdict.step === "dedup")
      yield* dedup.count({ duplicate: isDuplicate, removed: isRemoved })
      return shared.as === "led" ? shared.verdict : yield* keep(request, joined(shared))
    }
  })

  const finishLeft = Effect.forEach(
    warp.minting ? providers : [],
    Effect.fnUntraced(function* (provider) {
      if (!(yield* limiter.statistics(provider)).hasUnfinished) return
      const request = { provider, caller: "weirgate", errorContext: "an attempt was left unfinished" }
      // An upstream that is down for long shall not fill the journal: its beginning and its end are enough.
      const isTold = ({ isFirst }: Unfinished, isOver: boolean) => isFirst || isOver
      yield* dedup.share(request, (commit) =>
        finish(request, commit, isTold).pipe(
          Effect.map((verdict) => verdict ?? undecided),
          Effect.catch(({ reason }) =>
            Effect.as(Effect.logWarning(`an unfinished attempt was not taken over: ${reason}`), undecided)
          ),
          Effect.ensuring(search.outdate)
        )
      )
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
        ...(verdict.retryAfterMs !== undefined && { retryAfter: Duration.millis(verdict.retryAfterMs) }),
        ...(verdict.undecided === true && { undecided: true })
      })
    }),
    decisions: recent,
    decisionPage: page,
    processing: dedup.processing
  })
})

/** What background work tells those who have joined it, when there was nothing for it to do. */
const undecided: Verdict = { step: "in_flight", answer: "denied", reason: "nothing was left to finish", inputs: {} }

/** Whether the answer to the request that was worked for is one to this request too. */
const holdsFor = (request: AcquisitionRequest, { as, leader, verdict }: Shared) => {
  if (as === "led") return true
  if (verdict.answer === "token") return contextOf(leader) === contextOf(request)
  switch (verdict.step) {
    case "dedup":
      return as === "same"
    case "in_flight":
      return false
    case "policy":
      // All that the policy takes from a request's text.
      return subjectOf(leader.errorContext) === subjectOf(request.errorContext)
    default:
      return true
  }
}

/** The answer of work that was done for another request. */
const joined = ({ as, verdict }: Shared): Verdict => ({
  ...verdict,
  step: as === "same" ? "dedup" : "in_flight",
  reason: `shared with a request at work: ${verdict.reason}`,
  inputs: { ...verdict.inputs, decidedBy: verdict.step }
})
