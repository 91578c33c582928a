import { assert, describe, it } from "@effect/vitest"
import { takesGzip } from "../../src/http/takesGzip.ts"

describe("Accept-Encoding", () => {
  it.each([
    ["gzip", true],
    ["br, gzip, deflate", true],
    ["GZIP ;q=0.5, br", true],
    ["x-gzip;q=1", true],
    ["", false],
    ["identity", false],
    ["notgzip, gzip2", false],
    ["gzip;q=0, identity", false],
    ["gzip; q=0.000", false]
  ])("%j takes gzip: %s", (header, takes) => {
    assert.strictEqual(takesGzip(header), takes)
  })
})
