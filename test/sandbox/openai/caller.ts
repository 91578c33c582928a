/** Calls the emulated providers with plain fetch over a real socket, and shows what came back. */
import { Effect } from "effect"
import { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { at } from "../warpCaller.ts"

export { at, eventually, get, postJson, remove, setFault, stats, withSandbox } from "../warpCaller.ts"

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: unknown
}

interface Options {
  /** Default the provider's first; null for none. */
  readonly key?: string | null
  /** Default "chat/completions". */
  readonly path?: string
}

/** By which a client leaves when it has its headers already. */
const controllers = new WeakMap<Response, AbortController>()

/** The response as soon as its headers are there; interruption leaves. */
export const open = (provider: string, body: unknown, { key, path = "chat/completions" }: Options = {}) =>
  Effect.gen(function* () {
    const { url } = yield* Sandbox
    const controller = new AbortController()
    const response = yield* Effect.tryPromise((signal) =>
      fetch(`${url}/${provider}/v1/${path}`, {
        method: body === undefined ? "GET" : "POST",
        redirect: "manual",
        signal: AbortSignal.any([signal, controller.signal]),
        headers: {
          "content-type": "application/json",
          ...(key === null ? {} : { authorization: `Bearer ${key ?? `sandbox-${provider}-a`}` })
        },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) })
      })
    )
    controllers.set(response, controller)
    return response
  })

/** Leaves when it is interrupted. */
export const read = (response: Response) =>
  Effect.tryPromise(() => response.text()).pipe(
    Effect.map((text): Answer => ({ status: response.status, headers: response.headers, text, json: parse(text) })),
    Effect.onInterrupt(() => Effect.sync(() => controllers.get(response)?.abort()))
  )

export const call = (provider: string, body: unknown, options: Options = {}) =>
  Effect.flatMap(open(provider, body, options), read)

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A model that the provider offers. */
export const modelOf = (provider: string): string =>
  ({ zhipu: "glm-4.5", hunyuan: "hunyuan-turbo", siliconflow: "deepseek-v3" })[provider] ?? "llama-3.3-70b"

export const ask = (provider: string, content = "hi", more: object = {}) => ({
  model: modelOf(provider),
  messages: [{ role: "user", content }],
  ...more
})

/** One question to a provider. */
export const chat = (provider: string, content = "hi", more: object = {}, options: Options = {}) =>
  call(provider, ask(provider, content, more), options)

/** The data of every event, as a reader of server-sent events has to put it together. */
export const dataIn = (body: string): ReadonlyArray<string> =>
  body
    .replace(/\r\n/g, "\n")
    .split("\n\n")
    .flatMap((event) => {
      const lines = event.split("\n").flatMap((line) => (line.startsWith("data: ") ? [line.slice(6)] : []))
      return lines.length === 0 ? [] : [lines.join("\n")]
    })

export const chunksIn = (body: string): ReadonlyArray<unknown> => dataIn(body).map((data) => parse(data) ?? data)

/** The model's words, put together as a client would. */
export const wordsIn = (body: string): string =>
  chunksIn(body)
    .map((chunk) => at(chunk, "choices", 0, "delta", "content") ?? at(chunk, "choices", 0, "text") ?? "")
    .join("")

/** A short name for each event, in order: what a reader wants to see of a stream. */
export const outline = (body: string): ReadonlyArray<string> =>
  chunksIn(body).map((chunk) => {
    if (typeof chunk === "string") return chunk
    if (at(chunk, "error") !== undefined) return "error"
    const finish = at(chunk, "choices", 0, "finish_reason")
    if (typeof finish === "string") return finish
    if (at(chunk, "choices", 0) === undefined) return at(chunk, "usage") === undefined ? "?" : "usage"
    const delta = at(chunk, "choices", 0, "delta")
    return at(delta, "role") === undefined ? Object.keys(delta ?? { text: "" }).join("+") : "role"
  })

/** What a stream of "hi" looks like: three words in answer. */
export const sound = ["role", "content", "content", "content", "stop", "[DONE]"]
