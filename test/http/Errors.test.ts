import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import {
  AccessRejected,
  AccountBlocked,
  QuotaExhausted,
  RequestRejected,
  Throttled,
  UpstreamUnavailable
} from "../../src/domain/Failure.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { KeyNameRefused, KeyUnknown } from "../../src/access/ClientKeys.ts"
import { LoginRefused, LoginThrottled, PasswordRefused } from "../../src/access/ConsoleAccount.ts"
import { PathUnknown } from "../../src/drive/Drive.ts"
import { brokenStreamBody, errorBody, errorResponse, responseFor, type WireFailure } from "../../src/http/Errors.ts"
import {
  BadRequest,
  CrossSite,
  Forbidden,
  ForeignHost,
  KeyRateLimited,
  ModelNotAllowed,
  NotFound,
  NothingToLend,
  ShuttingDown,
  Unauthorized
} from "../../src/http/failures.ts"
import { LeaseUnknown, ProviderUnknown, TokenHeld, TokenNotHeld } from "../../src/manager/TokenManager.ts"
import { StoreUnavailable } from "../../src/store/Store.ts"
import { NoCapacity } from "../../src/traffic/lend.ts"

const provider = "warp"
const unavailable = (reason: "timeout" | "cut") => new UpstreamUnavailable({ provider, reason, detail: "synthetic" })
const noCapacity = (wait?: Duration.Duration) =>
  new NoCapacity({ provider, reason: "synthetic", ...(wait !== undefined && { retryAfter: wait }) })

const table: ReadonlyArray<readonly [WireFailure, number, string, string | null, string | undefined]> = [
  [new BadRequest({ status: 400, param: "model", reason: "missing" }), 400, "invalid_request_error", null, undefined],
  [new BadRequest({ status: 413, param: null, reason: "large" }), 413, "invalid_request_error", null, undefined],
  [new Unauthorized({ why: "missing" }), 401, "invalid_request_error", "invalid_api_key", undefined],
  [new Unauthorized({ why: "expired" }), 401, "invalid_request_error", "invalid_api_key", undefined],
  [
    new Forbidden({ role: "inference", needed: ["admin"] }),
    403,
    "invalid_request_error",
    "role_not_allowed",
    undefined
  ],
  [new CrossSite({ reason: "origin" }), 403, "invalid_request_error", "cross_site", undefined],
  [new KeyRateLimited({ retryAfter: Duration.millis(1_500) }), 429, "rate_limit_error", "key_rate_limited", "2"],
  [new ModelNotAllowed({ model: "m" }), 403, "invalid_request_error", "model_not_allowed", undefined],
  [new LoginRefused(), 401, "invalid_request_error", "wrong_password", undefined],
  [new LoginThrottled({ retryAfter: Duration.seconds(9) }), 429, "rate_limit_error", "login_throttled", "9"],
  [new PasswordRefused({ reason: "short" }), 400, "invalid_request_error", "password_refused", undefined],
  [new KeyNameRefused({ name: "a", reason: "taken" }), 409, "invalid_request_error", "name_taken", undefined],
  [new KeyNameRefused({ name: "", reason: "malformed" }), 400, "invalid_request_error", null, undefined],
  [new KeyUnknown({ key: "a" }), 404, "invalid_request_error", "key_unknown", undefined],
  [new TokenHeld({ name: "a", by: "token" }), 409, "invalid_request_error", "token_held", undefined],
  [new TokenHeld({ name: "a", by: "name" }), 409, "invalid_request_error", "name_taken", undefined],
  [new TokenNotHeld(), 404, "invalid_request_error", "token_unknown", undefined],
  [new LeaseUnknown({ reason: "unknown" }), 404, "invalid_request_error", "lease_unknown", undefined],
  [new LeaseUnknown({ reason: "reported" }), 409, "invalid_request_error", "lease_reported", undefined],
  [new ProviderUnknown({ provider: "x", known: [] }), 404, "invalid_request_error", "provider_unknown", undefined],
  [new PathUnknown({ path: "a/b" }), 404, "invalid_request_error", "path_unknown", undefined],
  [
    new NothingToLend({ reason: "none", retryAfter: Duration.seconds(3) }),
    404,
    "invalid_request_error",
    "no_token",
    "3"
  ],
  [new ForeignHost(), 403, "invalid_request_error", "foreign_host", undefined],
  [new ShuttingDown(), 503, "server_error", "shutting_down", "1"],
  [new NotFound({ method: "GET", path: "/x" }), 404, "invalid_request_error", "not_found", undefined],
  [
    new RequestRejected({ provider, status: 400, code: "model_not_found", reason: "no" }),
    404,
    "invalid_request_error",
    "model_not_found",
    undefined
  ],
  [
    new RequestRejected({ provider, status: 422, code: null, reason: "no" }),
    422,
    "invalid_request_error",
    null,
    undefined
  ],
  [
    new QuotaExhausted({ provider, token: TokenId.make("t") }),
    429,
    "insufficient_quota",
    "insufficient_quota",
    undefined
  ],
  [noCapacity(Duration.millis(1_001)), 429, "insufficient_quota", "no_token", "2"],
  [noCapacity(Duration.zero), 429, "insufficient_quota", "no_token", "1"],
  [noCapacity(), 503, "server_error", "no_token", undefined],
  [new Throttled({ provider, signature: "s" }), 429, "rate_limit_error", "rate_limit_exceeded", "1"],
  [
    new Throttled({ provider, signature: "s", retryAfter: Duration.seconds(7) }),
    429,
    "rate_limit_error",
    "rate_limit_exceeded",
    "7"
  ],
  [new AccessRejected({ provider }), 502, "upstream_error", "upstream_credentials", undefined],
  [new AccountBlocked({ provider, reason: "r" }), 502, "upstream_error", "upstream_credentials", undefined],
  [unavailable("cut"), 502, "upstream_error", "upstream_cut", undefined],
  [unavailable("timeout"), 504, "upstream_error", "upstream_timeout", undefined],
  [
    new StoreUnavailable({ operation: "write", detail: "secret path" }),
    503,
    "server_error",
    "store_unavailable",
    undefined
  ]
]

describe("errors on the wire", () => {
  it.each(table)("%s is answered as the table says", (failure, status, type, code, retryAfter) => {
    const response = errorResponse(failure)
    assert.strictEqual(response.status, status)
    assert.strictEqual(response.headers["retry-after"], retryAfter)
    const { error } = errorBody(failure)
    assert.strictEqual(error.type, type)
    assert.strictEqual(error.code, code)
    assert.isNotEmpty(error.message)
    assert.notInclude(error.message, "secret path")
  })

  it("has D4's frame on D4's paths, and OpenAI's on all others", async () => {
    const held = new TokenHeld({ name: "Token-1", by: "token" })
    const bodyAt = async (url: string) => {
      const { body } = responseFor(url, held)
      return body._tag === "Uint8Array" ? JSON.parse(new TextDecoder().decode(body.body)) : undefined
    }
    const managers = {
      code: 409,
      success: false,
      error: "the token is held already, as Token-1",
      type: "token_held",
      param: "token"
    }
    for (const url of ["/api/token/add", "/api/files?folder=a", "/api/folders", "/api/download/?url=a"]) {
      assert.deepStrictEqual(await bodyAt(url), managers)
    }
    for (const url of ["/api/admin/keys", "/v1/models", "/api/tokens", "/"]) {
      assert.deepStrictEqual(await bodyAt(url), errorBody(held))
    }
  })

  it("tells clients not to retry by themselves when the wait is long", () => {
    assert.isUndefined(errorResponse(noCapacity(Duration.seconds(60))).headers["x-should-retry"])
    assert.strictEqual(errorResponse(noCapacity(Duration.seconds(61))).headers["x-should-retry"], "false")
  })

  it("calls the end of a quota in the middle of an answer a cut: asking again is served", () => {
    const { error } = brokenStreamBody(new QuotaExhausted({ provider, token: TokenId.make("t") }))
    assert.strictEqual(error.code, "upstream_cut")
  })

  it("names the field at fault", () => {
    const rejected = new RequestRejected({ provider, status: 400, code: null, param: "tools[0]", reason: "r" })
    assert.strictEqual(errorBody(rejected).error.param, "tools[0]")
    assert.strictEqual(errorBody(new BadRequest({ status: 400, param: "n", reason: "r" })).error.param, "n")
  })
})
