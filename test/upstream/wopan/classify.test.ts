import { assert, describe, it } from "@effect/vitest"
import { Duration, Schema } from "effect"
import * as Failure from "../../../src/domain/Failure.ts"
import type { Answer } from "../../../src/upstream/transport.ts"
import { callFailure, renewFailure } from "../../../src/upstream/wopan/classify.ts"

const provider = "wopan"
const secret = "synthetic-secret"
const asked = { provider, now: 0, secrets: [secret] }
const json = { "content-type": "application/json" }
const html = { "content-type": "text/html; charset=utf-8" }
const page = "<!doctype html><title>403</title>account blocked"

const answer = (status: number, body = "", headers: Record<string, string> = json): Answer => ({
  status,
  body,
  headers
})
const coded = (code: string, description = "", status = 200, headers = json) =>
  answer(
    status,
    JSON.stringify({ STATUS: "200", MSG: "", LOGID: "", RSP: { RSP_CODE: code, RSP_DESC: description, DATA: "" } }),
    headers
  )

const unavailable = (fields: Omit<ConstructorParameters<typeof Failure.UpstreamUnavailable>[0], "provider">) =>
  new Failure.UpstreamUnavailable({ provider, ...fields })
const status = (detail: string) => unavailable({ reason: "status", detail })
const rejected = new Failure.AccessRejected({ provider })
const refreshRejected = (code: string) => new Failure.RefreshRejected({ provider, code })
const byHttp = (status: number) =>
  unavailable({ reason: "status", status, detail: `it answered with status ${status}` })

/** What an answer is to a call, and what to a renewal. */
const rows: ReadonlyArray<readonly [rule: string, answer: Answer, call: object, renewal: object]> = [
  [
    "an envelope is one whatever its content type",
    coded("8005", "", 200, html),
    status("it answered with code 8005"),
    refreshRejected("8005")
  ],
  ["9999 ends the access secret alone", coded("9999"), rejected, status("it answered with code 9999")],
  [
    "1001 ends the access secret alone",
    coded("1001", "未登录"),
    rejected,
    status("it answered with code 1001: 未登录")
  ],
  ...["8001", "8005", "6006", "6007", "6008"].map(
    (code) =>
      [
        `${code} wants another login`,
        coded(code, "登录失败"),
        status(`it answered with code ${code}: 登录失败`),
        refreshRejected(code)
      ] as const
  ),
  [
    "1000 is the caller's fault",
    coded("1000", "参数错误"),
    new Failure.RequestRejected({ provider, status: 400, code: null, reason: "code 1000: 参数错误" }),
    status("it answered with code 1000: 参数错误")
  ],
  [
    "9002 is a wrong key",
    coded("9002"),
    new Failure.RequestRejected({
      provider,
      status: 400,
      code: "decryption_failed",
      reason: "it could not decrypt the request with the key that it holds"
    }),
    status("it could not decrypt the request (code 9002): the client secret or iv that is configured is not its own")
  ],
  [
    "any other code is told",
    coded("5555", "busy"),
    status("it answered with code 5555: busy"),
    status("it answered with code 5555: busy")
  ],
  [
    "401 ends the access secret alone",
    answer(401),
    rejected,
    unavailable({ reason: "status", status: 401, detail: "it answered with status 401" })
  ],
  [
    "a code is believed before a 4xx",
    coded("9999", "", 400),
    rejected,
    unavailable({ reason: "status", status: 400, detail: "it answered with code 9999" })
  ],
  [
    "408 is a timeout",
    answer(408),
    unavailable({ reason: "timeout", status: 408, detail: "it gave up waiting for the request" }),
    unavailable({ reason: "timeout", status: 408, detail: "it gave up waiting for the request" })
  ],
  ...[302, 400, 404, 500, 502, 503].map(
    (status) => [`${status} is no caller's fault`, answer(status, page, html), byHttp(status), byHttp(status)] as const
  ),
  ["a 5xx is believed before a code", coded("9999", "", 500), byHttp(500), byHttp(500)]
]

describe("an answer of the dispatcher that is no success", () => {
  for (const [rule, given, call, renewal] of rows) {
    it(rule, () => {
      assert.deepStrictEqual(callFailure(given, asked), call)
      assert.deepStrictEqual(renewFailure(given, asked), renewal)
    })
  }

  it("429 asks for as long a wait as it states, and is known again by what it said", () => {
    for (const read of [callFailure, renewFailure]) {
      const limited = answer(429, page, { ...html, "retry-after": "7" })
      assert.deepStrictEqual(
        read(limited, asked),
        new Failure.Throttled({ provider, signature: "429 page", retryAfter: Duration.seconds(7) })
      )
      assert.deepStrictEqual(read(answer(429), asked), new Failure.Throttled({ provider, signature: "429 nothing" }))
      assert.deepStrictEqual(
        read(coded("7777", "slow down", 429), asked),
        new Failure.Throttled({ provider, signature: "429 7777" })
      )
    }
  })

  it("503 carries the wait that it states", () => {
    assert.deepStrictEqual(
      callFailure(answer(503, "", { "retry-after": "7" }), asked),
      unavailable({
        reason: "status",
        status: 503,
        detail: "it answered with status 503",
        retryAfter: Duration.seconds(7)
      })
    )
  })

  it("403 costs the account only by the dispatcher's own word that it is shut out", () => {
    for (const read of [callFailure, renewFailure]) {
      for (const words of ["该账号已被冻结", "用户已被禁用", "the account has been suspended"]) {
        assert.deepStrictEqual(
          read(coded("7001", words, 403), asked),
          new Failure.AccountBlocked({ provider, reason: `code 7001: ${words}` })
        )
      }
      for (const given of [
        answer(403, page, html),
        answer(403, page),
        answer(403),
        coded("7001", "访问过于频繁", 403)
      ]) {
        assert.strictEqual(read(given, asked)._tag, "Throttled")
      }
    }
    assert.deepStrictEqual(callFailure(coded("1001", "用户未登录", 403), asked), rejected)
  })

  it("a success that holds nothing of what was asked for is malformed, as is what is no envelope", () => {
    for (const [given, detail] of [
      [coded("0000"), "its answer does not hold what was asked for"],
      [answer(200, page, html), "its answer is not an envelope of the dispatcher"],
      [answer(200, '{"code":200}'), "its answer is not an envelope of the dispatcher"],
      [answer(200, '{"STATUS":"500","MSG":"busy"}'), "its answer holds no code: busy"],
      [coded("not a code"), "its answer holds no code"]
    ] as const) {
      for (const read of [callFailure, renewFailure]) {
        assert.deepStrictEqual(read(given, asked), unavailable({ reason: "malformed", detail }))
      }
    }
  })

  it.prop(
    "neither markup nor a secret that was sent is repeated, whatever the status, the code and the words",
    [
      Schema.Int.check(Schema.isBetween({ minimum: 200, maximum: 599 })),
      Schema.Literals(["0000", "1000", "1001", "9999", "9002", "8005", "6006", "5555", `${secret}`, "<b>"]),
      Schema.Literals([`you sent ${secret}`, `<p>${secret}</p>`, `账号 冻结 ${secret}`, "x".repeat(2_000)]),
      Schema.Boolean
    ],
    ([status, code, words, isHtml]) => {
      for (const read of [callFailure, renewFailure]) {
        for (const given of [
          coded(code, words, status, isHtml ? html : json),
          answer(status, words, isHtml ? html : json)
        ]) {
          const failure = read(given, asked)
          const text = `${failure.message} ${JSON.stringify(failure)}`
          assert.notInclude(text, secret)
          assert.notInclude(text, "<")
          assert.isBelow(text.length, 1_500)
          if (status >= 500) assert.strictEqual(failure._tag, "UpstreamUnavailable")
        }
      }
    }
  )
})
