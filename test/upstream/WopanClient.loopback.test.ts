import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { TokenId } from "../../src/domain/Token.ts"
import { decrypt, encrypt, signatureOf } from "../../src/upstream/wopan/cipher.ts"
import { rootFolder, WopanClient } from "../../src/upstream/WopanClient.ts"

const clientSecret = "synthetic-client"
const iv = "synthetic-vector"
const access = "0a1b2c3d-synthetic-access-secret-0001"
const token = { id: TokenId.make("token-1"), access: Redacted.make(access) }

/** Answers a listing of what is signed and encrypted right, and cuts or stalls where it is asked to. */
const answer = (request: IncomingMessage, response: ServerResponse, text: string) => {
  const { body, header } = JSON.parse(text)
  const key = String(request.headers["accesstoken"]).slice(0, 16)
  const params = JSON.parse(decrypt(body.param, key, iv) ?? "null")
  const isGood =
    request.method === "POST" &&
    request.url === "/wohome/dispatcher" &&
    request.headers["content-type"]?.startsWith("application/json") === true &&
    request.headers.origin === "https://pan.wo.cn" &&
    request.headers.referer === "https://pan.wo.cn/" &&
    request.headers["user-agent"]?.startsWith("weirgate/") === true &&
    header.sign === signatureOf(header)
  const file = { id: "f1", fid: "fid-1", name: "照片.jpg", type: 1, size: 12, createTime: "", fileType: "1" }
  const DATA = isGood ? encrypt(JSON.stringify({ files: [{ ...file, name: params.parentDirectoryId }] }), key, iv) : ""
  const reply = JSON.stringify({ STATUS: "200", RSP: { RSP_CODE: isGood ? "0000" : "1000", RSP_DESC: "", DATA } })
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(reply) })
  if (params.parentDirectoryId !== "cut") return response.end(reply)
  response.write(reply.slice(0, 20), () => response.destroy())
}

const dispatcher = Effect.acquireRelease(
  Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
    const server = createServer((request, response) => {
      let text = ""
      request.setEncoding("utf8")
      request.on("data", (chunk: string) => (text += chunk))
      request.on("end", () => answer(request, response, text))
    })
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" ? address?.port : undefined
      const close = () => {
        server.closeAllConnections()
        server.close()
      }
      resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, close }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

for (const [name, http] of [
  ["undici", NodeHttpClient.layerUndici],
  ["fetch", FetchHttpClient.layer]
] as const) {
  describe(`WopanClient over a socket, through ${name}`, () => {
    const listed = (folder: string) =>
      Effect.gen(function* () {
        const { close, url } = yield* dispatcher
        const options = {
          baseUrl: url,
          clientId: "client",
          clientSecret: Redacted.make(clientSecret),
          iv: Redacted.make(iv)
        }
        if (folder === "closed") close()
        return yield* WopanClient.use((client) => client.list(token, folder, 0)).pipe(
          Effect.provide(WopanClient.layerWith(options).pipe(Layer.provide(http)))
        )
      }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))

    it.live("what is sent is signed and encrypted right, and the answer is read", () =>
      Effect.gen(function* () {
        for (const folder of [rootFolder, "照片"]) {
          assert.deepStrictEqual(
            (yield* listed(folder)).entries.map(({ name }) => name),
            [folder]
          )
        }
      })
    )

    it.live("an answer that is cut, or nobody there, is no fault of the token", () =>
      Effect.gen(function* () {
        for (const [folder, reason] of [
          ["cut", "cut"],
          ["closed", "connection"]
        ] as const) {
          const failure = yield* Effect.flip(listed(folder))
          assert.strictEqual(failure._tag === "UpstreamUnavailable" && failure.reason, reason)
        }
      })
    )
  })
}
