/** What the emulated providers are set to and have seen: limits and pauses that can be changed while they run, calls let in. */
import { Clock, Context, Duration, Effect, Layer, Record } from "effect"
import type { Scope } from "effect"
import * as CallLimiter from "./callLimits.ts"
import type { BrokenLimit, CallLimits, Seen } from "./callLimits.ts"
import type { Service } from "./pace.ts"
import { providerNames, providers } from "./providers.ts"
import type { ProviderName } from "./providers.ts"
import { usualService } from "./serviceTime.ts"

export interface ProviderSettings extends CallLimits {
  /** The pause before the first event of a stream; a whole answer waits for all pauses its stream would have. */
  readonly firstToken: Duration.Duration
  /** The pause before each further event. */
  readonly latency: Duration.Duration
  /** How long its answers take by their tokens, in place of both pauses; null for the pauses. */
  readonly service: Service | null
}

export interface ProviderOptions {
  /** Null for no limit. */
  readonly concurrency?: number | null | undefined
  /** Null for no limit. */
  readonly rpm?: number | null | undefined
  readonly firstToken?: Duration.Input | undefined
  readonly latency?: Duration.Input | undefined
  /** Null for none. What is left out stays as it is, and is at first as `usualService` has it, without jitter. */
  readonly service?: ServiceOptions | null | undefined
}

export interface ServiceOptions {
  readonly firstToken?: Duration.Input | undefined
  readonly perThousandPrompt?: Duration.Input | undefined
  readonly perToken?: Duration.Input | undefined
  readonly jitter?: number | undefined
}

export interface OpenAiProvidersOptions {
  /** The pause before each event of a stream (default 1 millisecond). */
  readonly latency?: Duration.Input | undefined
  /** What a provider is set to at the start and after a reset (default: its limits of document D3, and `latency`). */
  readonly openai?: Partial<Readonly<Record<ProviderName, ProviderOptions>>> | undefined
}

/** A call that has arrived. */
export interface Arrival {
  /** The limit that refuses it. */
  readonly refused: BrokenLimit | undefined
  /** The call is over; what the closing of its scope says too late for a client that reads faster. */
  readonly over: Effect.Effect<void>
}

export class OpenAiProviders extends Context.Service<
  OpenAiProviders,
  {
    /** Counts a call that arrives now. One that is let in is at work until its scope closes, or until it says that it is over. */
    arrive(provider: ProviderName): Effect.Effect<Arrival, never, Scope.Scope>
    settings(provider: ProviderName): Effect.Effect<ProviderSettings>
    /** Changes what is given; the calls of the last minute count against a new rate. */
    change(provider: ProviderName, options: ProviderOptions): Effect.Effect<void>
    seen(provider: ProviderName): Effect.Effect<Seen>
    /** How many answers the provider has given, this one included. */
    ordinal(provider: ProviderName): Effect.Effect<number>
    /** Back to the settings of the start; forgets all but the calls that are still at work. */
    readonly reset: Effect.Effect<void>
  }
>()("weirgate/sandbox/OpenAiProviders") {
  static readonly layerWith = (options: OpenAiProvidersOptions = {}) =>
    Layer.sync(OpenAiProviders, () => {
      const initial = (name: ProviderName): ProviderSettings => {
        const latency = Duration.fromInputUnsafe(options.latency ?? "1 millis")
        const usual = { ...providers[name].limits, firstToken: latency, latency, service: null }
        return changed(usual, options.openai?.[name] ?? {})
      }
      const states = Record.map(providers, (_, name): State => ({
        settings: initial(name),
        limiter: CallLimiter.make(),
        answers: 0
      }))

      return OpenAiProviders.of({
        arrive: (name) => {
          const state = states[name]
          const { limiter } = state
          const arrived = Effect.map(Clock.currentTimeMillis, (now): Arrival => {
            const refused = limiter.arrive(now, state.settings)
            let atWork = refused === undefined
            const over = Effect.sync(() => {
              if (!atWork) return
              atWork = false
              limiter.leave()
            })
            return { refused, over }
          })
          return Effect.acquireRelease(arrived, ({ over }) => over)
        },
        settings: (name) => Effect.sync(() => states[name].settings),
        change: (name, change) =>
          Effect.sync(() => {
            const state = states[name]
            state.settings = changed(state.settings, change)
          }),
        seen: (name) => Effect.sync(() => states[name].limiter.seen()),
        ordinal: (name) => Effect.sync(() => ++states[name].answers),
        reset: Effect.sync(() => {
          for (const name of providerNames) {
            const state = states[name]
            state.settings = initial(name)
            state.limiter.reset()
            state.answers = 0
          }
        })
      })
    })
}

interface State {
  settings: ProviderSettings
  readonly limiter: CallLimiter.CallLimiter
  answers: number
}

const changed = (settings: ProviderSettings, change: ProviderOptions): ProviderSettings => ({
  concurrency: change.concurrency === undefined ? settings.concurrency : change.concurrency,
  rpm: change.rpm === undefined ? settings.rpm : change.rpm,
  firstToken: durationOf(change.firstToken, settings.firstToken),
  latency: durationOf(change.latency, settings.latency),
  service: changedService(settings.service, change.service)
})

const changedService = (service: Service | null, change: ServiceOptions | null | undefined): Service | null => {
  if (change === undefined || change === null) return change === null ? null : service
  const before = service ?? { ...usualService, jitter: 0 }
  return {
    firstToken: durationOf(change.firstToken, before.firstToken),
    perThousandPrompt: durationOf(change.perThousandPrompt, before.perThousandPrompt),
    perToken: durationOf(change.perToken, before.perToken),
    jitter: change.jitter ?? before.jitter
  }
}

const durationOf = (given: Duration.Input | undefined, otherwise: Duration.Duration): Duration.Duration =>
  given === undefined ? otherwise : Duration.fromInputUnsafe(given)
