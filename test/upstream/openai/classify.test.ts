import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"
import {
  AccessRejected,
  AccountBlocked,
  type CallFailure,
  QuotaExhausted,
  RequestRejected,
  UpstreamUnavailable
} from "../../../src/domain/Failure.ts"
import { TokenId } from "../../../src/domain/Token.ts"
import { classify, type Context } from "../../../src/upstream/openai/classify.ts"

const now = 1_700_000_000_000
const token = TokenId.make("token-1")
const context: Context = { provider: "p", token, model: "m-1", endpoint: "/chat/completions", now }

const read = (
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
  asked: Partial<Context> = {}
): CallFailure =>
  classify(
    {
      status,
      headers: { "content-type": typeof body === "string" ? "text/plain" : "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body)
    },
    { ...context, ...asked }
  )

const openai = (message: string, type: string, code: string | null = null, param: string | null = null) => ({
  error: { message, type, param, code }
})

type Row = readonly [why: string, status: number, body: unknown]

const each = (rows: ReadonlyArray<Row>, check: (failure: CallFailure) => void) => {
  for (const [why, status, body] of rows) it(why, () => check(read(status, body)))
}

describe("classify", () => {
  describe("has nothing left on this key, for", () => {
    each(
      [
        [
          "OpenAI",
          429,
          openai(
            "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota",
            "insufficient_quota"
          )
        ],
        ["OpenAI, of which only words are left", 429, openai("You exceeded your current quota, please check.", "x")],
        [
          "OpenAI's ended billing",
          429,
          openai("Billing hard limit has been reached", "x", "billing_hard_limit_reached")
        ],
        ["DeepSeek", 402, openai("Insufficient Balance", "unknown_error", "invalid_request_error")],
        ["a 402 that says nothing", 402, ""],
        [
          "Zhipu, whose status is that of a rate limit",
          429,
          { error: { code: "1113", message: "您的账户已欠费，请充值后重试。" } }
        ],
        [
          "Zhipu behind Anthropic's wire",
          429,
          { type: "error", error: { type: "1113", message: "Insufficient balance or no resource package." } }
        ],
        ["Zhipu's day", 429, { error: { code: "1304", message: "该API当日调用次数已达上限" } }],
        ["SiliconFlow", 403, { code: 30001, message: "Sorry, your account balance is insufficient", data: null }],
        [
          "Moonshot, which calls it a suspension",
          429,
          openai(
            "Your account org-0 <ak-0> is suspended due to insufficient balance, please recharge your account",
            "exceeded_current_quota_error"
          )
        ],
        [
          "Anthropic's wire, whose status is that of a bad request",
          400,
          {
            type: "error",
            error: {
              type: "invalid_request_error",
              message: "Your credit balance is too low to access the API. Please go to Plans & Billing."
            }
          }
        ],
        [
          "NVIDIA",
          402,
          { type: "about:blank", title: "Payment Required", status: 402, detail: "Account 'a': Cloud credits expired" }
        ],
        [
          "Hunyuan in Tencent's own shape",
          200,
          {
            Response: {
              RequestId: "r",
              Error: { Code: "FailedOperation.ResourcePackExhausted", Message: "资源包余量已用尽" }
            }
          }
        ],
        [
          "Alibaba",
          400,
          openai("Access denied, please make sure your account is in good standing.", "Arrearage", "Arrearage")
        ],
        [
          "Volcengine",
          403,
          {
            error: {
              code: "AccountOverdueError",
              message: "The request failed because your account has an overdue balance"
            }
          }
        ],
        ["a relay of the one-api family", 403, openai("用户额度不足", "new_api_error", "insufficient_user_quota")],
        ["MiniMax, inside a 200", 200, { base_resp: { status_code: 1008, status_msg: "insufficient balance" } }],
        [
          "Gemini's day",
          429,
          [
            {
              error: {
                code: 429,
                message: "You exceeded your current quota, please check your plan and billing details.",
                status: "RESOURCE_EXHAUSTED",
                details: [{ violations: [{ quotaId: "GenerateRequestsPerDayPerProjectPerModel-FreeTier" }] }]
              }
            }
          ]
        ]
      ],
      (failure) => assert.deepStrictEqual(failure, new QuotaExhausted({ provider: "p", token }))
    )

    it("and says when it is refilled, if that was said of it, and not of the rate", () => {
      const body = openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota")
      assert.deepStrictEqual(
        read(429, body, { "retry-after": "3600", "x-ratelimit-reset-requests": "1s" }),
        new QuotaExhausted({ provider: "p", token, resetAt: now + 3_600_000 })
      )
      assert.deepStrictEqual(
        read(429, body, { "x-ratelimit-reset-requests": "1s" }),
        new QuotaExhausted({ provider: "p", token })
      )
    })
  })

  describe("was asked too often, or too much at once, by", () => {
    each(
      [
        [
          "OpenAI",
          429,
          openai(
            "Rate limit reached for gpt-4o on requests per min (RPM): Limit 3, Used 3.",
            "requests",
            "rate_limit_exceeded"
          )
        ],
        ["a 429 that says nothing", 429, ""],
        ["a 429 that says something else", 429, { oops: true }],
        ["a 429 that is a page", 429, "<html><body><h1>429 Too Many Requests</h1></body></html>"],
        [
          "Azure",
          429,
          {
            error: {
              code: "429",
              message:
                "Requests to the ChatCompletions_Create Operation have exceeded call rate limit of your current pricing tier."
            }
          }
        ],
        ["Zhipu's concurrency", 429, { error: { code: "1302", message: "您当前使用该API的并发数过高" } }],
        ["Zhipu's frequency", 429, { error: { code: "1303", message: "您当前使用该API的频率过高" } }],
        ["Zhipu's load", 429, { error: { code: "1305", message: "当前API请求过多，请稍后重试" } }],
        [
          "SiliconFlow",
          429,
          { message: "Request was rejected due to rate limiting. Details: TPM limit reached.", data: null }
        ],
        [
          "SiliconFlow's day, in whole words of a rate",
          403,
          { code: 0, message: "Request was rejected due to rate limiting" }
        ],
        [
          "Hunyuan in Tencent's own shape",
          200,
          { Response: { Error: { Code: "LimitExceeded", Message: "请求超限" } } }
        ],
        ["Hunyuan in OpenAI's", 429, openai("concurrency limit exceeded", "runtime_error", "2003")],
        ["NVIDIA", 429, { status: 429, title: "Too Many Requests" }],
        [
          "Moonshot",
          429,
          openai("Your account request reached max organization concurrency: 1", "rate_limit_reached_error")
        ],
        [
          "Anthropic's wire",
          429,
          { type: "error", error: { type: "rate_limit_error", message: "Number of requests has exceeded your limit" } }
        ],
        [
          "Alibaba's allocation, which refills by the minute",
          429,
          { code: "Throttling.AllocationQuota", message: "Allocated quota exceeded, please increase your quota limit." }
        ],
        ["MiniMax, inside a 200", 200, { base_resp: { status_code: 1002, status_msg: "rate limit" } }],
        [
          "Gemini's minute, in the words of a quota",
          429,
          [
            {
              error: {
                code: 429,
                message: "You exceeded your current quota, please check your plan and billing details.",
                status: "RESOURCE_EXHAUSTED",
                details: [{ violations: [{ quotaId: "GenerateRequestsPerMinutePerProjectPerModel" }] }]
              }
            }
          ]
        ],
        [
          "a minute's limit under the code of a quota",
          429,
          openai("Allocated tokens per minute are used up", "insufficient_quota", "insufficient_quota")
        ],
        ["an error inside a 200 that only says so", 200, { error: "Rate limit exceeded, please slow down" }]
      ],
      (failure) => assert.strictEqual(failure._tag, "Throttled")
    )

    const waitOf = (failure: CallFailure) =>
      failure._tag === "Throttled" && failure.retryAfter !== undefined
        ? Duration.toMillis(failure.retryAfter)
        : undefined

    it("with the wait that it states, in its headers before its words", () => {
      const waits: ReadonlyArray<readonly [body: unknown, headers: Record<string, string>, wait: number | undefined]> =
        [
          [{}, {}, undefined],
          [openai("Please try again in 20s.", "requests"), {}, 20_000],
          [openai("Please try again in 20s.", "requests"), { "retry-after": "7" }, 7_000],
          [openai("Please try again in 20s.", "requests"), { "x-ratelimit-reset-requests": "6m0s" }, 360_000],
          [openai("Please try again in 6m0s. Visit us.", "requests"), {}, 360_000],
          [openai("Please try again in 120ms", "tokens"), {}, 120],
          [openai("Please retry after 6 seconds.", "x"), {}, 6_000],
          [openai("please try again after 1 seconds", "x"), {}, 1_000],
          [openai("please wait 2 minutes", "x"), {}, 120_000],
          [{ error: { message: "no", details: [{ "@type": "RetryInfo", retryDelay: "34.5s" }] } }, {}, 34_500],
          [{ message: "no", retry_after: 12 }, {}, 12_000],
          ["Too many requests, retry in 3s", {}, 3_000]
        ]
      const inAnswer = { error: { code: 429, message: "slow down" } }
      assert.isUndefined(waitOf(read(200, inAnswer, { "x-ratelimit-reset-requests": "1s" })))
      for (const [body, headers, wait] of waits) assert.strictEqual(waitOf(read(429, body, headers)), wait)
    })

    it("one and the same limit with the same signature, whichever key meets it", () => {
      const signature = (body: unknown, status = 429) => {
        const failure = read(status, body)
        return failure._tag === "Throttled" ? failure.signature : assert.fail(failure._tag)
      }
      const reached = (organization: string, used: number) =>
        openai(
          `Rate limit reached for \`gpt-4o\` in organization ${organization} on requests per min: Limit 3, Used ${used}.`,
          "requests",
          "rate_limit_exceeded"
        )
      assert.strictEqual(signature(reached("org-a1", 3)), signature(reached("org-b2", 17)))
      assert.notStrictEqual(
        signature(reached("org-a1", 3)),
        signature(openai("Rate limit reached on tokens per min", "tokens", "rate_limit_exceeded"))
      )
      assert.notStrictEqual(
        signature({ error: { code: "1302", message: "x" } }),
        signature({ error: { code: "1303", message: "x" } })
      )
      assert.notStrictEqual(signature("<html></html>"), signature(""))
      assert.isAtMost(signature("word ".repeat(1_000)).length, 200)
    })
  })

  describe("has a request that is too long for the model, says", () => {
    each(
      [
        [
          "OpenAI",
          400,
          openai(
            "This model's maximum context length is 8192 tokens.",
            "invalid_request_error",
            "context_length_exceeded",
            "messages"
          )
        ],
        [
          "vLLM",
          400,
          {
            object: "error",
            message: "This model's maximum context length is 4096 tokens. However, you requested 5000",
            type: "BadRequestError",
            param: null,
            code: 400
          }
        ],
        [
          "llama.cpp",
          400,
          {
            error: {
              code: 400,
              message: "the request exceeds the available context size",
              type: "exceed_context_size_error"
            }
          }
        ],
        [
          "an elder llama.cpp, which calls it its own fault",
          500,
          { error: { code: 500, message: "context size exceeded", type: "server_error" } }
        ],
        [
          "Anthropic's wire",
          400,
          {
            type: "error",
            error: { type: "invalid_request_error", message: "prompt is too long: 201234 tokens > 200000 maximum" }
          }
        ],
        [
          "SiliconFlow",
          400,
          { code: 20015, message: "length of prompt_tokens (40000) must be less than max_seq_len (32768).", data: null }
        ],
        ["Zhipu", 400, { error: { code: "1261", message: "Prompt 超长" } }],
        [
          "Gemini",
          400,
          [
            {
              error: {
                code: 400,
                message: "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                status: "INVALID_ARGUMENT"
              }
            }
          ]
        ],
        [
          "a limit on the rate that it could never keep",
          429,
          openai(
            "Request too large for gpt-4 on tokens per min (TPM): Limit 10000, Requested 12000.",
            "tokens",
            "rate_limit_exceeded"
          )
        ],
        [
          "Groq's of the same kind",
          413,
          openai("Request too large for model, please reduce your message size", "tokens", "rate_limit_exceeded")
        ]
      ],
      (failure) => {
        assert.strictEqual(failure._tag, "RequestRejected")
        assert.propertyVal(failure, "code", "context_length_exceeded")
      }
    )
  })

  describe("has a request that its filter refuses, says", () => {
    each(
      [
        [
          "OpenAI",
          400,
          openai(
            "Your request was rejected as a result of our safety system.",
            "invalid_request_error",
            "content_policy_violation"
          )
        ],
        [
          "Azure",
          400,
          {
            error: {
              message: "The response was filtered due to the prompt triggering our content management policy.",
              type: null,
              param: "prompt",
              code: "content_filter",
              status: 400,
              innererror: { code: "ResponsibleAIPolicyViolation", content_filter_result: { hate: { filtered: true } } }
            }
          }
        ],
        [
          "Azure, of which only the inner error is left",
          400,
          { error: { message: "no", innererror: { code: "ResponsibleAIPolicyViolation" } } }
        ],
        [
          "Zhipu",
          400,
          {
            error: { code: "1301", message: "系统检测到输入或生成内容可能包含不安全或敏感内容" },
            contentFilter: [{ level: 1, role: "user" }]
          }
        ],
        ["Hunyuan", 200, { Response: { Error: { Code: "OperationDenied.TextIllegalDetected", Message: "文本违规" } } }],
        [
          "Alibaba",
          400,
          openai("Input data may contain inappropriate content.", "data_inspection_failed", "data_inspection_failed")
        ],
        [
          "OpenRouter, as a lack of permission",
          403,
          { error: { code: 403, message: "Input was flagged", metadata: { reasons: ["violence"] } } }
        ]
      ],
      (failure) => {
        assert.strictEqual(failure._tag, "RequestRejected")
        assert.propertyVal(failure, "code", "content_filter")
      }
    )
  })

  describe("has no such model for this key, says", () => {
    each(
      [
        [
          "OpenAI",
          404,
          openai(
            "The model `m-1` does not exist or you do not have access to it.",
            "invalid_request_error",
            "model_not_found"
          )
        ],
        [
          "OpenAI's project",
          403,
          openai("Project `p` does not have access to model `m-1`", "invalid_request_error", "model_not_found")
        ],
        ["a lack of permission for it", 403, { error: { message: "You do not have permission to use this model" } }],
        [
          "Azure",
          404,
          { error: { code: "DeploymentNotFound", message: "The API deployment for this resource does not exist." } }
        ],
        [
          "vLLM",
          404,
          { object: "error", message: "The model `m-1` does not exist.", type: "NotFoundError", param: null, code: 404 }
        ],
        [
          "Ollama",
          404,
          {
            error: {
              message: 'model "m-1" not found, try pulling it first',
              type: "api_error",
              param: null,
              code: null
            }
          }
        ],
        ["Zhipu", 400, { error: { code: "1211", message: "模型不存在，请检查模型代码。" } }],
        ["SiliconFlow", 400, { code: 20012, message: "Model does not exist. Please check it carefully.", data: null }],
        ["NVIDIA", 404, { status: 404, title: "Not Found", detail: "Function 'f': Not found for account 'a'" }]
      ],
      (failure) => {
        assert.strictEqual(failure._tag, "RequestRejected")
        assert.propertyVal(failure, "code", "model_not_found")
      }
    )
  })

  describe("does not accept the key, says", () => {
    each(
      [
        ["OpenAI", 401, openai("Incorrect API key provided: sk-0***0.", "invalid_request_error", "invalid_api_key")],
        ["a 401 that says nothing", 401, ""],
        ["a 401 that is a page", 401, "<!doctype html><title>Unauthorized</title>"],
        [
          "Azure",
          401,
          { statusCode: 401, message: "Unauthorized. Access token is missing, invalid, audience is incorrect" }
        ],
        [
          "Zhipu",
          401,
          { error: { code: "1002", message: "Authorization Token非法，请确认Authorization Token正确传递。" } }
        ],
        ["SiliconFlow", 401, "Invalid token"],
        [
          "NVIDIA",
          401,
          {
            type: "urn:x:problem-details:unauthorized",
            title: "Unauthorized",
            status: 401,
            detail: "Authentication failed"
          }
        ],
        ["NVIDIA's 403", 403, { status: 403, title: "Forbidden", detail: "Authorization failed" }],
        ["a 403 that says nothing", 403, ""],
        ["MiniMax, inside a 200", 200, { base_resp: { status_code: 1004, status_msg: "login fail" } }],
        ["Hunyuan, inside a 200", 200, { Response: { Error: { Code: "AuthFailure.SecretIdNotFound", Message: "x" } } }],
        [
          "Anthropic's name, inside a 200",
          200,
          { type: "error", error: { type: "authentication_error", message: "no" } }
        ]
      ],
      (failure) => assert.deepStrictEqual(failure, new AccessRejected({ provider: "p" }))
    )
  })

  describe("has shut the account out, says", () => {
    each(
      [
        [
          "OpenAI",
          401,
          openai("The OpenAI account associated with this API key has been deactivated.", "x", "account_deactivated")
        ],
        ["a 403 in words", 403, { error: { message: "Your account has been suspended." } }],
        ["a 403 the other way round", 403, { error: { message: "This is a disabled organization" } }],
        ["a 403 in Chinese", 403, { error: { message: "该账号已被封禁" } }],
        ["Zhipu", 429, { error: { code: "1121", message: "Account has irregular activities and has been locked" } }]
      ],
      (failure) => assert.instanceOf(failure, AccountBlocked)
    )
  })

  describe("is unavailable by itself, says", () => {
    each(
      [
        ["a 500", 500, openai("The server had an error while processing your request.", "server_error")],
        ["a 503 that is a page", 503, "<html><title>503</title></html>"],
        ["Anthropic's 529", 529, { type: "error", error: { type: "overloaded_error", message: "Overloaded" } }],
        [
          "SiliconFlow's busy model",
          503,
          { code: 50505, message: "Model service overloaded. Please try again later.", data: null }
        ],
        [
          "a load that is told as too many requests",
          429,
          openai("The engine is currently overloaded", "engine_overloaded_error")
        ],
        [
          "llama.cpp, still loading",
          503,
          { error: { code: 503, message: "Loading model", type: "unavailable_error" } }
        ],
        ["a timeout of its own", 408, ""],
        ["an edge before it", 403, "<!DOCTYPE html><title>Attention Required!</title>"],
        [
          "a country that it does not serve",
          403,
          openai(
            "Country, region, or territory not supported",
            "request_forbidden",
            "unsupported_country_region_territory"
          )
        ],
        ["a country that it does not serve, in words", 403, { error: { message: "Your country is not supported" } }],
        ["a redirect", 302, ""],
        ["a page where chat should be", 404, "<html>Not Found</html>"],
        ["text where chat should be", 404, "404 page not found"],
        ["a framework that has no such path", 404, { detail: "Not Found" }],
        ["OpenAI's own word for that", 404, openai("Invalid URL (POST /v2/chat/completions)", "invalid_request_error")]
      ],
      (failure) => {
        assert.instanceOf(failure, UpstreamUnavailable)
        assert.propertyVal(failure, "reason", "status")
      }
    )

    it("with its status, its reason and the wait it states, but not with the reset of a rate", () => {
      assert.deepStrictEqual(
        read(503, openai("Overloaded.", "server_error"), { "retry-after": "5", "x-ratelimit-reset-requests": "1s" }),
        new UpstreamUnavailable({
          provider: "p",
          reason: "status",
          status: 503,
          retryAfter: Duration.seconds(5),
          detail: "it answered with status 503: Overloaded."
        })
      )
      assert.notProperty(read(503, "", { "x-ratelimit-reset-requests": "1s" }), "retryAfter")
    })

    it("also of an error in an answer's place, by what it states or calls itself", () => {
      assert.deepInclude(read(200, { error: { code: 502, message: "Provider returned error" } }), {
        _tag: "UpstreamUnavailable",
        reason: "status",
        status: 502
      })
      assert.deepInclude(read(200, { error: { type: "server_error", message: "x" } }), {
        reason: "status",
        status: 500
      })
      assert.deepInclude(read(200, { error: "something broke" }), {
        _tag: "UpstreamUnavailable",
        reason: "internal",
        detail: "something broke"
      })
    })
  })

  it("tells of an endpoint that is not there, other than chat, as of a model that it does not have", () => {
    for (const body of ["404 page not found", "<html></html>", { detail: "Not Found" }]) {
      assert.deepStrictEqual(
        read(404, body, {}, { endpoint: "/responses" }),
        new RequestRejected({
          provider: "p",
          status: 404,
          code: "model_not_found",
          reason: 'it does not serve "m-1" at /responses'
        })
      )
    }
  })

  it("passes the rest of what it finds wrong on to the caller, with its field", () => {
    assert.deepStrictEqual(
      read(
        400,
        openai("'temperature' must be at most 2", "invalid_request_error", "decimal_above_max_value", "temperature")
      ),
      new RequestRejected({
        provider: "p",
        status: 400,
        code: "decimal_above_max_value",
        param: "temperature",
        reason: "'temperature' must be at most 2"
      })
    )
    assert.deepStrictEqual(
      read(422, { detail: [{ loc: ["body", "messages", 0, "role"], msg: "Field required", type: "missing" }] }),
      new RequestRejected({
        provider: "p",
        status: 422,
        code: null,
        param: "messages.0.role",
        reason: "Field required"
      })
    )
    assert.deepStrictEqual(
      read(
        400,
        openai(
          "max_tokens is too large: 100000. This model supports at most 16384 completion tokens.",
          "x",
          null,
          "max_tokens"
        )
      ),
      new RequestRejected({
        provider: "p",
        status: 400,
        code: null,
        param: "max_tokens",
        reason: "max_tokens is too large: 100000. This model supports at most 16384 completion tokens."
      })
    )
    assert.deepInclude(read(413, "<html>413 Request Entity Too Large</html>"), {
      status: 413,
      code: null,
      reason: "no reason given"
    })
    assert.deepInclude(read(418, ""), { _tag: "RequestRejected", status: 418 })
  })

  it("shows neither a page, nor what looks like a secret, nor more than a sentence", () => {
    const secret = `sk-${"synthetic0".repeat(5)}`
    for (const status of [400, 401, 403, 404, 429, 500, 503, 200]) {
      for (const body of [
        `<html><body>${secret} <script>alert(1)</script></body></html>`,
        `your key ${secret} is bad`,
        { error: { message: `your key ${secret} is bad ${"and more ".repeat(500)}`, code: secret, param: secret } }
      ]) {
        const told = JSON.stringify(Object.entries(read(status, body)))
        assert.notInclude(told, secret)
        assert.notInclude(told, "script")
        assert.isBelow(told.length, 1_000)
      }
    }
  })

  it.effect.prop(
    "makes something of any status and any JSON",
    [Schema.Int.check(Schema.isBetween({ minimum: 200, maximum: 599 })), Schema.Json, Schema.Json],
    ([status, error, code]) =>
      Effect.sync(() => {
        for (const body of [
          error,
          { error },
          { error: { message: error, code } },
          { code, message: error },
          [{ error }]
        ]) {
          const failure = read(status, body)
          assert.strictEqual(failure.provider, "p")
          if (status === 401 || status === 402) assert.notStrictEqual(failure._tag, "RequestRejected")
        }
      }),
    { arbitrary: { runs: 500 } }
  )
})
