import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { at, setFault, stats, withSandbox } from "../warpCaller.ts"
import { addressOf, tokenOf } from "./wopanCaller.ts"

const fetched = Effect.fnUntraced(function* (url: string, headers: Readonly<Record<string, string>> = {}) {
  const http = yield* HttpClient.HttpClient
  const response = yield* http.execute(HttpClientRequest.get(url).pipe(HttpClientRequest.setHeaders(headers)))
  return {
    status: response.status,
    headers: response.headers,
    bytes: [...new Uint8Array(yield* response.arrayBuffer)]
  }
})

const address = (index: number) => Effect.flatMap(tokenOf(index), ({ access }) => addressOf(access, "readme.txt"))

describe("an address of the emulated drive", () => {
  it.effect("leads to the file without a token, the same each time, and to another of another account", () =>
    Effect.gen(function* () {
      const { wopan } = yield* Sandbox
      const url = yield* address(0)
      assert.isTrue(url.startsWith(`${wopan.baseUrl}/openapi/download?fid=`))
      const whole = yield* fetched(url)
      assert.deepStrictEqual([whole.status, whole.bytes.length], [200, 1_024])
      assert.strictEqual(whole.headers["accept-ranges"], "bytes")
      assert.deepStrictEqual((yield* fetched(url)).bytes, whole.bytes)
      assert.notDeepEqual((yield* fetched(yield* address(1))).bytes, whole.bytes)
    }).pipe(withSandbox())
  )

  it.effect("serves a range of it", () =>
    Effect.gen(function* () {
      const url = yield* address(0)
      const { bytes } = yield* fetched(url)
      for (const [range, part, told] of [
        ["bytes=10-19", bytes.slice(10, 20), "bytes 10-19/1024"],
        ["bytes=1000-", bytes.slice(1_000), "bytes 1000-1023/1024"],
        ["bytes=1000-5000", bytes.slice(1_000), "bytes 1000-1023/1024"],
        ["bytes=-24", bytes.slice(-24), "bytes 1000-1023/1024"]
      ] as const) {
        const answer = yield* fetched(url, { range })
        assert.deepStrictEqual([answer.status, answer.headers["content-range"]], [206, told], range)
        assert.deepStrictEqual(answer.bytes, part)
      }
      const beyond = yield* fetched(url, { range: "bytes=1024-" })
      assert.deepStrictEqual([beyond.status, beyond.headers["content-range"]], [416, "bytes */1024"])
      assert.strictEqual((yield* fetched(url, { range: "lines=1-2" })).status, 200)
    }).pipe(withSandbox())
  )

  it.effect("is refused to a page of another site, when it is made up, and after fifteen minutes", () =>
    Effect.gen(function* () {
      const { wopan } = yield* Sandbox
      const url = yield* address(0)
      for (const referer of ["", "https://pan.wo.cn/", "https://pan.wo.cn", "https://pan.wo.cn/s/1"]) {
        assert.strictEqual((yield* fetched(url, { referer })).status, 200, referer)
      }
      for (const referer of ["https://another.invalid/", "https://pan.wo.cn.invalid/", "nonsense"]) {
        assert.strictEqual((yield* fetched(url, { referer })).status, 403, referer)
      }
      const download = `${wopan.baseUrl}/openapi/download`
      const later = decodeURIComponent(url).replace(/\.(\d+)\.(?=\w+$)/, (_, until) => `.${Number(until) + 1}.`)
      assert.notStrictEqual(later, url)
      for (const wrong of [download, `${download}?fid=`, `${download}?fid=a.b.c`, `${url}&fid=again`, later]) {
        assert.strictEqual((yield* fetched(wrong)).status, 403, wrong)
      }
      yield* TestClock.adjust("899999 millis")
      assert.strictEqual((yield* fetched(url)).status, 200)
      yield* TestClock.adjust("1 milli")
      assert.strictEqual((yield* fetched(url)).status, 403)
    }).pipe(withSandbox())
  )

  it.effect("can be struck, and is counted", () =>
    Effect.gen(function* () {
      const url = yield* address(0)
      yield* setFault([
        { provider: "wopan", call: "content", kind: "server_error", status: 503 },
        { provider: "wopan", call: "content", kind: "reset" }
      ])
      assert.strictEqual((yield* fetched(url)).status, 503)
      assert.isTrue(yield* Effect.isFailure(fetched(url)))
      assert.strictEqual((yield* fetched(url)).status, 200)
      const counted = at(yield* stats, "wopan", "content")
      assert.deepInclude(counted, { total: 3, byStatus: { 200: 1, 503: 1, none: 1 }, byCode: {}, aborted: 0 })
    }).pipe(withSandbox())
  )
})
