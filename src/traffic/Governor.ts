/**
 * Gives out slots: permission to send one request to a target now. A slot is a place among the provider's calls at work and a
 * place in its minute, taken together or not at all.
 */
import { Clock, Context, Duration, Effect, Exit, Fiber, Layer, Schedule, Schema, Scope } from "effect"
import type { Limit, Limits, Target } from "../domain/Provider.ts"
import type { Restore } from "../pool/TokenPool.ts"
import * as Replicas from "../store/Replicas.ts"
import type { Store, StoreUnavailable } from "../store/Store.ts"
import { type Lessons, noLessons, type Past } from "./capacity.ts"
import type { CircuitState } from "./circuit.ts"
import * as Dispatch from "./dispatch.ts"
import * as Metrics from "./governorMetrics.ts"
import { Learned } from "./limitLearning.ts"
import * as Minutes from "./minutes.ts"
import * as Pauses from "./pauses.ts"
import type { ProviderDesk } from "./sites.ts"

/** No slot in time. `retryAfter` is when one could be had by the best estimate; ten seconds where it takes a person. */
export class SlotRefused extends Schema.TaggedError<SlotRefused>()("SlotRefused", {
  reason: Schema.Literals([
    /** The line is full. */
    "full",
    /** The estimated wait is longer than the request may wait; told at once. */
    "wait",
    /** It waited as long as it may. */
    "timeout",
    /** All its targets are out of order, and nobody knows for how long. */
    "unavailable",
    /** It waited as long as it may, and a person has paused the providers of all its targets. */
    "paused"
  ]),
  detail: Schema.String,
  retryAfter: Schema.DurationFromMillis
}) {
  override get message() {
    return `no slot: ${this.detail}`
  }
}

export interface SlotRequest {
  /** In order of preference; the one that can start soonest is taken, the earlier of two that can start now. */
  readonly targets: ReadonlyArray<Target>
  readonly client: string
  /** 0 to 9, 9 being the most urgent. */
  readonly priority: number
  /** Epoch milliseconds: since when the request waits in all, so that a further attempt keeps its place in the line. */
  readonly since: number
  /** Epoch milliseconds until which it may wait. */
  readonly until: number
  /** Model tokens it is reckoned to take, for the providers that count them. */
  readonly tokens: number
}

/** How the call ended, as far as the target's health and its limits are concerned. */
export type SlotOutcome =
  | { readonly _tag: "Served"; readonly tokens: number | undefined }
  /** The upstream's fault: 5xx, timeout, cut, malformed. `retryAfter` where it was stated. */
  | { readonly _tag: "Failed"; readonly retryAfter: Duration.Duration | undefined }
  /** It said that we ask too much. */
  | { readonly _tag: "Throttled"; readonly retryAfter: Duration.Duration | undefined }
  /** Nothing was learned of the target: the caller's fault, the token's, or it left. */
  | { readonly _tag: "Neutral" }

export interface Slot {
  readonly target: Target
  /** Milliseconds it waited in the line. */
  readonly queuedMs: number
  /** The call is the single probe of a target that was out of order. */
  readonly probe: boolean
  /** Why the targets before it in the request's order were not taken, for the explain-trace. */
  readonly skipped: ReadonlyArray<{ readonly target: Target; readonly why: string }>
  /** The request begins to leave. Without it the upstream has not counted the call, and its place in the minute is given back. */
  sent(): void
  /** The first content has come: the target is in order, however long the answer takes from here. */
  answering(): void
  /** The first counts; a slot that is released without one is `Neutral`. Does not release the slot. */
  settle(outcome: SlotOutcome): void
}

/** A slot that no scope holds. */
export interface HeldSlot extends Slot {
  /** Gives it back. The first counts. */
  release(): void
}

/** What a provider can do now. */
export interface ProviderStanding {
  readonly name: string
  readonly limits: Limits
  /** What is learned of the limits nobody told us; the limits themselves where they are known. */
  readonly allowed: { readonly concurrency: number | "unlimited"; readonly rpm: number | "unlimited" }
  readonly inUse: number
  /** Calls in the minute that ends now. */
  readonly lastMinute: number
  /** Model tokens in that minute, as far as they are known or reckoned; undefined when it is not known. */
  readonly lastMinuteTokens?: number | undefined
  readonly waiting: number
  /** Until when nothing is sent there. */
  readonly heldUntil: number | undefined
  /** A person has paused it: nothing starts there until one resumes it. */
  readonly paused: boolean
  /** Epoch milliseconds; undefined when it is not paused, or not known. */
  readonly pausedSince?: number | undefined
  readonly targets: ReadonlyArray<{
    readonly model: string
    readonly circuit: "closed" | "open" | "half_open" | "returning"
    /** Epoch milliseconds until which it is open, and whether the upstream said so or we guess. */
    readonly until: number | undefined
    readonly source: "stated" | "guessed" | undefined
  }>
}

export interface GovernorStatistics {
  readonly waiting: number
  /** Epoch milliseconds: since when the one waits that has waited longest; undefined when nobody waits. */
  readonly oldestSince: number | undefined
  readonly inUse: number
  readonly granted: number
  readonly refused: number
  readonly meanWaitMs: number
}

export class Governor extends Context.Service<
  Governor,
  {
    /**
     * Waits in line until one of the targets can start, or fails as soon as it is clear that none will in time. The slot is
     * held by the scope. Interruption leaves the line, or gives the slot back. Per process.
     */
    slot(request: SlotRequest): Effect.Effect<Slot, SlotRefused, Scope.Scope>
    /**
     * The same without a scope: whoever is given the slot gives it back. To be asked for where nothing interrupts, with `restore` for
     * the wait alone.
     */
    acquire(request: SlotRequest, restore: Restore): Effect.Effect<HeldSlot, SlotRefused>
    /** The same for what can start at this moment: never waits, and undefined is no refusal. Whoever takes it gives it back. */
    readonly take: (request: SlotRequest) => HeldSlot | undefined
    /** Takes over the limits of the providers offered now. Slots that are out stay counted. */
    configure(providers: Iterable<{ readonly name: string; readonly limits: Limits }>): Effect.Effect<void>
    /** Sends nothing to the provider until then (epoch ms): none of its tokens can be used. Only ever moves later. */
    hold(provider: string, until: number): Effect.Effect<void>
    /**
     * Nothing starts at the provider until it is resumed: its requests wait in line, each as long as it may, or go to another of
     * their targets. What has its slot goes on. Durable when it returns, and in force here; other processes on the store follow
     * within two seconds, and a restart keeps it. Once begun it is not interrupted; when it fails nothing has changed. Doing it
     * twice is doing it once. The name need not be one of those configured: it holds as soon as it is.
     */
    pause(provider: string): Effect.Effect<void, StoreUnavailable>
    /** Undoes it, as durably: its line goes on by the usual rules and limits. */
    resume(provider: string): Effect.Effect<void, StoreUnavailable>
    /**
     * Takes all the provider's targets for in order, whatever is known of them; calls under way say nothing of it any more. What the
     * upstream has stated of its limits holds still, and so do the tokens' own states. Of this process alone. Never waits.
     */
    resetCircuits(provider: string): Effect.Effect<void>
    readonly providers: Effect.Effect<ReadonlyArray<ProviderStanding>>
    readonly statistics: Effect.Effect<GovernorStatistics>
  }
>()("weirgate/traffic/Governor") {
  /**
   * Learned limits are remembered by the store, but for the last second before a crash; so are the last minute's calls, but for
   * a hundredth of their limit. Pauses are in the store before they are in force.
   */
  static readonly layerWith = (options: GovernorOptions = {}): Layer.Layer<Governor, StoreUnavailable, Store> =>
    Layer.effect(
      Governor,
      Effect.suspend(() => make(options))
    )

  static readonly layer = Layer.suspend(() => Governor.layerWith())
}

export interface GovernorOptions {
  readonly queue?:
    | {
        /** The most that wait (default 1000). */
        readonly limit?: number | undefined
        /** How long a wait is worth one priority more (default 5 seconds). */
        readonly ageing?: Duration.Input | undefined
      }
    | undefined
  /** Added to the 60 seconds that a call counts: what transit may do to the spacing of two calls (default 250 milliseconds). */
  readonly margin?: Duration.Input | undefined
}

const lessons = {
  name: "governor-lessons",
  schema: Schema.Struct({ concurrency: Learned, rpm: Learned })
}

/** A call that was broken off is not gone at its upstream at once: for so long it holds its place. */
const linger = "100 millis"

const minutes = { name: "governor-minutes", schema: Minutes.Minute }

/** What a crash may make us forget of a minute: nothing of one of up to a hundred calls. */
const forgettable = 0.01

const shareOf = (spent: number, limit: Limit) => (typeof limit === "number" ? spent / limit : 0)

const isCounted = ({ rpm, tpm }: Limits) => rpm !== "unlimited" || tpm !== "unlimited"

const make = Effect.fnUntraced(function* (options: GovernorOptions) {
  const clock = yield* Clock.Clock
  const scope = yield* Effect.scope
  const services = yield* Effect.context()
  const learned = yield* Replicas.make<Lessons, Lessons>({ collection: lessons, fold: (_stored, _now, next) => next })
  const sent = yield* Replicas.make<Minutes.Minute, Past>({
    collection: minutes,
    fold: Minutes.fold,
    merged: Minutes.merged
  })
  const now = () => clock.currentTimeMillisUnsafe()
  const pauses = yield* Pauses.make((provider, isPaused) =>
    Effect.suspend(() => {
      dispatch.pause(provider, isPaused, now())
      return Metrics.toldPause(provider, isPaused)
    })
  )
  const run = (effect: Effect.Effect<void>) =>
    Fiber.runIn(Effect.runForkWith(services)(effect.pipe(Effect.annotateLogs({ service: "Governor" }))), scope)

  let timer: { readonly at: number; fiber: Fiber.Fiber<void> | undefined } | undefined
  const wakeAt = (at: number) => {
    if (timer !== undefined && timer.at <= at) return
    timer?.fiber?.interruptUnsafe()
    // Known before it runs: one that is due now may ring at once, and set the next.
    const next: NonNullable<typeof timer> = { at, fiber: undefined }
    timer = next
    const ring = Effect.sync(() => {
      if (timer === next) timer = undefined
      dispatch.tick(now())
    })
    next.fiber = run(Effect.delay(ring, Math.max(0, at - now())))
  }

  const dispatch = Dispatch.make({
    limit: options.queue?.limit ?? 1_000,
    ageing: Duration.toMillis(options.queue?.ageing ?? "5 seconds"),
    margin: Duration.toMillis(options.margin ?? "250 millis"),
    lessonsOf: (provider) => learned.get(provider) ?? noLessons,
    pastOf: (provider) => sent.get(provider)?.seconds ?? [],
    isPaused: (provider) => pauses.since(provider) !== undefined,
    wakeAt
  })

  // By provider: the share of its minute that has left since it was stored.
  const unstored = new Map<string, number>()
  /** A call that has left is stored at once, or with the next few where that many are next to nothing of the minute. */
  const remember = ({ capacity, name }: ProviderDesk, at: number, tokens: number) => {
    const event = { at: Minutes.secondOf(at), calls: 1, tokens }
    const { rpm } = capacity.allowed()
    const { tpm } = capacity.limits()
    const share = (unstored.get(name) ?? 0) + Math.max(shareOf(1, rpm), shareOf(tokens, tpm))
    unstored.set(name, share < forgettable ? share : 0)
    if (share < forgettable) sent.record(name, at, event)
    // Should the store be away, it is kept and stored later.
    else run(Effect.ignore(sent.commit(name, event)))
  }

  const counted = { granted: 0, refused: 0, waitedMs: 0 }
  const metrics = Metrics.make(services)

  class Held implements HeldSlot {
    readonly target
    readonly queuedMs
    readonly probe
    readonly skipped
    readonly #granted: Dispatch.Granted
    #isSettled = false
    #hasLeft = false
    #isAnswered = false
    #isReleased = false

    constructor(granted: Dispatch.Granted) {
      this.#granted = granted
      this.target = granted.target
      this.queuedMs = granted.queuedMs
      this.probe = granted.ticket.isProbe
      this.skipped = granted.skipped
    }

    sent() {
      if (this.#hasLeft) return
      this.#hasLeft = true
      const { grant, provider } = this.#granted
      const { capacity } = provider
      const at = now()
      capacity.sent(grant, at)
      if (!isCounted(capacity.limits())) return
      remember(provider, at, grant.tokens.weight)
      // Those that wait for its minute know only now how long.
      if (provider.waiting > 0) dispatch.changed(provider, at)
    }

    answering() {
      if (this.#isSettled) return
      const at = now()
      const { site } = this.#granted
      const before = site.circuit.state()
      dispatch.answering(this.#granted, at)
      this.#tell(before, at)
    }

    settle(outcome: SlotOutcome) {
      if (this.#isSettled) return
      this.#isSettled = true
      this.#isAnswered = outcome._tag === "Served" || outcome._tag === "Throttled"
      const at = now()
      const { grant, provider, site } = this.#granted
      const { capacity } = provider
      const before = site.circuit.state()
      const hasLearned =
        outcome._tag === "Served"
          ? capacity.served(grant, at, outcome.tokens)
          : outcome._tag === "Throttled" && capacity.throttled(grant, at)
      if (hasLearned) {
        learned.record(provider.name, at, capacity.lessons())
        dispatch.changed(provider, at)
      }
      if (outcome._tag === "Throttled" && outcome.retryAfter !== undefined) {
        dispatch.hold(provider.name, at + Duration.toMillis(outcome.retryAfter), at)
      }
      const until =
        outcome._tag === "Failed" && outcome.retryAfter !== undefined
          ? at + Duration.toMillis(outcome.retryAfter)
          : undefined
      const ended = outcome._tag === "Served" ? "served" : outcome._tag === "Failed" ? "failed" : "neutral"
      dispatch.end(this.#granted, at, ended, until)
      this.#tell(before, at)
    }

    release() {
      if (this.#isReleased) return
      this.#isReleased = true
      const lingers = this.#hasLeft && !this.#isAnswered
      this.settle({ _tag: "Neutral" })
      dispatch.release(this.#granted, now(), lingers)
      if (!lingers) return
      const gone = Effect.sync(() => dispatch.gone(this.#granted, now()))
      run(Effect.delay(gone, linger))
    }

    #tell(before: CircuitState, at: number) {
      const { site, target } = this.#granted
      if (site.circuit.state() !== before) run(Metrics.told(target, site.circuit.view(at), at))
    }
  }

  const held = (granted: Dispatch.Granted): HeldSlot => {
    counted.granted++
    counted.waitedMs += granted.queuedMs
    metrics.granted(granted.provider.name, granted.queuedMs)
    return new Held(granted)
  }

  const refused = ({ detail, reason, retryAfter }: Dispatch.Refusal) => {
    counted.refused++
    metrics.refused(reason)
    return Effect.fail(new SlotRefused({ reason, detail, retryAfter: Duration.millis(retryAfter) }))
  }

  const decided = (decision: Dispatch.Granted | Dispatch.Refusal) =>
    decision._tag === "Granted" ? Effect.succeed(held(decision)) : refused(decision)

  /** In line until it is decided; whoever leaves it gives back what they may have been given at the same moment. */
  const acquire = (request: SlotRequest, restore: Restore): Effect.Effect<HeldSlot, SlotRefused> =>
    Effect.suspend(() => {
      let decision: Dispatch.Granted | Dispatch.Refusal | undefined
      let resume: (() => void) | undefined
      const asked = dispatch.ask(now(), request, (made) => {
        decision = made
        resume?.()
      })
      if ("_tag" in asked) return decided(asked)
      const wait = Effect.callback<Dispatch.Granted | Dispatch.Refusal>((done) => {
        const tell = () => decision !== undefined && done(Effect.succeed(decision))
        resume = tell
        tell()
      })
      const leave = Effect.sync(() => {
        if (decision === undefined) dispatch.leave(asked, now())
        else if (decision._tag === "Granted") new Held(decision).release()
      })
      const waited = Effect.onExit(restore(wait), (exit) => (Exit.isSuccess(exit) ? Effect.void : leave))
      return Effect.flatMap(waited, decided)
    })

  const refresh = Effect.suspend(() => metrics.census(dispatch.providers.values()))
  yield* metrics.begin
  yield* Effect.forkScoped(Effect.schedule(refresh, Schedule.spaced("5 seconds")))

  return Governor.of({
    slot: (request) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.scope, (scope) =>
          Effect.tap(acquire(request, restore), (slot) =>
            Scope.addFinalizer(
              scope,
              Effect.sync(() => slot.release())
            )
          )
        )
      ),
    acquire,
    take: (request) => {
      const granted = dispatch.take(now(), request)
      return granted === undefined ? undefined : held(granted)
    },
    configure: (providers) =>
      Effect.suspend(() => {
        dispatch.configure(providers, now())
        return refresh
      }),
    hold: (provider, until) => Effect.sync(() => dispatch.hold(provider, until, now())),
    pause: (provider) => pauses.set(provider, true),
    resume: (provider) => pauses.set(provider, false),
    resetCircuits: (provider) =>
      Effect.suspend(() => {
        dispatch.resetCircuits(provider, now())
        return Effect.logInfo(`all targets of ${provider} are taken for in order again`).pipe(
          Effect.annotateLogs({ service: "Governor" })
        )
      }),
    providers: Effect.sync(() =>
      [...dispatch.providers.values()]
        .filter(({ capacity, isOffered, waiting }) => isOffered || waiting > 0 || capacity.inUse() > 0)
        .map((desk) => standingOf(desk, pauses.since(desk.name), now()))
    ),
    statistics: Effect.sync(() => ({
      waiting: dispatch.waiting(),
      oldestSince: dispatch.oldest(),
      inUse: [...dispatch.providers.values()].reduce((sum, { capacity }) => sum + capacity.inUse(), 0),
      granted: counted.granted,
      refused: counted.refused,
      meanWaitMs: counted.granted === 0 ? 0 : counted.waitedMs / counted.granted
    }))
  })
})

const standingOf = (
  { capacity, name, sites, waiting }: ProviderDesk,
  pausedSince: number | undefined,
  now: number
): ProviderStanding => ({
  name,
  limits: capacity.limits(),
  allowed: capacity.allowed(),
  inUse: capacity.inUse(),
  lastMinute: capacity.lastMinute(now),
  lastMinuteTokens: capacity.lastMinuteTokens(now),
  waiting,
  heldUntil: capacity.heldUntil() > now ? capacity.heldUntil() : undefined,
  paused: capacity.isPaused(),
  pausedSince,
  targets: [...sites.values()].map(({ circuit, target }) => {
    const { source, state, until } = circuit.view(now)
    return { model: target.model, circuit: state, until, source }
  })
})
