import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { get, post, temporaryFolder } from "../support/running.ts"
import { freePort, ready, started } from "../support/subprocess.ts"

const hi = { model: "auto", messages: [{ role: "user", content: "hi" }] }

describe("secrets", () => {
  it.live(
    "are in nothing that a full run prints, answers or stores, at the most talkative log level",
    () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const [port, sandboxPort] = [yield* freePort, yield* freePort]
        const [url, sandbox] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${sandboxPort}`]
        const masterKey = "5".repeat(64)
        const server = yield* started(["serve", "--log-level", "all"], {
          WEIRGATE_PORT: String(port),
          WEIRGATE_SANDBOX_PORT: String(sandboxPort),
          WEIRGATE_DATA: folder,
          WEIRGATE_MASTER_KEY: masterKey
        })
        yield* ready(server, `${url}/readyz`)

        const answers: Array<string> = []
        const chat = (body: object = hi) =>
          Effect.map(post(`${url}/v1/chat/completions`, body), ({ text }) => void answers.push(text))
        const faults = (call: string, kinds: ReadonlyArray<string>) =>
          Effect.forEach(kinds, (kind) =>
            Effect.andThen(post(`${sandbox}/_sandbox/faults`, { call, kind, afterEvents: 3 }), chat())
          )
        yield* chat({ ...hi, stream: true })
        yield* faults("ai", [
          "unauthorized",
          "quota",
          "rate_limit",
          "server_error",
          "reset",
          "cut",
          "malformed",
          "cloud_armor"
        ])
        yield* faults("refresh", ["refresh_rejected", "server_error", "reset"])
        yield* faults("ai", ["blocked"])
        yield* faults("createAnonymousUser", ["rate_limit", "graphql_errors"])
        yield* Effect.forEach(Array.from({ length: 30 }), () => chat())
        for (const path of ["/metrics", "/v1/performance", "/readyz"]) answers.push((yield* get(url + path)).text)

        const credentials = (yield* get(`${sandbox}/_sandbox/credentials`)).json
        const renewed = yield* post(
          `${sandbox}/v1/token?key=${credentials.apiKey}`,
          `grant_type=refresh_token&refresh_token=${credentials.refreshToken}`,
          { "content-type": "application/x-www-form-urlencoded" }
        )
        assert.strictEqual(renewed.status, 200)
        // What all secrets of a kind begin with: the first part of a signed token is the same for all of them.
        const start = (token: string) => `${token.split(".")[0]}.`
        const secrets: ReadonlyArray<string> = [
          masterKey,
          credentials.apiKey,
          credentials.refreshToken,
          credentials.anonymous.refreshToken,
          start(credentials.refreshToken),
          start(renewed.json.access_token)
        ]
        for (const secret of secrets) assert.isAbove(secret.length, 5)

        yield* server.signal("SIGTERM")
        const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
          .map((name) => join(folder, name))
          .filter((name) => statSync(name).isFile())
        assert.isNotEmpty(files)
        const places: ReadonlyArray<readonly [string, string]> = [
          ["the output", server.output()],
          ["the answers", answers.join("\n")],
          ...files.map((name) => [name, readFileSync(name, "latin1")] as const)
        ]
        assert.include(server.output(), "TokenPool")
        for (const [place, text] of places) {
          for (const secret of secrets) assert.isFalse(text.includes(secret), `${secret.slice(0, 4)}… is in ${place}`)
        }
      }),
    60_000
  )
})
