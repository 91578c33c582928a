import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Duration, Schema } from "effect"
import type * as Failure from "../../../src/domain/Failure.ts"
import { TokenId } from "../../../src/domain/Token.ts"
import { classify } from "../../../src/upstream/warp/classify.ts"
import type { Answer } from "../../../src/upstream/transport.ts"
import type { WarpCall } from "../../../src/upstream/warp/verdict.ts"

const now = 1_760_000_000_000
const token = TokenId.make("token-1")
const asked = { provider: "warp", now, token }

const page429 = `<!doctype html><meta charset="utf-8"><title>429</title>429 Too Many Requests`
const html = { "content-type": "text/html; charset=utf-8" }
const json = { "content-type": "application/json" }
const google = (message: string, code = 400) => JSON.stringify({ error: { code, message, status: "INVALID_ARGUMENT" } })
const blockedBody = JSON.stringify({
  error:
    "Your account has been blocked from using AI features. If you think this is in error, please contact appeals@warp.dev. Otherwise, please upgrade to a paid plan at https://app.warp.dev/upgrade."
})
const userFacing = (field: string, type: string, message: string) =>
  JSON.stringify({ data: { [field]: { __typename: "UserFacingError", error: { __typename: type, message } } } })

const answer = (status: number, body = "", headers: Record<string, string> = json): Answer => ({
  status,
  body,
  headers
})

const everyCall: ReadonlyArray<WarpCall> = ["create", "exchange", "refresh", "ai", "quota"]

/** A failure as plain data, its wait in milliseconds. */
const seen = (failure: object) => {
  const { _tag, ...fields } = failure as { readonly _tag: string; readonly [field: string]: unknown }
  return [
    _tag,
    Object.fromEntries(
      Object.entries(fields)
        .filter(([name]) => name !== "provider")
        .map(([name, value]) => [name, Duration.isDuration(value) ? Duration.toMillis(value) : value])
    )
  ]
}

interface Row {
  readonly rule: string
  readonly call: WarpCall
  readonly answer: Answer
  readonly failure: readonly [tag: string, fields: Record<string, unknown>]
}

const rows: ReadonlyArray<Row> = [
  // Creating a user.
  {
    rule: "an HTML 429 to a creation is the creation limit",
    call: "create",
    answer: answer(429, page429, html),
    failure: ["CreateUserRateLimited", {}]
  },
  {
    rule: "the creation limit carries the wait it was told",
    call: "create",
    answer: answer(429, page429, { ...html, "retry-after": "30" }),
    failure: ["CreateUserRateLimited", { retryAfter: 30_000 }]
  },
  {
    rule: "a creation has no quota, whatever the words of its 429",
    call: "create",
    answer: answer(429, `{"error":"No remaining quota: No AI requests remaining"}`),
    failure: ["CreateUserRateLimited", {}]
  },
  {
    rule: "an HTML 403 to a creation is the edge shutting this address out, so it waits",
    call: "create",
    answer: answer(403, "<!doctype html><title>403</title>403 Forbidden", html),
    failure: ["CreateUserRateLimited", {}]
  },
  {
    rule: "a GraphQL error meant for the user refuses the creation, though the status is 200",
    call: "create",
    answer: answer(200, userFacing("createAnonymousUser", "TOSViolationError", "Multiple accounts were created.")),
    failure: ["CreateUserRefused", { reason: "TOSViolationError: Multiple accounts were created." }]
  },
  {
    rule: "top-level GraphQL errors are the upstream's own trouble",
    call: "create",
    answer: answer(200, `{"data":null,"errors":[{"message":"internal system error"}]}`),
    failure: ["UpstreamUnavailable", { reason: "internal", status: 200, detail: "internal system error" }]
  },
  {
    rule: "a 200 to a creation without a token is malformed",
    call: "create",
    answer: answer(200, `{"data":{"createAnonymousUser":{"__typename":"CreateAnonymousUserOutput"}}}`),
    failure: [
      "UpstreamUnavailable",
      { reason: "malformed", status: 200, detail: "its answer does not hold what was asked for" }
    ]
  },
  {
    rule: "a 200 to a creation that is a page is malformed",
    call: "create",
    answer: answer(200, "<!doctype html><title>Sign in to the hotel</title>", html),
    failure: [
      "UpstreamUnavailable",
      { reason: "malformed", status: 200, detail: "its answer does not hold what was asked for" }
    ]
  },
  {
    rule: "another 4xx refuses the creation",
    call: "create",
    answer: answer(400, `{"error":"unknown operation"}`),
    failure: ["CreateUserRefused", { reason: "unknown operation" }]
  },
  {
    rule: "a 500 to a creation is the upstream's own trouble",
    call: "create",
    answer: answer(500, "", {}),
    failure: ["UpstreamUnavailable", { reason: "status", status: 500, detail: "it answered with status 500" }]
  },
  // Exchanging the custom token.
  {
    rule: "a custom token that is not taken refuses the creation",
    call: "exchange",
    answer: answer(400, google("INVALID_CUSTOM_TOKEN")),
    failure: ["CreateUserRefused", { reason: "INVALID_CUSTOM_TOKEN" }]
  },
  {
    rule: "a user who is disabled before the first exchange is a blocked account",
    call: "exchange",
    answer: answer(400, google("USER_DISABLED")),
    failure: ["AccountBlocked", { reason: "USER_DISABLED" }]
  },
  {
    rule: "a wrong web API key at the exchange is our configuration's fault",
    call: "exchange",
    answer: answer(400, google("API key not valid. Please pass a valid API key.")),
    failure: [
      "UpstreamUnavailable",
      { reason: "status", status: 400, detail: "it does not accept the web API key that is configured for it" }
    ]
  },
  {
    rule: "Google's 400 for too many attempts at the exchange is the creation limit",
    call: "exchange",
    answer: answer(400, google("TOO_MANY_ATTEMPTS_TRY_LATER : later")),
    failure: ["CreateUserRateLimited", {}]
  },
  {
    rule: "a 429 at the exchange is the creation limit",
    call: "exchange",
    answer: answer(429, page429, { ...html, "retry-after": "5" }),
    failure: ["CreateUserRateLimited", { retryAfter: 5_000 }]
  },
  {
    rule: "an exchange that is not found is no word about the user",
    call: "exchange",
    answer: answer(404, "not found", {}),
    failure: ["UpstreamUnavailable", { reason: "status", status: 404, detail: "not found" }]
  },
  // Renewing.
  ...["TOKEN_EXPIRED", "INVALID_REFRESH_TOKEN", "MISSING_REFRESH_TOKEN", "USER_DISABLED", "USER_NOT_FOUND"].map(
    (code): Row => ({
      rule: `${code} ends a refresh token`,
      call: "refresh",
      answer: answer(400, google(code)),
      failure: ["RefreshRejected", { code }]
    })
  ),
  {
    rule: "a code with an explanation behind it is the same code",
    call: "refresh",
    answer: answer(400, google("INVALID_REFRESH_TOKEN : it was revoked")),
    failure: ["RefreshRejected", { code: "INVALID_REFRESH_TOKEN" }]
  },
  {
    rule: "a 401 that says so ends a refresh token too",
    call: "refresh",
    answer: answer(401, `{"error":"Invalid refresh token"}`),
    failure: ["RefreshRejected", { code: "INVALID_REFRESH_TOKEN" }]
  },
  {
    rule: "OAuth's invalid_grant ends a refresh token",
    call: "refresh",
    answer: answer(400, `{"error":"invalid_grant","error_description":"Token has been revoked."}`),
    failure: ["RefreshRejected", { code: "invalid_grant" }]
  },
  {
    rule: "a wrong web API key at the renewal is never the token's death",
    call: "refresh",
    answer: answer(400, google("API key not valid. Please pass a valid API key.")),
    failure: [
      "UpstreamUnavailable",
      { reason: "status", status: 400, detail: "it does not accept the web API key that is configured for it" }
    ]
  },
  {
    rule: "nor is it in the words of the proxy",
    call: "refresh",
    answer: answer(400, `{"error":"Invalid API key"}`),
    failure: [
      "UpstreamUnavailable",
      { reason: "status", status: 400, detail: "it does not accept the web API key that is configured for it" }
    ]
  },
  {
    rule: "Google's 403 speaks of the project behind the key, not of the account",
    call: "refresh",
    answer: answer(403, google("Requests from this client application <empty> are blocked for user accounts.", 403)),
    failure: [
      "UpstreamUnavailable",
      { reason: "status", status: 403, detail: "it refuses this client: no reason given" }
    ]
  },
  {
    rule: "a 401 without a word about the refresh token does not end it",
    call: "refresh",
    answer: answer(401, `{"error":"who are you"}`),
    failure: ["UpstreamUnavailable", { reason: "status", status: 401, detail: "who are you" }]
  },
  {
    rule: "a 400 of an unknown kind does not end a refresh token",
    call: "refresh",
    answer: answer(400, google("INVALID_GRANT_TYPE")),
    failure: ["UpstreamUnavailable", { reason: "status", status: 400, detail: "INVALID_GRANT_TYPE" }]
  },
  {
    rule: "a 429 to a renewal throttles",
    call: "refresh",
    answer: answer(429, page429, { ...html, "retry-after": "1.5" }),
    failure: ["Throttled", { signature: "429 page", retryAfter: 1_500 }]
  },
  {
    rule: "Google's 400 for an exceeded quota throttles a renewal",
    call: "refresh",
    answer: answer(400, google("QUOTA_EXCEEDED : Exceeded quota for verifying tokens.")),
    failure: ["Throttled", { signature: "400 quota_exceeded : exceeded quota for verifying tokens." }]
  },
  {
    rule: "quota words of a renewal's 429 are no quota of the token",
    call: "refresh",
    answer: answer(429, `{"error":"No remaining quota"}`),
    failure: ["Throttled", { signature: "429 quota" }]
  },
  {
    rule: "a 403 that names the account blocks it at the renewal",
    call: "refresh",
    answer: answer(403, `{"error":"This user account is suspended."}`),
    failure: ["AccountBlocked", { reason: "This user account is suspended." }]
  },
  {
    rule: "a renewal without the fields of one is malformed",
    call: "refresh",
    answer: answer(200, "{}"),
    failure: [
      "UpstreamUnavailable",
      { reason: "malformed", status: 200, detail: "its answer does not hold what was asked for" }
    ]
  },
  // The model call, and the quota query, which shares its table.
  {
    rule: "X-Warp-Error-Code OUT_OF_CREDITS is the token's quota",
    call: "ai",
    answer: answer(429, `{"userDisplayMessage":"You are out of credits"}`, {
      ...json,
      "x-warp-error-code": "OUT_OF_CREDITS"
    }),
    failure: ["QuotaExhausted", { token }]
  },
  {
    rule: "the quota words of 2025 are the token's quota, tested before any rate limit",
    call: "ai",
    answer: answer(429, `{"error":"No remaining quota: No AI requests remaining"}`),
    failure: ["QuotaExhausted", { token }]
  },
  {
    rule: "half of the quota words is enough, with or without a content type",
    call: "ai",
    answer: answer(429, "No AI requests remaining", {}),
    failure: ["QuotaExhausted", { token }]
  },
  {
    rule: "a wait that comes with an exhausted quota is its reset",
    call: "ai",
    answer: answer(429, `{"error":"No remaining quota"}`, { ...json, "retry-after": "3600" }),
    failure: ["QuotaExhausted", { token, resetAt: now + 3_600_000 }]
  },
  {
    rule: "an HTML 429 to a chat is a limit, not the quota",
    call: "ai",
    answer: answer(429, page429, html),
    failure: ["Throttled", { signature: "429 page" }]
  },
  {
    rule: "a page that quotes the quota words is still no word about the quota",
    call: "ai",
    answer: answer(429, "<!doctype html><p>No remaining quota", html),
    failure: ["Throttled", { signature: "429 page" }]
  },
  {
    rule: "a JSON 429 without quota words throttles, and its numbers do not make it another limit",
    call: "ai",
    answer: answer(429, `{"error":"Limit of 40 exceeded, retry in 12 s"}`, { ...json, "retry-after": "12" }),
    failure: ["Throttled", { signature: "429 limit of # exceeded, retry in # s", retryAfter: 12_000 }]
  },
  {
    rule: "AT_CLOUD_AGENT_CAPACITY throttles under its own signature",
    call: "ai",
    answer: answer(429, `{"error":"busy","running_agents":3}`, {
      ...json,
      "x-warp-error-code": "AT_CLOUD_AGENT_CAPACITY"
    }),
    failure: ["Throttled", { signature: "429 at_cloud_agent_capacity" }]
  },
  {
    rule: "an empty 429 throttles",
    call: "ai",
    answer: answer(429, "", {}),
    failure: ["Throttled", { signature: "429 nothing" }]
  },
  {
    rule: "a 403 that says the account is blocked blocks it",
    call: "ai",
    answer: answer(403, blockedBody),
    failure: [
      "AccountBlocked",
      {
        reason:
          "Your account has been blocked from using AI features. If you think this is in error, please contact appeals@warp.dev. Otherwise, please upgrade to a paid plan at https://app.warp.dev/upgrade."
      }
    ]
  },
  {
    rule: "an HTML 403 comes from the edge, which knows the address and no account",
    call: "ai",
    answer: answer(403, "<!doctype html><title>403</title>Your user account is blocked", html),
    failure: ["Throttled", { signature: "403 page" }]
  },
  {
    rule: "a 403 that names no account does not cost one",
    call: "ai",
    answer: answer(403, `{"error":"forbidden"}`),
    failure: ["Throttled", { signature: "403 forbidden" }]
  },
  {
    rule: "an expired id token wants renewal",
    call: "ai",
    answer: answer(401, `{"error":"ID token has expired at: 1760000000"}`),
    failure: ["AccessRejected", {}]
  },
  {
    rule: "any other 401 wants renewal as well",
    call: "ai",
    answer: answer(401, "", {}),
    failure: ["AccessRejected", {}]
  },
  {
    rule: "a model that is not allowed is the caller's to change",
    call: "ai",
    answer: answer(400, `{"error":"requested base model gpt-9 is not allowed for your account"}`),
    failure: [
      "RequestRejected",
      { status: 400, code: "model_not_found", reason: "the model is not available to this account" }
    ]
  },
  {
    rule: "another 400 is the caller's fault, in the upstream's words",
    call: "ai",
    answer: answer(400, `{"error":"too many attachments"}`),
    failure: ["RequestRejected", { status: 400, code: null, reason: "too many attachments" }]
  },
  {
    rule: "so is another 4xx",
    call: "ai",
    answer: answer(413, "", {}),
    failure: ["RequestRejected", { status: 413, code: null, reason: "no reason given" }]
  },
  {
    rule: "a 408 is a timeout of the upstream",
    call: "ai",
    answer: answer(408, "", {}),
    failure: ["UpstreamUnavailable", { reason: "timeout", status: 408, detail: "it gave up waiting for the request" }]
  },
  {
    rule: "an empty 500 is the upstream's own trouble, or a message it could not read",
    call: "ai",
    answer: answer(500, "", { "content-length": "0", server: "Google Frontend" }),
    failure: ["UpstreamUnavailable", { reason: "status", status: 500, detail: "it answered with status 500" }]
  },
  {
    rule: "quota words in a 500 are not believed",
    call: "ai",
    answer: answer(503, `{"error":"No remaining quota"}`),
    failure: ["UpstreamUnavailable", { reason: "status", status: 503, detail: "it answered with status 503" }]
  },
  {
    rule: "a redirect is no answer to a chat",
    call: "ai",
    answer: answer(302, "", { location: "https://elsewhere.invalid" }),
    failure: ["UpstreamUnavailable", { reason: "status", status: 302, detail: "it answered with status 302" }]
  },
  {
    rule: "a GraphQL answer that asks to sign in wants renewal",
    call: "quota",
    answer: answer(200, `{"errors":[{"message":"sign in","extensions":{"code":"UNAUTHENTICATED"}}]}`),
    failure: ["AccessRejected", {}]
  },
  {
    rule: "a breach of the terms blocks the account, though the status is 200",
    call: "quota",
    answer: answer(200, userFacing("user", "TOSViolationError", "flagged")),
    failure: ["AccountBlocked", { reason: "TOSViolationError: flagged" }]
  },
  {
    rule: "another error meant for the user is the upstream's own trouble",
    call: "quota",
    answer: answer(200, userFacing("user", "InvalidInputError", "bad context")),
    failure: ["UpstreamUnavailable", { reason: "internal", status: 200, detail: "InvalidInputError: bad context" }]
  },
  {
    rule: "a 429 to the quota query without quota words throttles",
    call: "quota",
    answer: answer(429, page429, html),
    failure: ["Throttled", { signature: "429 page" }]
  }
]

const secret = "Qz7vKp2mXw9tRb4nLc8sHd3fGj6yTa1e"

describe("classify", () => {
  for (const { answer, call, failure, rule } of rows) {
    it(`${call}: ${rule}`, () => {
      assert.deepStrictEqual(seen(classify(call, answer, asked)), [...failure])
    })
  }

  it("the two 429s have no type in common", () => {
    expectTypeOf(classify("create", answer(429), asked)).toEqualTypeOf<
      Failure.CreateUserRateLimited | Failure.CreateUserRefused | Failure.UpstreamUnavailable
    >()
    expectTypeOf(classify("ai", answer(429), asked)).toEqualTypeOf<Failure.CallFailure>()
    expectTypeOf<Extract<Failure.CallFailure, Failure.CreateUserRateLimited>>().toEqualTypeOf<never>()
    expectTypeOf<Extract<Failure.CreateFailure, Failure.QuotaExhausted>>().toEqualTypeOf<never>()
    expectTypeOf<Extract<Failure.RenewFailure, Failure.QuotaExhausted>>().toEqualTypeOf<never>()
  })

  const Body = Schema.Literals([
    "",
    page429,
    blockedBody,
    `{"error":"No remaining quota: No AI requests remaining"}`,
    google("INVALID_REFRESH_TOKEN"),
    userFacing("createAnonymousUser", "TOSViolationError", "no"),
    `{"error":null}`,
    "null",
    "[",
    "plain words"
  ])
  const Status = Schema.Int.check(Schema.isBetween({ minimum: 200, maximum: 599 }))

  it.prop(
    "every answer has a failure, and no call borrows another's",
    [Status, Body, Schema.Boolean],
    ([status, body, isHtml]) => {
      const given = answer(status, body, isHtml ? html : json)
      const tags = Object.fromEntries(everyCall.map((call) => [call, classify(call, given, asked)._tag]))
      for (const call of ["create", "exchange", "refresh"]) assert.notStrictEqual(tags[call], "QuotaExhausted")
      for (const call of ["ai", "quota", "refresh"]) assert.notStrictEqual(tags[call], "CreateUserRateLimited")
      for (const call of ["create", "exchange", "ai", "quota"]) assert.notStrictEqual(tags[call], "RefreshRejected")
      if (status >= 500) assert.deepStrictEqual(new Set(Object.values(tags)), new Set(["UpstreamUnavailable"]))
    }
  )

  it.prop(
    "neither markup nor anything that looks like a secret is repeated",
    [
      Status,
      Schema.Boolean,
      Schema.Literals([`{"error":"SECRET"}`, `{"error":{"code":400,"message":"SECRET"}}`, "SECRET", "<b>SECRET</b>"])
    ],
    ([status, isHtml, template]) => {
      const body = template.replace("SECRET", `before ${secret} <script>alert(1)</script>`)
      const plain = template.replace("SECRET", `before ${secret} after`)
      for (const call of everyCall) {
        for (const given of [body, plain]) {
          const failure = classify(call, answer(status, given, isHtml ? html : json), asked)
          const text = `${failure.message} ${JSON.stringify(failure)}`
          assert.notInclude(text, secret)
          assert.notInclude(text, "<")
        }
      }
    }
  )
})
