import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { localUrl, RunningServer } from "../../src/cli/RunningServer.ts"
import { explain, requests } from "../../src/cli/running.ts"
import { keyOf } from "../support/staged.ts"
import { running } from "../support/running.ts"

const asking = <A, E>(url: string, key: string | undefined, ask: Effect.Effect<A, E, RunningServer>) =>
  Effect.provide(
    ask,
    Layer.provide(
      RunningServer.layerAt(url),
      ConfigProvider.layer(ConfigProvider.fromEnv({ env: key === undefined ? {} : { WEIRGATE_API_KEY: key } }))
    )
  )

/** Why it refuses. */
const refusing = <A, E extends { readonly message: string }>(
  url: string,
  key: string | undefined,
  ask: Effect.Effect<A, E, RunningServer>
) => Effect.map(Effect.flip(asking(url, key, ask)), ({ message }) => message)

/** Answers everything so. */
const answering = (status: number, body: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer((_, response) => {
          response.writeHead(status, { "content-type": "application/json" })
          response.end(body)
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          server.closeAllConnections()
          server.close()
        })
    ),
    (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  )

describe("asking a running server", () => {
  it.live(
    "says what is wrong with the key: missing, refused, of another role or no key at all",
    () =>
      Effect.gen(function* () {
        const server = yield* running()
        const bearer = (headers: { readonly authorization: string }) => headers.authorization.replace("Bearer ", "")
        const admin = bearer(yield* keyOf(server, "admin"))
        const inference = bearer(yield* keyOf(server, "inference"))
        const ask = RunningServer.use((server) => server.overview)
        assert.match(
          yield* refusing(server.url, undefined, ask),
          /it asks for a key, in WEIRGATE_API_KEY; `weirgate key/
        )
        const unknown = `${admin.slice(0, -1)}${admin.endsWith("x") ? "y" : "x"}`
        const refused = yield* refusing(server.url, unknown, ask)
        assert.match(refused, /it refuses the key in WEIRGATE_API_KEY: /)
        assert.notInclude(refused, unknown)
        assert.match(yield* refusing(server.url, inference, ask), /the key in WEIRGATE_API_KEY may not do this: /)
        assert.match(
          yield* refusing(server.url, "two words", ask),
          /^WEIRGATE_API_KEY: expected a key, without spaces$/
        )

        assert.match(
          yield* asking(`${server.url}/`, admin, requests(5, false)),
          /^\(none\): the newest are kept, until the server stops: those sent with x-weirgate-explain: 1,/
        )
        for (const key of [admin, inference]) {
          assert.match(
            yield* refusing(server.url, key, explain("../keys", false)),
            /it keeps no trace of \.\.\/keys; the newest are kept/
          )
        }
      }),
    30_000
  )

  it.live("says where nobody, or no Weirgate, answers, and lets no answer command the terminal", () =>
    Effect.gen(function* () {
      const ask = RunningServer.use((server) => server.overview)
      assert.match(
        yield* refusing("http://127.0.0.1:9", "k", ask),
        /^http:\/\/127.0.0.1:9: .*ECONNREFUSED.*is it running/
      )
      for (const [url, says] of [
        ["127.0.0.1:28889", /^--server: expected an http or https URL$/],
        ["http://ada:pass@127.0.0.1", /^--server: credentials belong in/],
        ["http://127.0.0.1/?a=b", /^--server: it has a query/]
      ] as const) {
        const refused = yield* refusing(url, "k", ask)
        assert.match(refused, says)
        assert.notInclude(refused, "pass@")
      }
      assert.match(yield* refusing(yield* answering(200, "{}"), "k", ask), /the answer is none of Weirgate's/)
      assert.match(yield* refusing(yield* answering(404, "<html>"), "k", ask), /as no Weirgate does/)
      const forged = { error: { message: "a\u001b[2J\nb\u009b1m", type: "t", param: null, code: null } }
      const told = yield* refusing(yield* answering(409, JSON.stringify(forged)), "k", ask)
      assert.match(told, /: a \[2J b 1m$/)
    })
  )

  it.live("shows no key in clear text beyond this machine and its own network", () =>
    Effect.gen(function* () {
      const ask = RunningServer.use((server) => server.overview)
      // No name of these can be resolved, and nobody is at these addresses.
      for (const url of ["http://weirgate.invalid", "http://192.0.2.1:28889", "HTTP://weirgate.invalid/path"]) {
        const refused = yield* refusing(url, "synthetic-key", ask)
        assert.match(refused, /^--server: the key would cross the internet in clear text: /)
        assert.notInclude(refused, "synthetic-key")
      }
      assert.notMatch(yield* refusing("https://weirgate.invalid", "synthetic-key", ask), /clear text/)
      assert.notMatch(yield* refusing("http://weirgate.invalid", undefined, ask), /clear text/)
    })
  )

  it.live("does not follow pages that have no end", () =>
    Effect.gen(function* () {
      const url = yield* answering(200, JSON.stringify({ tokens: [], total: 0, next: "again" }))
      const ask = RunningServer.use((server) => server.tokens({}))
      assert.match(yield* refusing(url, "k", ask), /its pages of tokens have no end/)
    })
  )

  it("is done from this machine, wherever the server listens", () => {
    for (const [host, url] of [
      ["127.0.0.1", "http://127.0.0.1:1"],
      ["0.0.0.0", "http://127.0.0.1:1"],
      ["::", "http://127.0.0.1:1"],
      ["::1", "http://[::1]:1"],
      ["box.example", "http://box.example:1"]
    ] as const) {
      assert.strictEqual(localUrl({ host, port: 1 }), url)
    }
  })
})
