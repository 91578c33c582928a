/** The emulated providers' endpoints, each below its provider's own path. */
import { Clock, DateTime, Effect, Result } from "effect"
import { HttpRouter } from "effect/http"
import type { HttpServerRequest } from "effect/http"
import { bearerOf } from "../bearer.ts"
import { Faults } from "../Faults.ts"
import { RequestLog } from "../RequestLog.ts"
import { Statistics } from "../Statistics.ts"
import { readChat } from "./chat.ts"
import { readCompletion } from "./completions.ts"
import { readEmbedding } from "./embeddings.ts"
import { OpenAiProviders } from "./OpenAiProviders.ts"
import type { Arrival } from "./OpenAiProviders.ts"
import { accountOf, basePathOf, openAiCalls, pathOf, providerNames, providers } from "./providers.ts"
import type { OpenAiCall, ProviderName } from "./providers.ts"
import type { ReadCall, Reader, Unreadable } from "./readCall.ts"
import { readResponse } from "./responses.ts"
import { serveCall } from "./serveCall.ts"

const readers: Readonly<Record<Exclude<OpenAiCall, "models">, Reader>> = {
  chat: readChat,
  completions: readCompletion,
  embeddings: readEmbedding,
  responses: readResponse
}

export const callRoutes = ({ seed }: { readonly seed: string }) =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const log = yield* RequestLog
      const states = yield* OpenAiProviders
      const statistics = yield* Statistics
      const serve = serveCall(yield* Faults, states, seed)

      const handle = (provider: ProviderName, call: OpenAiCall, request: HttpServerRequest.HttpServerRequest) =>
        statistics.track(
          provider,
          call,
          Effect.fnUntraced(function* (open) {
            const arrivedAt = yield* Clock.currentTimeMillis
            const account = accountOf(provider, yield* bearerOf)
            // Counted before its body has come, as it is upstream; a list of models is no call of a model.
            const limited = account !== undefined && call !== "models" && providers[provider].calls.has(call)
            const arrival = limited ? yield* states.arrive(provider) : unlimited
            const read =
              call === "models" ? undefined : Result.flatMap(parsed(yield* request.arrayBuffer), readers[call])
            const answered =
              read === undefined
                ? undefined
                : yield* log.add(logged(provider, call, account, arrivedAt, Result.getOrUndefined(read)))
            const response = yield* serve({
              provider,
              call,
              request,
              account,
              arrival,
              read,
              open: { breaking: Effect.andThen(open.breaking, arrival.over) }
            })
            if (answered !== undefined) yield* answered(response.status)
            // Written in the same breath; a stream says by itself when it is.
            if (response.body._tag !== "Stream") yield* arrival.over
            return response
          })
        )

      for (const provider of providerNames) {
        for (const call of openAiCalls) {
          const path: `/${string}` = `${basePathOf(provider)}${pathOf[call]}`
          yield* router.add(call === "models" ? "GET" : "POST", path, (request) => handle(provider, call, request))
        }
      }
    })
  )

const unlimited: Arrival = { refused: undefined, over: Effect.void }

const parsed = (body: ArrayBuffer): Result.Result<unknown, Unreadable> =>
  Result.try({
    try: () => JSON.parse(Buffer.from(body).toString()),
    catch: () => ({ field: "body", reason: "it is not JSON" })
  })

const logged = (
  provider: ProviderName,
  call: OpenAiCall,
  account: string | undefined,
  arrivedAt: number,
  asked: ReadCall | undefined
) => {
  const [question] = asked?.questions ?? []
  return {
    time: DateTime.formatIso(DateTime.makeUnsafe(arrivedAt)),
    arrivedAt,
    provider,
    call,
    account: account ?? null,
    conversationId: "",
    model: asked?.model ?? "",
    query: asked?.questions.map(({ query }) => query).join("\n") ?? "",
    systemPrompt: question?.systemPrompt ?? null,
    historyLength: asked?.historyLength ?? 0,
    toolNames: question?.tools.map(({ name }) => name) ?? [],
    toolResults: question?.toolResults.map(({ text }) => text) ?? []
  }
}
