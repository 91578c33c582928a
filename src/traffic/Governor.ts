/**
 * Gives out slots: permission to send one request to a target now. A slot is a place among the provider's calls at work and a
 * place in its minute, taken together or not at all.
 */
import { Clock, Context, Duration, Effect, Exit, Fiber, Layer, Schedule, Scope } from "effect"
import type { Limits } from "../domain/Provider.ts"
import type { Restore } from "../pool/TokenPool.ts"
import type { Store, StoreUnavailable } from "../store/Store.ts"
import * as Alarm from "./alarm.ts"
import * as Dispatch from "./dispatch.ts"
import * as Metrics from "./governorMetrics.ts"
import { Held } from "./held.ts"
import * as Pauses from "./pauses.ts"
import * as Remembered from "./remembered.ts"
import type { Granted, Refusal } from "./sites.ts"
import { type HeldSlot, type Slot, SlotRefused, type SlotRequest } from "./slot.ts"
import { type GovernorStatistics, type ProviderStanding, standingOf } from "./standing.ts"

export { type HeldSlot, type Slot, type SlotOutcome, SlotRefused, type SlotRequest } from "./slot.ts"
export type { GovernorStatistics, ProviderStanding } from "./standing.ts"

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

const make = Effect.fnUntraced(function* (options: GovernorOptions) {
  const clock = yield* Clock.Clock
  const scope = yield* Effect.scope
  const services = yield* Effect.context()
  const now = () => clock.currentTimeMillisUnsafe()
  const run = (effect: Effect.Effect<void>) =>
    Fiber.runIn(Effect.runForkWith(services)(effect.pipe(Effect.annotateLogs({ service: "Governor" }))), scope)
  const remembered = yield* Remembered.make(run)
  const pauses = yield* Pauses.make((provider, isPaused) =>
    Effect.suspend(() => {
      dispatch.pause(provider, isPaused, now())
      return Metrics.toldPause(provider, isPaused)
    })
  )
  const dispatch = Dispatch.make({
    limit: options.queue?.limit ?? 1_000,
    ageing: Duration.toMillis(options.queue?.ageing ?? "5 seconds"),
    margin: Duration.toMillis(options.margin ?? "250 millis"),
    lessonsOf: remembered.lessonsOf,
    pastOf: remembered.pastOf,
    isPaused: (provider) => pauses.since(provider) !== undefined,
    wakeAt: Alarm.make({ now, run, ring: (at) => dispatch.tick(at) })
  })

  const counted = { granted: 0, refused: 0, waitedMs: 0 }
  const metrics = Metrics.make(services)
  const issuer = { dispatch, now, remembered, run }

  const held = (granted: Granted): HeldSlot => {
    counted.granted++
    counted.waitedMs += granted.queuedMs
    metrics.granted(granted.provider.name, granted.queuedMs)
    return new Held(granted, issuer)
  }

  const refused = ({ detail, reason, retryAfter }: Refusal) => {
    counted.refused++
    metrics.refused(reason)
    return Effect.fail(new SlotRefused({ reason, detail, retryAfter: Duration.millis(retryAfter) }))
  }

  const decided = (decision: Granted | Refusal) =>
    decision._tag === "Granted" ? Effect.succeed(held(decision)) : refused(decision)

  /** In line until it is decided; whoever leaves it gives back what they may have been given at the same moment. */
  const acquire = (request: SlotRequest, restore: Restore): Effect.Effect<HeldSlot, SlotRefused> =>
    Effect.suspend(() => {
      let decision: Granted | Refusal | undefined
      let resume: (() => void) | undefined
      const asked = dispatch.ask(now(), request, (made) => {
        decision = made
        resume?.()
      })
      if ("_tag" in asked) return decided(asked)
      const wait = Effect.callback<Granted | Refusal>((done) => {
        const tell = () => decision !== undefined && done(Effect.succeed(decision))
        resume = tell
        tell()
      })
      const leave = Effect.sync(() => {
        if (decision === undefined) dispatch.leave(asked, now())
        else if (decision._tag === "Granted") new Held(decision, issuer).release()
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
