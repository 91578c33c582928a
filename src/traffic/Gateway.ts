/** Serves one model request: a slot, a token, a call, and the next of each where that is the remedy. */
import { Clock, Context, Duration, Effect, Exit, Layer, Scope } from "effect"
import type { Fiber } from "effect"
import type { Acquisition } from "../acquisition/Acquisition.ts"
import type { Predictor } from "../acquisition/Predictor.ts"
import { type Restore, TokenPool } from "../pool/TokenPool.ts"
import type { Answer } from "../upstream/ModelClient.ts"
import * as Attempt from "./attempt.ts"
import * as CallEnds from "./callEnds.ts"
import { areDirect, candidatesOf } from "./candidates.ts"
import { Catalog } from "./Catalog.ts"
import * as DirectAttempt from "./directAttempt.ts"
import { type GatewayFailure, ModelNotServed } from "./GatewayFailure.ts"
import type { GatewayRequest } from "./GatewayRequest.ts"
import { Governor } from "./Governor.ts"
import { jobOf, slotRequestOf } from "./job.ts"
import { ModelClients } from "./ModelClients.ts"
import type { QuotaWatch } from "./QuotaWatch.ts"
import * as RetryBudget from "./retryBudget.ts"
import * as Round from "./round.ts"
import * as Serve from "./serve.ts"

export interface GatewayOptions {
  /** The most upstream calls one request makes (default 5). */
  readonly attempts?: number | undefined
  /** A request's whole time when it does not say (default 10 minutes: what OpenAI's own client waits). */
  readonly timeout?: Duration.Input | undefined
  /** The longest in line when the request does not say how long it has (default 65 seconds: a minute that is full is over then). */
  readonly maxWait?: Duration.Input | undefined
}

/** Requests of this process since its start. */
export interface GatewayStatistics {
  readonly succeeded: number
  readonly failed: number
  /** Of those that failed: the upstream said that it was asked too much, or that a token's quota is used up. */
  readonly throttled: number
  readonly meanFirstEventMs: number
}

export class Gateway extends Context.Service<
  Gateway,
  {
    /**
     * Waits until the first content of a streamed answer, or the whole of another, has come, over as many targets and tokens as
     * it takes. Until then another one mends what breaks; afterwards the answer's own `next` fails. Slot, lease and upstream
     * call are held by the scope; closing it, or interruption in any phase, aborts the call and gives everything back.
     */
    send(request: GatewayRequest): Effect.Effect<Answer, GatewayFailure, Scope.Scope>
    /**
     * The same for what needs no fiber as long as all goes well: an answer in one piece, where slot and token are free at this moment.
     * `done` is told once, not before this returns. What it returns gives the request up, and everything back. Undefined: nothing has
     * been done, and `send` is the way.
     */
    readonly begin: (
      request: GatewayRequest,
      done: (exit: Exit.Exit<Answer, GatewayFailure>) => void
    ) => (() => void) | undefined
    readonly statistics: Effect.Effect<GatewayStatistics>
  }
>()("weirgate/traffic/Gateway") {
  static readonly layerWith = (
    options: GatewayOptions = {}
  ): Layer.Layer<
    Gateway,
    never,
    Acquisition | Catalog | Governor | ModelClients | Predictor | QuotaWatch | TokenPool
  > =>
    Layer.effect(
      Gateway,
      Effect.suspend(() => make(options))
    )

  static readonly layer = Layer.suspend(() => Gateway.layerWith())
}

const make = Effect.fnUntraced(function* (options: GatewayOptions) {
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const catalog = yield* Catalog
  const governor = yield* Governor
  const clients = yield* ModelClients
  const pool = yield* TokenPool
  const ends = yield* CallEnds.make
  const beginAttempt = yield* DirectAttempt.make(ends)
  const round = yield* Round.make(yield* Attempt.make(ends))
  const budget = RetryBudget.make()
  const serve = yield* Serve.make(round.go, budget, options.attempts ?? 5)
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const usual = {
    timeout: Duration.fromInputUnsafe(options.timeout ?? "10 minutes"),
    patience: Duration.toMillis(options.maxWait ?? "65 seconds")
  }

  return Gateway.of({
    statistics: ends.statistics,
    send: (request) =>
      Effect.uninterruptibleMask((restore) => {
        const job = jobOf(request, catalog.current(), usual, now(), restore)
        budget.asked(job.startedAt)
        const targets = candidatesOf(request, job.offer, clients)
        return targets instanceof ModelNotServed ? Effect.fail(targets) : serve(job, targets)
      }),
    begin: (request, done) => {
      // A trace tells of steps that are not told here.
      if (request.stream || request.journey?.steps !== undefined) return undefined
      const job = jobOf(request, catalog.current(), usual, now(), identity)
      const targets = candidatesOf(request, job.offer, clients)
      if (targets instanceof ModelNotServed || !areDirect(targets, job.offer, clients)) return undefined
      const slot = governor.take(slotRequestOf(job, targets, job.startedAt))
      if (slot === undefined) return undefined
      budget.asked(job.startedAt)
      let fiber: Fiber.Fiber<Answer, GatewayFailure> | undefined
      // From here on as any other.
      const goesOn = (begun: Round.Round) => {
        const going = Effect.uninterruptibleMask((restore) => serve({ ...job, restore }, targets, begun))
        fiber = fork(Effect.scoped(going))
        return fiber
      }
      const provider = job.offer.providers.get(slot.target.provider)
      const calling = provider && clients.of(provider).begin
      const lease = provider && calling && pool.take({ provider: provider.name })
      if (provider === undefined || calling === undefined || lease === undefined) {
        const going = goesOn((job, plan, scope) =>
          Effect.andThen(Effect.yieldNow, round.withSlot(job, plan, scope, slot))
        )
        going.addObserver(done)
        return () => going.interruptUnsafe()
      }
      job.journey.target = slot.target
      job.hasAnother = targets.length > 1
      const leave = beginAttempt(job, { slot, lease, provider, begin: calling }, (gone) => {
        if (Effect.isEffect(gone)) return goesOn(() => gone).addObserver(done)
        if (gone._tag === "Answered") done(Exit.succeed(gone.answer))
      })
      return () => {
        leave()
        fiber?.interruptUnsafe()
      }
    }
  })
})

const identity: Restore = (effect) => effect
