/** Who may read the metrics of a server on the loopback. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { request } from "node:http"
import { keyOf } from "../support/staged.ts"
import { running } from "../support/running.ts"

const status = (url: string, headers: Readonly<Record<string, string>>) =>
  Effect.callback<number | undefined>((resume) => {
    const asked = request(`${url}/metrics`, { headers, agent: false }, (response) => {
      response.resume()
      response.once("end", () => resume(Effect.succeed(response.statusCode)))
    })
    asked.once("error", (error) => resume(Effect.die(error)))
    asked.end()
  })

/** As a page asks whose name was made to mean this machine, and as proxies pass on what the world asks. */
const passedOn = [
  { host: "synthetic.example" },
  { "x-forwarded-for": "203.0.113.9" },
  { "x-real-ip": "203.0.113.9" },
  { forwarded: "for=203.0.113.9" },
  { via: "1.1 proxy" }
]

describe("the metrics of a server with keys", () => {
  it.live("are for who asks on this machine, and through a proxy for who shows an admin's key", () =>
    Effect.gen(function* () {
      const server = yield* running()
      const inference = yield* keyOf(server, "inference")
      const admin = yield* keyOf(server, "admin")
      assert.strictEqual(yield* status(server.url, {}), 200)
      for (const headers of passedOn) {
        assert.strictEqual(yield* status(server.url, headers), 401)
        assert.strictEqual(yield* status(server.url, { ...headers, ...inference }), 403)
        assert.strictEqual(yield* status(server.url, { ...headers, ...admin }), 200)
      }
    })
  )
})
