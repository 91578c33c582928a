import { assert, describe, it } from "@effect/vitest"
import { originOf } from "../../src/http/forwarded.ts"

describe("where a request comes from", () => {
  const trusted = new Set(["127.0.0.1", "10.0.0.2"])

  it.each([
    ["who is connected, without a trusted proxy", "127.0.0.1", "203.0.113.7", new Set<string>(), "127.0.0.1"],
    ["who is connected, when that is no trusted proxy", "198.51.100.1", "203.0.113.7", trusted, "198.51.100.1"],
    ["whom the proxy names", "127.0.0.1", "203.0.113.7", trusted, "203.0.113.7"],
    ["the last that no trusted proxy has", "127.0.0.1", "192.0.2.66, 203.0.113.7, 10.0.0.2", trusted, "203.0.113.7"],
    ["the proxy itself, when it names nobody", "127.0.0.1", undefined, trusted, "127.0.0.1"],
    ["the proxy itself, when it names nothing", "127.0.0.1", " , ", trusted, "127.0.0.1"],
    ["the same, however a socket or a proxy writes it", "::ffff:127.0.0.1", "203.0.113.7:4711", trusted, "203.0.113.7"]
  ] as const)("is %s", (_, peer, forwardedFor, trusted, expected) => {
    assert.strictEqual(originOf(peer, forwardedFor, trusted), expected)
  })
})
