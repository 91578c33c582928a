/** Calls a running sandbox the way a Warp client would, over a real socket, and shows what came back. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import type { DescMessage, JsonObject, MessageInitShape } from "@bufbuild/protobuf"
import { Effect, Layer, Redacted, Result } from "effect"
import { Base64Url } from "effect/encoding"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import type { HttpClientResponse } from "effect/http"
import { Sandbox } from "../../src/sandbox/Sandbox.ts"
import type { SandboxOptions } from "../../src/sandbox/Sandbox.ts"
import { AttachmentSchema, RequestSchema, ResponseEventSchema } from "../../src/upstream/warp/warp_pb.ts"
import type { Request_Input_UserInputSchema, ResponseEvent, TaskSchema } from "../../src/upstream/warp/warp_pb.ts"

/** Runs a test against a sandbox of its own on a free port. Without latency no step of it waits for the test's clock. */
export const withSandbox =
  (options: SandboxOptions = {}) =>
  <A, E>(test: Effect.Effect<A, E, Sandbox | HttpClient.HttpClient>) =>
    Effect.provide(test, Layer.merge(Sandbox.layerWith({ port: 0, latency: 0, ...options }), FetchHttpClient.layer))

const send = (request: HttpClientRequest.HttpClientRequest) =>
  Effect.gen(function* () {
    const { url } = yield* Sandbox
    const client = yield* HttpClient.HttpClient
    return yield* client.execute(HttpClientRequest.prependUrl(request, url))
  })

const read = (response: HttpClientResponse.HttpClientResponse) =>
  Effect.map(response.text, (text) => ({ status: response.status, headers: response.headers, text, json: parse(text) }))

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const get = (path: string) => Effect.flatMap(send(HttpClientRequest.get(path)), read)

export const postJson = (path: string, body: unknown) =>
  Effect.flatMap(send(HttpClientRequest.post(path).pipe(HttpClientRequest.bodyJsonUnsafe(body))), read)

export const remove = (path: string) => Effect.flatMap(send(HttpClientRequest.delete(path)), read)

export const setFault = (fault: object) => postJson("/_sandbox/faults", fault)

/** What a path inside an answer holds. */
export const at = (value: unknown, ...path: ReadonlyArray<string | number>): unknown => path.reduce(inside, value)

const inside = (value: unknown, key: string | number): unknown =>
  typeof value === "object" && value !== null
    ? new Map<string, unknown>(Object.entries(value)).get(`${key}`)
    : undefined

export const text = (value: unknown, ...path: ReadonlyArray<string | number>): string => {
  const found = at(value, ...path)
  if (typeof found !== "string") throw new TypeError(`no text at ${path.join(".")}`)
  return found
}

export const createUser = (overrides: object = {}) =>
  postJson("/graphql/v2?op=CreateAnonymousUser", {
    operationName: "CreateAnonymousUser",
    query: "mutation CreateAnonymousUser { createAnonymousUser }",
    variables: {
      input: {
        anonymousUserType: "NATIVE_CLIENT_ANONYMOUS_USER_FEATURE_GATED",
        expirationType: "NO_EXPIRATION",
        referralCode: null,
        ...overrides
      },
      requestContext: {
        clientContext: { version: "v0" },
        osContext: { category: "Linux", name: "Linux", version: "1" }
      }
    }
  })

export const idTokenOf = (created: { readonly json: unknown }) =>
  text(created.json, "data", "createAnonymousUser", "idToken")

const postForm = (path: string, fields: Record<string, string>) =>
  Effect.flatMap(send(HttpClientRequest.post(path).pipe(HttpClientRequest.bodyUrlParams(fields))), read)

const withKey = Effect.map(Sandbox, ({ apiKey }) => `key=${encodeURIComponent(Redacted.value(apiKey))}`)

export const exchange = (token: string, path = "/v1/accounts:signInWithCustomToken") =>
  Effect.flatMap(withKey, (key) => postForm(`${path}?${key}`, { returnSecureToken: "true", token }))

export const refresh = (token: string, path = "/v1/token") =>
  Effect.flatMap(withKey, (key) => postForm(`${path}?${key}`, { grant_type: "refresh_token", refresh_token: token }))

/** An access token of an account that exists from the start. */
export const accessOf = (kind: "personal" | "anonymous") =>
  Effect.gen(function* () {
    const { anonymousRefreshToken, personalRefreshToken } = yield* Sandbox
    const renewed = yield* refresh(Redacted.value(kind === "personal" ? personalRefreshToken : anonymousRefreshToken))
    return text(renewed.json, "access_token")
  })

export const quota = (bearer: string) =>
  Effect.flatMap(
    send(
      HttpClientRequest.post("/graphql/v2?op=GetRequestLimitInfo").pipe(
        HttpClientRequest.bearerToken(bearer),
        HttpClientRequest.bodyJsonUnsafe({ operationName: "GetRequestLimitInfo", variables: { requestContext: {} } })
      )
    ),
    read
  )

/** The response as soon as its headers are there. */
export const openModel = (bearer: string, body: Uint8Array) =>
  send(
    HttpClientRequest.post("/ai/multi-agent").pipe(
      HttpClientRequest.setHeader("accept", "text/event-stream"),
      bearer === "" ? (request) => request : HttpClientRequest.bearerToken(bearer),
      HttpClientRequest.bodyUint8Array(body, "application/x-protobuf")
    )
  )

export const callModel = (bearer: string, body: Uint8Array) => Effect.flatMap(openModel(bearer, body), read)

type Init<Desc extends DescMessage> = Exclude<MessageInitShape<Desc>, undefined>

/** A request as bytes. */
export const ask = (
  query: string,
  more: {
    readonly model?: string
    readonly conversationId?: string
    readonly systemPrompt?: string
    readonly tools?: ReadonlyArray<{ readonly name: string; readonly inputSchema: JsonObject }>
    readonly tasks?: ReadonlyArray<Init<typeof TaskSchema>>
    /** In place of the query. */
    readonly inputs?: ReadonlyArray<Init<typeof Request_Input_UserInputSchema>>
  } = {}
): Uint8Array => {
  const { conversationId = "", inputs, model = "auto", systemPrompt, tasks = [], tools = [] } = more
  const referencedAttachments =
    systemPrompt === undefined
      ? {}
      : { SYSTEM_PROMPT: create(AttachmentSchema, { value: { case: "plainText", value: systemPrompt } }) }
  const userQuery = { input: { case: "userQuery", value: { query, referencedAttachments } } } as const
  return toBinary(
    RequestSchema,
    create(RequestSchema, {
      taskContext: { tasks: [...tasks] },
      input: { type: { case: "userInputs", value: { inputs: [...(inputs ?? [userQuery])] } } },
      settings: { modelConfig: { base: model }, supportedTools: [9] },
      metadata: { conversationId },
      mcpContext: { tools: [...tools] }
    })
  )
}

/** The data of every event, as it stood on the wire. */
export const dataIn = (body: string): ReadonlyArray<string> =>
  body
    .replace(/\r\n/g, "\n")
    .split("\n\n")
    .map((event) =>
      event
        .split("\n")
        .flatMap((line) => (line.startsWith("data: ") ? [line.slice(6)] : []))
        .join("")
    )
    .filter((data) => data !== "")

export const eventsIn = (body: string): ReadonlyArray<ResponseEvent> =>
  dataIn(body).map((data) =>
    fromBinary(ResponseEventSchema, Result.getOrThrow(Base64Url.decode(data.replace(/"/g, ""))))
  )

/** A short name for each event, in order: what a reader wants to see of a stream. */
export const outline = (body: string): ReadonlyArray<string> =>
  eventsIn(body).map(({ type }) => {
    if (type.case === "clientActions") return type.value.actions.map(({ action }) => action.case ?? "?").join("+")
    return type.case === "finished" ? `finished:${type.value.reason.case}` : (type.case ?? "?")
  })

/** The model's words, put together as a client would. */
export const wordsIn = (body: string): string =>
  eventsIn(body)
    .flatMap(({ type }) => (type.case === "clientActions" ? type.value.actions : []))
    .flatMap(({ action }) => {
      if (action.case === "addMessagesToTask") return action.value.messages
      return action.case === "appendToMessageContent" && action.value.message ? [action.value.message] : []
    })
    .map(({ message }) => (message.case === "agentOutput" ? message.value.text : ""))
    .join("")

export const stats = Effect.map(get("/_sandbox/stats"), ({ json }) => json)

/** Asks again until the answer holds. What the sandbox notices about a connection it notices in its own time. */
export const eventually = <A, E, R>(look: Effect.Effect<A, E, R>, holds: (found: A) => boolean) =>
  Effect.repeat(look, { until: holds })
