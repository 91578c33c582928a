/** Shows and changes what the emulated providers are set to while they run. */
import { Effect, Result, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { firstIssue } from "../../domain/firstIssue.ts"
import { json, refused, withBody } from "../controlAnswers.ts"
import { Span } from "../faultTerms.ts"
import { OpenAiProviders, type ProviderSettings } from "./OpenAiProviders.ts"
import { providerNames } from "./providers.ts"

const Limit = Schema.optionalKey(Schema.NullOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))))

const ServiceChange = Schema.Struct({
  firstToken: Schema.optionalKey(Span),
  perThousandPrompt: Schema.optionalKey(Span),
  perToken: Schema.optionalKey(Span),
  jitter: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })))
})

/** Null is no limit, and no model of service times; what is absent stays as it is. */
const Change = Schema.Struct({
  provider: Schema.Literals(providerNames),
  concurrency: Limit,
  rpm: Limit,
  firstToken: Schema.optionalKey(Span),
  latency: Schema.optionalKey(Span),
  service: Schema.optionalKey(Schema.NullOr(ServiceChange))
})

const decode = Schema.decodeUnknownResult(Change, { onExcessProperty: "error" })
const encodeSpan = Schema.encodeSync(Schema.DurationFromString)

export const limitRoutes = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const states = yield* OpenAiProviders

    const shown = Effect.map(
      Effect.forEach(providerNames, (name) =>
        Effect.map(states.settings(name), (settings) => [name, shownOf(settings)] as const)
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

const shownOf = ({ concurrency, firstToken, latency, rpm, service }: ProviderSettings) => ({
  concurrency,
  rpm,
  firstToken: encodeSpan(firstToken),
  latency: encodeSpan(latency),
  service:
    service === null
      ? null
      : {
          firstToken: encodeSpan(service.firstToken),
          perThousandPrompt: encodeSpan(service.perThousandPrompt),
          perToken: encodeSpan(service.perToken),
          jitter: service.jitter
        }
})
