/** The whole program in this process: server and sandbox on free ports of the loopback, its data in a folder of its own. */
import { ConfigProvider, Effect, Layer, Logger } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import OpenAI from "openai"
import * as Server from "../../src/http/Server.ts"
import { serve } from "../../src/cli/serve.ts"
import { Upstream } from "../../src/cli/Upstream.ts"

export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "weirgate-test-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

export const running = Effect.fnUntraced(function* (env: Readonly<Record<string, string>> = {}) {
  const folder = env["WEIRGATE_DATA"] ?? (yield* temporaryFolder)
  const provider = ConfigProvider.layer(
    ConfigProvider.fromEnv({
      env: { WEIRGATE_PORT: "0", WEIRGATE_SANDBOX_PORT: "0", WEIRGATE_DATA: folder, ...env }
    })
  )
  const services = yield* Layer.build(Layer.fresh(serve).pipe(Layer.provide(provider), Layer.provide(Logger.layer([]))))
  const url = yield* Server.address.pipe(Effect.provideContext(services))
  const { sandbox = "" } = yield* Upstream.pipe(Effect.provideContext(services))
  return {
    url,
    sandbox,
    folder,
    openai: new OpenAI({ baseURL: `${url}/v1`, apiKey: "none-needed", maxRetries: 0 }),
    chat: (content: string, extra: object = {}) =>
      post(`${url}/v1/chat/completions`, { model: "auto", messages: [{ role: "user", content }], ...extra }),
    stats: get(`${sandbox}/_sandbox/stats`),
    faults: (...faults: ReadonlyArray<object>) => post(`${sandbox}/_sandbox/faults`, { faults })
  }
})

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // Tests look into answers of every shape; what is not there fails the assertion.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly json: any
}

const answered = (request: () => Promise<Response>) =>
  Effect.promise(async (): Promise<Answer> => {
    const response = await request()
    const text = await response.text()
    const isJson = response.headers.get("content-type")?.includes("json") === true
    return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined }
  })

export const get = (url: string, headers: Record<string, string> = {}) => answered(() => fetch(url, { headers }))

export const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  answered(() =>
    fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body)
    })
  )
