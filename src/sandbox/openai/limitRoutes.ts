/** Shows and changes what the emulated providers are set to while they run. */
import { Effect, Result, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { firstIssue } from "../../domain/firstIssue.ts"
import { json, refused, withBody } from "../controlAnswers.ts"
import { Span } from "../faultTerms.ts"
import { OpenAiProviders } from "./OpenAiProviders.ts"
import { providerNames } from "./providers.ts"

const Limit = Schema.optionalKey(Schema.NullOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))))

/** Null is no limit; what is absent stays as it is. */
const Change = Schema.Struct({
  provider: Schema.Literals(providerNames),
  concurrency: Limit,
  rpm: Limit,
  firstToken: Schema.optionalKey(Span),
  latency: Schema.optionalKey(Span)
})

const decode = Schema.decodeUnknownResult(Change, { onExcessProperty: "error" })
const encodeSpan = Schema.encodeSync(Schema.DurationFromString)

export const limitRoutes = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const states = yield* OpenAiProviders

    const shown = Effect.map(
      Effect.forEach(providerNames, (name) =>
        Effect.map(
          states.settings(name),
          ({ concurrency, firstToken, latency, rpm }) =>
            [name, { concurrency, rpm, firstToken: encodeSpan(firstToken), latency: encodeSpan(latency) }] as const
        )
      ),
      (settings) => json({ limits: Object.fromEntries(settings) })
    )

    const change = (body: unknown) => {
      const decoded = decode(body)
      if (Result.isFailure(decoded)) {
        const { field, reason } = firstIssue(decoded.failure.issue)
        return Effect.succeed(refused(field === "" ? "body" : field, reason))
      }
      const { provider, ...options } = decoded.success
      return Effect.andThen(states.change(provider, options), shown)
    }

    yield* router.add("GET", "/_sandbox/limits", shown)
    yield* router.add("POST", "/_sandbox/limits", withBody(change))
  })
)
