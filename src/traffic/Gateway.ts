/** Serves one model request: a slot, a token, a call, and the next of each where that is the remedy. */
import { Cause, Clock, Context, Duration, Effect, Exit, Layer, Random, Result, Schema, Scope } from "effect"
import type { Fiber } from "effect"
import { Acquisition } from "../acquisition/Acquisition.ts"
import { Predictor } from "../acquisition/Predictor.ts"
import type { CallFailure } from "../domain/Failure.ts"
import type { Provider, Target } from "../domain/Provider.ts"
import { type Restore, TokenPool } from "../pool/TokenPool.ts"
import type { StoreUnavailable } from "../store/Store.ts"
import type { Answer, Endpoint, ModelClient, RequestBody } from "../upstream/ModelClient.ts"
import * as Attempt from "./attempt.ts"
import { Catalog, type Offer } from "./Catalog.ts"
import { Governor, type HeldSlot, type SlotRefused, type SlotRequest } from "./Governor.ts"
import * as Journey from "./journey.ts"
import * as Lend from "./lend.ts"
import { ModelClients } from "./ModelClients.ts"
import { after, type Plan, planOf, readmit, remedyOf, repeated, setAside } from "./plan.ts"
import { QuotaWatch } from "./QuotaWatch.ts"
import * as RetryBudget from "./retryBudget.ts"
import { reckonTokens } from "./reckonTokens.ts"
import { tracedText } from "./tracedText.ts"

/** Nobody offers that model, or none who does has that endpoint. */
export class ModelNotServed extends Schema.TaggedError<ModelNotServed>()("ModelNotServed", {
  model: Schema.String,
  /** The endpoint that is missing; absent when the model is. */
  endpoint: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return this.endpoint === undefined
      ? `the model ${JSON.stringify(this.model)} is not served here; GET /v1/models lists those that are`
      : `the model ${JSON.stringify(this.model)} is served here, but not at /v1${this.endpoint}`
  }
}

/** The request's whole time is over. */
export class DeadlineExceeded extends Schema.TaggedError<DeadlineExceeded>()("DeadlineExceeded", {
  timeout: Schema.DurationFromMillis,
  detail: Schema.String
}) {
  override get message() {
    return `no answer within ${Duration.format(this.timeout)}: ${this.detail}`
  }
}

export type GatewayFailure =
  | CallFailure
  | Lend.NoCapacity
  | StoreUnavailable
  | SlotRefused
  | ModelNotServed
  | DeadlineExceeded

export interface GatewayRequest {
  /** Names the request in the log. */
  readonly id: string
  readonly endpoint: Endpoint
  readonly body: RequestBody
  /** The public name of the model. */
  readonly model: string
  readonly stream: boolean
  /** Who asks: clients are served in turns. */
  readonly client: string
  /** 0 to 9, 9 being the most urgent (default 5). */
  readonly priority?: number | undefined
  /** For the request in all, its answer included. Without it, it waits in line no longer than `maxWait`. */
  readonly timeout?: Duration.Duration | undefined
  /** Filled in as it goes, so that it can be told of also when the request fails. */
  readonly journey?: Journey.Journey | undefined
}

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

export const defaultPriority = 5

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

/** A request on its way. */
interface Job extends Attempt.Job {
  readonly request: GatewayRequest
  /** What it was resolved by last. */
  offer: Offer
  /** How long it may wait in line in all, in milliseconds. */
  readonly patience: number
  hasAnother: boolean
  readonly timeout: Duration.Duration
  /** Model tokens it is reckoned to take. */
  readonly tokens: number
  readonly restore: Restore
}

const make = Effect.fnUntraced(function* (options: GatewayOptions) {
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const catalog = yield* Catalog
  const governor = yield* Governor
  const clients = yield* ModelClients
  const lend = yield* Lend.make
  const pool = yield* TokenPool
  const { attempt, begin, statistics } = yield* Attempt.make
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const budget = RetryBudget.make()
  const mostAttempts = options.attempts ?? 5
  const usualTimeout = Duration.fromInputUnsafe(options.timeout ?? "10 minutes")
  const maxWait = Duration.toMillis(options.maxWait ?? "65 seconds")

  /** Those of its targets that have the endpoint. */
  const targetsOf = (offer: Offer, { endpoint, model }: GatewayRequest): ReadonlyArray<Target> | ModelNotServed => {
    const targets = offer.resolve(model)
    if (targets === undefined) return new ModelNotServed({ model })
    const able = targets.filter(({ provider }) => clientOf(offer, provider)?.endpoints.has(endpoint) === true)
    return able.length > 0 ? able : new ModelNotServed({ model, endpoint })
  }
  const clientOf = (offer: Offer, name: string): ModelClient | undefined => {
    const provider = offer.providers.get(name)
    return provider === undefined ? undefined : clients.of(provider)
  }

  /** A token for the call. At Warp it may have to be renewed or made first, which takes as long as it takes, but not for ever. */
  const leaseFor = (job: Job, { tokens }: Plan, provider: Provider, scope: Scope.Scope) => {
    const { request, restore } = job
    if (provider.kind !== "warp") return lend(provider, tokens, request.client, restore)
    const lending = Effect.uninterruptibleMask((restore) =>
      Effect.tap(lend(provider, tokens, request.client, restore), ({ giveBack }) => Scope.addFinalizer(scope, giveBack))
    )
    return restore(inTime(job, lending))
  }

  /** One slot, one token, one call: what became of it. */
  const go = Effect.fnUntraced(function* (job: Job, plan: Plan, parent: Scope.Scope) {
    const asked = yield* Effect.result(governor.acquire(slotRequestOf(job, plan.targets, now()), job.restore))
    if (asked._tag === "Failure") return { _tag: "Refused" as const, refused: asked.failure }
    return yield* goOn(job, plan, parent, asked.success)
  })

  /** The same with the slot in hand. */
  const goOn = Effect.fnUntraced(function* (job: Job, plan: Plan, parent: Scope.Scope, slot: HeldSlot) {
    const { journey } = job
    job.hasAnother = plan.targets.length > 1 || plan.aside.length > 0
    const provider = job.offer.providers.get(slot.target.provider)
    if (provider === undefined) return yield* Effect.die(`a slot for an unknown provider: ${slot.target.provider}`)
    journey.queuedMs += slot.queuedMs
    journey.target = slot.target
    if (journey.steps !== undefined) {
      const more = { of: slot.target, took: slot.queuedMs, ...Journey.skippedOf(slot.skipped) }
      Journey.note(journey, now() - job.startedAt, "slot", more)
    }
    // What is read to its end in one piece has nothing to hold but slot and token.
    const scope = provider.kind === "warp" ? Scope.forkUnsafe(parent) : undefined
    const lease = yield* Effect.exit(leaseFor(job, plan, provider, scope ?? parent))
    if (Exit.isFailure(lease)) {
      slot.release()
      if (scope !== undefined) yield* Scope.close(scope, lease)
      const why = Cause.findError(lease.cause)
      if (Result.isFailure(why)) return yield* Effect.failCause(why.failure)
      return { _tag: "Short" as const, provider: provider.name, why: why.success }
    }
    const client = clients.of(provider)
    return yield* attempt(job, { slot, lease: lease.value, provider, client, parent, scope })
  })

  /** Before the same target is asked again. */
  const pause = Effect.fnUntraced(function* ({ journey, restore, startedAt }: Job) {
    const wait = yield* Random.nextIntBetween(250, 500)
    Journey.note(journey, now() - startedAt, "paused", { of: journey.target, took: wait })
    yield* restore(Effect.sleep(wait))
  })

  /** Goes on until it is answered, or nobody is left who could. */
  const serve = Effect.fnUntraced(function* (
    job: Job,
    targets: ReadonlyArray<Target>,
    begun?: (job: Job, plan: Plan, scope: Scope.Scope) => ReturnType<typeof goOn>
  ) {
    const { journey } = job
    const scope = yield* Effect.scope
    let plan = planOf(targets, mostAttempts)
    // What has been begun before.
    let first = begun?.(job, plan, scope)
    // What the caller is told when it ends here: of a failure rather than of the circuit that opened because of it.
    let failure: CallFailure | undefined
    let shortage: Lend.Shortage | DeadlineExceeded | undefined
    while (true) {
      if (plan.targets.length === 0) {
        const at = now()
        const again = repeated(plan)
        if (again !== undefined && budget.mayRepeat(at)) {
          plan = again
          yield* pause(job)
          continue
        }
        const back = readmit(plan, untilOf(job, at))
        if (back === undefined || isOfKey(failure)) return yield* toldOf(failure, shortage)
        // Looked at again every few seconds: a token may come back sooner, by a person's hand.
        yield* governor.hold(back.provider, Math.min(back.until, at + lookAgain))
        plan = back.plan
      }
      const gone = yield* first ?? go(job, plan, scope)
      first = undefined
      if (gone._tag === "Answered") return gone.answer
      if (gone._tag === "Refused") {
        const { refused } = gone
        if (journey.steps !== undefined) {
          Journey.note(journey, now() - job.startedAt, "no_slot", { detail: tracedText(refused) })
        }
        if (refused.reason === "unavailable" && plan.aside.length > 0) {
          plan = { ...plan, targets: [] }
          continue
        }
        // How long it will be is worth more than that a token was refused.
        return yield* failure === undefined || failure._tag === "Throttled" ? refused : failure
      }
      const at = now()
      if (gone._tag === "Short") {
        if (catalog.current() !== job.offer) {
          // Meanwhile another offer holds, and the token may have gone with the old one.
          job.offer = catalog.current()
          const targets = targetsOf(job.offer, job.request)
          if (targets instanceof ModelNotServed) return yield* targets
          plan = { ...planOf(targets, mostAttempts), attempts: plan.attempts }
          continue
        }
        shortage = gone.why
        Journey.note(journey, at - job.startedAt, "no_token", { detail: `${gone.provider}: ${tracedText(shortage)}` })
        const back = at + waitOf(shortage)
        if (isWorthWaiting(job, plan, gone.provider, back, at)) {
          yield* governor.hold(gone.provider, Math.min(back, at + lookAgain))
        } else {
          plan = setAside(plan, gone.provider, back)
        }
        continue
      }
      failure = gone.failed.failure
      if (at >= job.deadline) return yield* new DeadlineExceeded({ timeout: job.timeout, detail: failure.message })
      const next = after(plan, gone.failed)
      if (next._tag === "GiveUp") return yield* failure
      if (next._tag === "Repeat") {
        if (!budget.mayRepeat(at)) return yield* failure
        yield* pause(job)
      }
      plan = next.plan
      yield* Effect.annotateLogs(Effect.logInfo(`moving on: ${tracedText(failure)}`), {
        service: "Gateway",
        request: job.request.id
      })
    }
  })

  const isDirect =
    (offer: Offer) =>
    ({ provider }: Target): boolean =>
      clientOf(offer, provider)?.begin !== undefined

  const jobOf = (request: GatewayRequest, restore: Restore): Job => {
    const startedAt = now()
    const timeout = request.timeout ?? usualTimeout
    const milliseconds = Duration.toMillis(timeout)
    const journey = request.journey ?? Journey.make(false)
    journey.timeout = milliseconds
    return {
      request,
      offer: catalog.current(),
      startedAt,
      deadline: startedAt + milliseconds,
      timeout,
      patience: request.timeout === undefined ? maxWait : Number.POSITIVE_INFINITY,
      hasAnother: false,
      calledAt: startedAt,
      tokens: reckonTokens(request.body),
      journey,
      restore
    }
  }

  return Gateway.of({
    statistics,
    send: (request) =>
      Effect.uninterruptibleMask((restore) => {
        const job = jobOf(request, restore)
        budget.asked(job.startedAt)
        const targets = targetsOf(job.offer, request)
        return targets instanceof ModelNotServed ? Effect.fail(targets) : serve(job, targets)
      }),
    begin: (request, done) => {
      // A trace tells of steps that are not told here.
      if (request.stream || request.journey?.steps !== undefined) return undefined
      const job = jobOf(request, identity)
      const targets = targetsOf(job.offer, request)
      if (targets instanceof ModelNotServed || !targets.every(isDirect(job.offer))) return undefined
      const slot = governor.take(slotRequestOf(job, targets, job.startedAt))
      if (slot === undefined) return undefined
      budget.asked(job.startedAt)
      let fiber: Fiber.Fiber<Answer, GatewayFailure> | undefined
      // From here on as any other.
      const goesOn = (begun: NonNullable<Parameters<typeof serve>[2]>) => {
        const going = Effect.uninterruptibleMask((restore) => serve({ ...job, restore }, targets, begun))
        fiber = fork(Effect.scoped(going))
        return fiber
      }
      const provider = job.offer.providers.get(slot.target.provider)
      const calling = provider && clients.of(provider).begin
      const lease = provider && calling && pool.take({ provider: provider.name })
      if (provider === undefined || calling === undefined || lease === undefined) {
        const going = goesOn((job, plan, scope) => Effect.andThen(Effect.yieldNow, goOn(job, plan, scope, slot)))
        going.addObserver(done)
        return () => going.interruptUnsafe()
      }
      job.journey.target = slot.target
      job.hasAnother = targets.length > 1
      const leave = begin(job, { slot, lease, provider, begin: calling }, (gone) => {
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

/** A slot for it at one of these. */
const slotRequestOf = (job: Job, targets: ReadonlyArray<Target>, now: number): SlotRequest => ({
  targets,
  client: job.request.client,
  priority: job.request.priority ?? defaultPriority,
  since: job.startedAt,
  until: untilOf(job, now),
  tokens: job.tokens
})

/** Until when it may wait in line: what its attempts took is not held against it. */
const untilOf = ({ deadline, journey, patience }: Job, now: number): number =>
  Math.min(deadline, now + Math.max(0, patience - journey.queuedMs))

const inTime = <A, E, R>({ deadline, timeout }: Job, effect: Effect.Effect<A, E, R>) =>
  Effect.clockWith((clock) =>
    Effect.timeoutOrElse(effect, {
      duration: Math.max(0, deadline - clock.currentTimeMillisUnsafe()),
      orElse: () => Effect.fail(new DeadlineExceeded({ timeout, detail: "no token was to be had in time" }))
    })
  )

/** A key that is not accepted will not be accepted in a minute either. */
const isOfKey = (failure: CallFailure | undefined) =>
  failure?._tag === "AccessRejected" || failure?._tag === "AccountBlocked"

const lookAgain = 5_000

/**
 * Whether a provider without a token will have one in time, for this request and for everyone: then all stay in its line, and it is
 * the provider that is left alone. With no other left, the request is set aside and comes back by itself.
 */
const isWorthWaiting = (job: Job, { targets, tokens }: Plan, short: string, back: number, now: number): boolean =>
  tokens.size === 0 && back <= untilOf(job, now) && targets.some(({ provider }) => provider !== short)

/** That the last token was no good is not what a caller can act on, but when there will be one. */
const toldOf = (failure: CallFailure | undefined, shortage: Lend.Shortage | DeadlineExceeded | undefined) => {
  const isOfToken = failure !== undefined && !isOfKey(failure) && remedyOf({ failure, sent: true }) === "token"
  return (isOfToken ? (shortage ?? failure) : (failure ?? shortage)) ?? Effect.die("a request without a target")
}

/** How long until it may be different, in milliseconds. */
const waitOf = (shortage: Lend.Shortage | DeadlineExceeded): number =>
  "retryAfter" in shortage && shortage.retryAfter !== undefined
    ? Duration.toMillis(shortage.retryAfter)
    : Number.POSITIVE_INFINITY
