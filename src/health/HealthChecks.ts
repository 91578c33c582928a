/** Asks upstreams on a schedule whether each token is still good, so that one that was taken out of use comes back by itself. */
import { Cause, Clock, Context, Duration, Effect, Fiber, Layer, Queue, Schema } from "effect"
import { TokenId } from "../domain/Token.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import type { TokenView } from "../pool/tokenState.ts"
import { type Journal, type Page, type PageQuery, Store, type StoreUnavailable } from "../store/Store.ts"
import * as Checking from "./checking.ts"
import { plan } from "./schedule.ts"
import * as telling from "./telling.ts"
import { TokenChecker } from "./TokenChecker.ts"

export const CheckResult = Schema.Struct({
  /** When it ended, in epoch milliseconds. */
  at: Schema.Finite,
  token: TokenId,
  name: Schema.String,
  provider: Schema.String,
  ok: Schema.Boolean,
  /** In milliseconds. */
  took: Schema.Finite,
  /** Of what failed: never a secret. */
  detail: Schema.optionalKey(Schema.String)
})
export type CheckResult = typeof CheckResult.Type

export interface HealthCheckOptions {
  /** Between two checks of one token (default 5 minutes; 100 milliseconds at least). */
  readonly every?: Duration.Input
}

export class HealthChecks extends Context.Service<
  HealthChecks,
  {
    /** Newest first, of at most the last 5,000 of all tokens. Survives a restart. */
    history(limit: number, token?: TokenId): Effect.Effect<ReadonlyArray<CheckResult>, StoreUnavailable>
    /** The same in pages. */
    historyPage(query: PageQuery<CheckResult>): Effect.Effect<Page<CheckResult>, StoreUnavailable>
    /**
     * Checks one token now, whatever the schedule says; joins a check of it that is under way. Undefined when there is no such
     * token, or its upstream cannot be asked or says nothing. Waits for the upstream, up to two minutes; the check goes on when
     * its callers leave.
     */
    check(token: TokenId): Effect.Effect<CheckResult | undefined>
  }
>()("weirgate/health/HealthChecks") {
  /**
   * Checks each token once in `every`, spread evenly, two at a time; one that was taken out of use on a guess, as soon as its
   * time is over; and none that a call has proved good since its last turn. Processes that share the store share the checks.
   * Ends with the layer: a check under way is given up, and its claim on the token given back.
   */
  static readonly layerWith = (
    options: HealthCheckOptions = {}
  ): Layer.Layer<HealthChecks, never, Store | TokenChecker | TokenPool> =>
    Layer.effect(
      HealthChecks,
      Effect.suspend(() => make(options))
    )

  static readonly layer: Layer.Layer<HealthChecks, never, Store | TokenChecker | TokenPool> = HealthChecks.layerWith()
}

export const journal: Journal<CheckResult> = { name: "health_check", schema: CheckResult, keep: 5_000 }

/** Checks of the schedule at work at once. */
const atOnce = 2
/** A token that is taken out of use meanwhile is looked at no later than this. */
const lookEvery = Duration.toMillis("2 seconds")

type Answer = CheckResult | undefined

interface Running {
  readonly fiber: Fiber.Fiber<Answer>
  readonly isScheduled: boolean
}

const make = Effect.fnUntraced(function* (options: HealthCheckOptions) {
  const every = Math.max(100, Duration.toMillis(options.every ?? "5 minutes"))
  const pool = yield* TokenPool
  const checker = yield* TokenChecker
  const store = yield* Store
  const scope = yield* Effect.scope
  const since = yield* Clock.currentTimeMillis
  const checking = Checking.make(pool)
  const { checked } = telling.make()
  /** At most one for each token held. */
  const running = new Map<TokenId, Running>()
  const tried = new Map<TokenId, number>()
  /** One that is lost costs a look. */
  const ended = yield* Queue.sliding<void>(1)

  const kept = Effect.fnUntraced(function* (result: CheckResult, before: TokenView["lastCheck"]) {
    yield* store
      .append(journal, [result])
      .pipe(Effect.catch((error) => Effect.logWarning(`a check is not kept: ${error.message}`).pipe(telling.annotated)))
    yield* checked(result, before)
    return result
  }, Effect.uninterruptible)

  const checkOne = Effect.fnUntraced(
    function* ({ id, lastCheck, provider }: TokenView, isScheduled: boolean) {
      const check = checker.checkOf(provider)
      if (check === undefined) return undefined
      const done = yield* checking(id, check, isScheduled ? { at: lastCheck?.at } : undefined)
      if (done === undefined) return undefined
      const { detail, examination, ok, took } = done
      const at = yield* Clock.currentTimeMillis
      const said = detail === undefined ? {} : { detail }
      return yield* kept({ at, token: id, name: examination.name, provider, ok, took, ...said }, lastCheck)
    },
    Effect.scoped,
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.failCause(cause)
        : Effect.as(Effect.logError("a check broke", cause).pipe(telling.annotated), undefined)
    )
  )

  const begin = Effect.fnUntraced(function* (view: TokenView, isScheduled: boolean) {
    const fiber: Fiber.Fiber<Answer> = yield* checkOne(view, isScheduled).pipe(Effect.forkIn(scope))
    const own = { fiber, isScheduled }
    running.set(view.id, own)
    fiber.addObserver(() => {
      if (running.get(view.id) === own) running.delete(view.id)
      Queue.offerUnsafe(ended, undefined)
    })
    return fiber
  }, Effect.uninterruptible)

  /** The tokens whose upstream can be asked. */
  const checkable = Effect.map(pool.list(), (views) => {
    const known = new Map<string, boolean>()
    return views.filter(({ provider }) => {
      let can = known.get(provider)
      if (can === undefined) known.set(provider, (can = checker.checkOf(provider) !== undefined))
      return can
    })
  })

  const forget = (views: ReadonlyArray<TokenView>) => {
    const held = new Set(views.map(({ id }) => id))
    for (const id of tried.keys()) if (!held.has(id)) tried.delete(id)
  }

  const look = Effect.gen(function* () {
    const views = yield* checkable
    const now = yield* Clock.currentTimeMillis
    forget(views)
    const { due, next } = plan(views, { now, every, since, tried: (id) => tried.get(id) })
    for (const view of due) {
      if (running.size >= atOnce) break
      tried.set(view.id, now)
      if (!running.has(view.id)) yield* begin(view, true)
    }
    yield* Effect.timeoutOption(Queue.take(ended), Math.min(next - now, lookEvery))
  })
  yield* Effect.forkScoped(Effect.forever(look))

  const check: HealthChecks["Service"]["check"] = Effect.fn("HealthChecks.check")(function* (id) {
    const current = running.get(id)
    if (current !== undefined) {
      const answer = yield* Fiber.join(current.fiber)
      // Another process may have come first with what was to be checked by schedule.
      if (answer !== undefined || !current.isScheduled) return answer
    }
    const view = (yield* pool.list()).find((view) => view.id === id)
    return view && (yield* Fiber.join(yield* begin(view, false)))
  })

  return HealthChecks.of({
    check,
    history: (limit, token) =>
      token === undefined
        ? store.recent(journal, limit)
        : Effect.map(store.page(journal, { limit, where: { token } }), ({ items }) => items),
    historyPage: (query) => store.page(journal, query)
  })
})
