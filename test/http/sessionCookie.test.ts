import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { withCookie } from "../../src/http/sessionCookie.ts"

const session = { secret: Redacted.make("synthetic"), csrf: Redacted.make("synthetic"), idleUntil: 1, until: 1 }

const isSecure = (headers: Record<string, string>) => {
  const request = HttpServerRequest.fromWeb(new Request("http://localhost/", { headers }))
  const { cookies } = withCookie(HttpServerResponse.empty(), session, request, 0).cookies
  return cookies["weirgate_session"]?.options?.secure
}

describe("the session's cookie", () => {
  it("goes over TLS only, once its page has come that way, also when it is renewed by a request that changes nothing", () => {
    const proxied = { host: "weirgate.example" }
    assert.isTrue(isSecure({ ...proxied, origin: "https://weirgate.example", "sec-fetch-site": "same-origin" }))
    assert.isTrue(isSecure({ ...proxied, "sec-fetch-site": "same-origin" }))
    assert.isFalse(isSecure({ ...proxied, origin: "http://weirgate.example" }))
    assert.isFalse(isSecure(proxied))
    for (const host of ["localhost:28889", "127.0.0.1:28889", "[::1]:28889"]) {
      assert.isFalse(isSecure({ host, "sec-fetch-site": "same-origin" }), host)
    }
  })
})
