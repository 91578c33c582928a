/** What is shown of the emulated providers: their calls by kind, their limits, and the most of each they have seen. */
import { Effect } from "effect"
import type { Statistics } from "../Statistics.ts"
import type { OpenAiProviders } from "./OpenAiProviders.ts"
import { openAiCalls, providerNames } from "./providers.ts"

export const openAiStatistics = (statistics: Statistics["Service"], states: OpenAiProviders["Service"]) =>
  Effect.map(
    Effect.forEach(providerNames, (name) =>
      Effect.gen(function* () {
        const calls = yield* Effect.all(
          Object.fromEntries(openAiCalls.map((call) => [call, statistics.of(name, call)] as const))
        )
        const { concurrency, rpm } = yield* states.settings(name)
        return [name, { ...calls, limits: { concurrency, rpm }, ...(yield* states.seen(name)) }] as const
      })
    ),
    (shown) => Object.fromEntries(shown)
  )
