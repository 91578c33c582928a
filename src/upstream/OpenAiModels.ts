/** Asks an upstream of OpenAI's wire for the list of its models: costs nothing, and tells whether a key is good. Retries nothing. */
import { Clock, Context, Duration, Effect, Layer, Redacted } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import type { CallFailure, RequestRejected } from "../domain/Failure.ts"
import type { OpenAiProvider } from "../domain/Provider.ts"
import type { TokenId } from "../domain/Token.ts"
import { version } from "../version.ts"
import { isError } from "./openai/answerError.ts"
import { classify } from "./openai/classify.ts"
import { isObject, parsed } from "./openai/json.ts"
import * as Transport from "./transport.ts"

/** How the list can be refused. What is wrong with the question alone is no failure: then it cannot be asked. */
export type ListFailure = Exclude<CallFailure, RequestRejected>

export class OpenAiModels extends Context.Service<
  OpenAiModels,
  {
    /**
     * Sends one `GET {baseUrl}/models` with the key. "listed": the upstream answers, and has nothing against the key (some give
     * the list to anyone). "absent": it has no such list, or not for this key; that says nothing of the key. Of the list no
     * more is read than 64 Ki characters. Waits 10 seconds at most, or the provider's whole time for a call if that is less.
     */
    ask(
      provider: OpenAiProvider,
      token: { readonly id: TokenId; readonly access: Redacted.Redacted }
    ): Effect.Effect<"listed" | "absent", ListFailure>
  }
>()("weirgate/upstream/OpenAiModels") {
  static readonly layer: Layer.Layer<OpenAiModels, never, HttpClient.HttpClient> = Layer.effect(
    OpenAiModels,
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      return OpenAiModels.of({
        ask: Effect.fn("OpenAiModels.ask")(function* (provider, { access, id }) {
          const transport = Transport.make(client, { provider: provider.name, headers })
          const secret = Redacted.value(access)
          const request = HttpClientRequest.get(addressOf(provider.baseUrl)).pipe(HttpClientRequest.acceptJson)
          const answer = yield* transport.ask(
            secret === "" ? request : HttpClientRequest.bearerToken(request, access),
            Duration.min(longest, provider.timeouts.total)
          )
          if (answer.status === 404 || answer.status === 405 || answer.status === 501) return "absent"
          const body = secret === "" ? answer.body : answer.body.replaceAll(secret, "…")
          if (answer.status >= 200 && answer.status < 300 && !tellsOfError(body)) {
            return isJson(body) ? "listed" : "absent"
          }
          const now = yield* Clock.currentTimeMillis
          // Read as the refusal of a call: what would be one for want of a model is one for want of the list.
          const asked = { provider: provider.name, token: id, model: "", endpoint: "/chat/completions", now } as const
          const failure: CallFailure = classify({ ...answer, body }, asked)
          return failure._tag === "RequestRejected" ? "absent" : yield* failure
        })
      })
    })
  )
}

const longest = Duration.seconds(10)
const headers = { "user-agent": `weirgate/${version}` }

const addressOf = (baseUrl: string) => {
  const url = new URL(baseUrl)
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/models`
  return url.href
}

/** Of a long list only the beginning is known. */
const isJson = (body: string) => /^\s*[[{]/.test(body.replace(/^\uFEFF/, ""))

const tellsOfError = (body: string) => {
  const json = parsed(body)
  return isObject(json) && isError(json)
}
