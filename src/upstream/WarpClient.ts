/** Speaks Warp's wire: users, tokens, quotas and the model stream. Decides nothing and retries nothing that costs. */
import { Clock, Context, Duration, Effect, Exit, Layer, Option, Redacted, Schedule, Scope, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { HttpClient, HttpClientRequest } from "effect/http"
import { warpProvider } from "../domain/Provider.ts"
import type { ChatEvent, ChatRequest } from "../domain/Chat.ts"
import { MintingDisabled, UpstreamUnavailable } from "../domain/Failure.ts"
import type { CallFailure, CreateFailure, RenewFailure } from "../domain/Failure.ts"
import type { Credential, QuotaReport, TokenId } from "../domain/Token.ts"
import { callObserver } from "./callObserver.ts"
import * as Transport from "./transport.ts"
import type { Answer } from "./transport.ts"
import { type Calls, classify } from "./warp/classify.ts"
import { exchangedCredential, renewedCredential } from "./warp/credential.ts"
import { chatEvents } from "./warp/eventStream.ts"
import * as Graphql from "./warp/graphql.ts"
import { identityHeaders, ownIdentity } from "./warp/identity.ts"
import { encodeRequest } from "./warp/request.ts"
import type { WarpCall } from "./warp/verdict.ts"

export interface WarpOptions {
  readonly baseUrl: string
  readonly identityUrl: string
  readonly tokenUrl: string
  /** The upstream's public client identifier; never in the source. */
  readonly apiKey: Redacted.Redacted
  /** Whether users may be created there. Off unless the operator turns it on. */
  readonly minting: boolean
  readonly timeouts?: {
    /** Until an account call has answered (default 10 seconds). */
    readonly account?: Duration.Input
    /** Until a model call has sent its headers (default 60 seconds). */
    readonly headers?: Duration.Input
    /** Longest silence inside a model's stream (default 60 seconds). */
    readonly idle?: Duration.Input
  }
  /** The protocol version we say we speak (default: our own version). The rest of what we say of us is not to choose. */
  readonly clientVersion?: string
}

export class WarpClient extends Context.Service<
  WarpClient,
  {
    /** Whether users may be created here; when not, nobody needs to spend budget on asking. */
    readonly minting: boolean
    /**
     * Asks for a new anonymous user and answers with the custom token that `exchange` takes. Sends exactly one request:
     * an interruption after it has left may still have created the user. Fails with `MintingDisabled` without a call.
     */
    readonly createAnonymousUser: Effect.Effect<Redacted.Redacted, CreateFailure>
    /** Turns a custom token into a credential. Repeating it is harmless, so what may pass by itself is retried. */
    exchange(customToken: Redacted.Redacted): Effect.Effect<Credential, CreateFailure>
    /** Renews; the answer's refresh secret may be a new one and must be stored before it is used. */
    refresh(refresh: Redacted.Redacted): Effect.Effect<Credential, RenewFailure>
    /**
     * Sends one model request. Answers when the upstream has accepted it; the stream then holds the connection until it
     * ends or the scope closes, and interruption in any phase aborts the upstream call. A stream that ends without
     * `Finished` has failed. `token` only names the token in errors.
     */
    chat(
      request: ChatRequest,
      token: { readonly id: TokenId; readonly access: Redacted.Redacted }
    ): Effect.Effect<Stream.Stream<ChatEvent, CallFailure>, CallFailure, Scope.Scope>
    /** Asks the upstream how much quota is left. Spends none. */
    quota(token: { readonly id: TokenId; readonly access: Redacted.Redacted }): Effect.Effect<QuotaReport, CallFailure>
  }
>()("weirgate/upstream/WarpClient") {
  static readonly layerWith = (options: WarpOptions): Layer.Layer<WarpClient, never, HttpClient.HttpClient> =>
    Layer.effect(WarpClient, make(options)).pipe(Layer.provide(SecureRandom.layerWebCrypto))
}

/** Between the attempts of an exchange: three in all. */
export const exchangeRetry = Schedule.exponential("250 millis").pipe(Schedule.upTo({ times: 2 }))

const provider = warpProvider

type WarpObserved = "createAnonymousUser" | "exchange" | "refresh" | "chat" | "stream" | "quota"

const make = Effect.fnUntraced(function* (options: WarpOptions) {
  const random = yield* SecureRandom.SecureRandom
  const own = ownIdentity()
  const identity = { ...own, version: options.clientVersion ?? own.version }
  const transport = Transport.make(yield* HttpClient.HttpClient, { provider, headers: identityHeaders(identity) })
  const observe = callObserver<WarpObserved>("WarpClient", provider)

  const account = Duration.fromInputUnsafe(options.timeouts?.account ?? "10 seconds")
  const headers = Duration.fromInputUnsafe(options.timeouts?.headers ?? "60 seconds")
  const idle = Duration.fromInputUnsafe(options.timeouts?.idle ?? "60 seconds")
  const base = withoutSlash(options.baseUrl)

  const graphql = (operation: Graphql.Operation) =>
    HttpClientRequest.post(`${base}/graphql/v2?op=${operation.operationName}`).pipe(
      HttpClientRequest.acceptJson,
      HttpClientRequest.bodyJsonUnsafe(operation)
    )

  const createAnonymousUser = Effect.gen(function* () {
    const answer = yield* transport.ask(graphql(Graphql.createAnonymousUser(identity)), account)
    const token = succeeded(answer, Graphql.customTokenOf(answer.body))
    return token === undefined ? yield* failed("create", answer, asked, []) : Redacted.make(token)
  }).pipe(observe.call("createAnonymousUser"), Effect.withSpan("WarpClient.createAnonymousUser"))

  /** Asks Google's service, or Warp's proxy before it when Google's cannot be reached or has failed. */
  const withProxy = <A, E>(
    urls: readonly [service: string, proxy: string],
    attempt: (url: string) => Effect.Effect<A, E | UpstreamUnavailable>
  ) =>
    attempt(urls[0]).pipe(
      Effect.catchIf(mayPass, (first) =>
        Effect.mapError(attempt(urls[1]), (second) => (second instanceof UpstreamUnavailable ? first : second))
      )
    )

  const postForm = (url: string, form: Record<string, string | Redacted.Redacted>) =>
    transport.ask(
      HttpClientRequest.post(url).pipe(
        HttpClientRequest.setUrlParam("key", options.apiKey),
        HttpClientRequest.acceptJson,
        HttpClientRequest.bodyUrlParams(form)
      ),
      account
    )

  const exchange = Effect.fn("WarpClient.exchange")(function* (customToken: Redacted.Redacted) {
    const urls = [
      `${withoutSlash(options.identityUrl)}/v1/accounts:signInWithCustomToken`,
      `${base}/proxy/customToken`
    ] as const
    const attempt = Effect.fnUntraced(function* (url: string) {
      const askedAt = yield* Clock.currentTimeMillis
      const answer = yield* postForm(url, { returnSecureToken: "true", token: customToken })
      const credential = succeeded(answer, exchangedCredential(answer.body, askedAt))
      return credential ?? (yield* failed("exchange", answer, asked, [customToken, options.apiKey]))
    })
    return yield* withProxy(urls, attempt).pipe(
      observe.call("exchange"),
      Effect.retry({ schedule: exchangeRetry, while: mayPass })
    )
  })

  const refresh = Effect.fn("WarpClient.refresh")(function* (secret: Redacted.Redacted) {
    const urls = [`${withoutSlash(options.tokenUrl)}/v1/token`, `${base}/proxy/token`] as const
    const attempt = Effect.fnUntraced(function* (url: string) {
      const askedAt = yield* Clock.currentTimeMillis
      const answer = yield* postForm(url, { grant_type: "refresh_token", refresh_token: secret })
      const credential = succeeded(answer, renewedCredential(answer.body, secret, askedAt))
      return credential ?? (yield* failed("refresh", answer, asked, [secret, options.apiKey]))
    })
    return yield* withProxy(urls, attempt).pipe(observe.call("refresh"))
  })

  /**
   * The connection lives in a scope of its own, so that it does not outlast a call that failed, or the scope that the stream
   * is read in: a stream that is complete reads what is left of the connection when that closes.
   */
  const open = Effect.fnUntraced(function* (
    body: Uint8Array,
    token: { readonly id: TokenId; readonly access: Redacted.Redacted }
  ) {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const accepted = Effect.gen(function* () {
      const request = HttpClientRequest.post(`${base}/ai/multi-agent`).pipe(
        HttpClientRequest.bearerToken(token.access),
        HttpClientRequest.accept("text/event-stream"),
        HttpClientRequest.bodyUint8Array(body, "application/x-protobuf")
      )
      const response = yield* transport.open(request, headers)
      if (response.status >= 200 && response.status < 300) return response
      const answer = yield* transport.read(response)
      return yield* failed("ai", answer, (now) => ({ provider, now, token: token.id }), [token.access])
    })
    const response = yield* accepted.pipe(
      Scope.provide(scope),
      Effect.onExit((exit) => (Exit.isFailure(exit) ? Scope.close(scope, exit) : Effect.void)),
      observe.call("chat")
    )
    return Stream.unwrap(
      Effect.as(
        Effect.addFinalizer((exit) => Scope.close(scope, exit)),
        chatEvents(response.stream, { provider, token: token.id, idle })
      )
    ).pipe(
      Stream.onExit((exit) =>
        Effect.andThen(Exit.isFailure(exit) ? Scope.close(scope, exit) : Effect.void, observe.ended("stream", exit))
      )
    )
  })

  return WarpClient.of({
    minting: options.minting,
    createAnonymousUser: options.minting ? createAnonymousUser : Effect.fail(new MintingDisabled({ provider })),
    exchange,
    refresh,
    chat: Effect.fn("WarpClient.chat")(function* (request, token) {
      const taskId = yield* random.uuidV4()
      return yield* open(yield* Effect.fromResult(encodeRequest(request, { provider, taskId })), token)
    }),
    quota: Effect.fn("WarpClient.quota")(function* (token) {
      const request = HttpClientRequest.bearerToken(graphql(Graphql.getRequestLimitInfo(identity)), token.access)
      return yield* Effect.gen(function* () {
        const answer = yield* transport.ask(request, account)
        const report = succeeded(answer, Graphql.quotaReportOf(answer.body))
        return report ?? (yield* failed("quota", answer, (now) => ({ provider, now, token: token.id }), [token.access]))
      }).pipe(observe.call("quota"))
    })
  })
})

const withoutSlash = (url: string) => url.replace(/\/+$/, "")

const succeeded = <A>(answer: Answer, read: Option.Option<A>): A | undefined =>
  answer.status >= 200 && answer.status < 300 ? Option.getOrUndefined(read) : undefined

const asked = (now: number) => ({ provider, now })

/** Should the upstream quote what it was sent, the secrets in it do not come back. */
const failed = <C extends WarpCall>(
  call: C,
  answer: Answer,
  asked: (now: number) => Calls[C]["asked"],
  secrets: ReadonlyArray<Redacted.Redacted>
): Effect.Effect<never, Calls[C]["failure"]> => {
  const body = secrets
    .map(Redacted.value)
    .filter((secret) => secret !== "")
    .reduce((text, secret) => text.replaceAll(secret, "…"), answer.body)
  return Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.fail(classify(call, { ...answer, body }, asked(now))))
}

/** Whether another attempt, or another way, may succeed where this one failed. */
const mayPass = (failure: unknown): failure is UpstreamUnavailable =>
  failure instanceof UpstreamUnavailable &&
  (failure.reason === "connection" ||
    failure.reason === "timeout" ||
    failure.reason === "cut" ||
    (failure.status !== undefined && failure.status >= 500))
