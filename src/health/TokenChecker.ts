/** Knows how each upstream is asked whether a token is good, where that spends nothing. */
import { Clock, Context, Duration, Effect, Layer } from "effect"
import type { Redacted } from "effect"
import type { HttpClient } from "effect/http"
import type { CallFailure } from "../domain/Failure.ts"
import { type OpenAiProvider, type Provider, warpProvider, wopanProvider } from "../domain/Provider.ts"
import type { QuotaReport, TokenId } from "../domain/Token.ts"
import { OpenAiModels } from "../upstream/OpenAiModels.ts"
import { WarpClient } from "../upstream/WarpClient.ts"
import { WopanClient } from "../upstream/WopanClient.ts"

/** `id` only names the token in errors. */
export interface CheckedToken {
  readonly id: TokenId
  readonly access: Redacted.Redacted
}

/** The token is good; and what is left of its quota, where the upstream says so. "unknown": it does not say either. */
export type CheckAnswer = void | QuotaReport | "unknown"

/** Asks once and retries nothing. */
export type Check = (token: CheckedToken) => Effect.Effect<CheckAnswer, CallFailure>

export class TokenChecker extends Context.Service<
  TokenChecker,
  {
    /** Undefined when the tokens of this provider cannot be asked for, or not now. Never waits. */
    readonly checkOf: (provider: string) => Check | undefined
  }
>()("weirgate/health/TokenChecker") {
  /**
   * Asks Warp for a token's quota, WoPan for its account, and every other offered provider for the list of its models.
   * `providers` is called for each question, so what is offered may change.
   */
  static readonly layerWith = ({
    providers
  }: {
    readonly providers: () => ReadonlyArray<Provider>
  }): Layer.Layer<TokenChecker, never, WarpClient | WopanClient | HttpClient.HttpClient> =>
    Layer.effect(
      TokenChecker,
      Effect.gen(function* () {
        const warp = yield* WarpClient
        const wopan = yield* WopanClient
        const openAi = yield* ofOpenAi
        const offered = (name: string) => providers().find((provider) => provider.name === name)
        return TokenChecker.of({
          checkOf: (name) => {
            if (name === wopanProvider) return wopan.check
            const provider = offered(name)
            if (provider === undefined) return undefined
            return provider.kind === "openai"
              ? openAi(provider)
              : provider.name === warpProvider
                ? warp.quota
                : undefined
          }
        })
      })
    ).pipe(Layer.provide(OpenAiModels.layer))

  /** Asks these and no others, for programs that compose their own. */
  static readonly layerOf = (checks: Readonly<Record<string, Check>>): Layer.Layer<TokenChecker> =>
    Layer.succeed(TokenChecker, {
      checkOf: (provider) => (Object.hasOwn(checks, provider) ? checks[provider] : undefined)
    })
}

/** An upstream that has no list of models may get one with its next version. */
const absentFor = Duration.toMillis("1 hour")

/** The checks of providers that speak OpenAI's wire; none for one that turned out to have no list of models. */
export const ofOpenAi: Effect.Effect<(provider: OpenAiProvider) => Check | undefined, never, OpenAiModels> = Effect.gen(
  function* () {
    const models = yield* OpenAiModels
    const clock = yield* Clock.Clock
    const now = () => clock.currentTimeMillisUnsafe()
    const absentUntil = new WeakMap<OpenAiProvider, number>()
    const checks = new WeakMap<OpenAiProvider, Check>()
    return (provider) => {
      if (now() < (absentUntil.get(provider) ?? 0)) return undefined
      let check = checks.get(provider)
      if (check === undefined) {
        check = (token) =>
          Effect.map(models.ask(provider, token), (answer) => {
            if (answer === "listed") return undefined
            absentUntil.set(provider, now() + absentFor)
            return "unknown"
          })
        checks.set(provider, check)
      }
      return check
    }
  }
)
