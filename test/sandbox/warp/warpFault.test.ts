import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { HttpClientError } from "effect/http"
import { frame } from "../../../src/sandbox/warp/framing.ts"
import {
  accessOf,
  ask,
  at,
  callModel,
  createUser,
  dataIn,
  eventsIn,
  eventually,
  exchange,
  get,
  idTokenOf,
  openModel,
  outline,
  quota,
  refresh,
  setFault,
  stats,
  text,
  withSandbox,
  wordsIn
} from "../warpCaller.ts"

/** Sets one fault on the model call and makes the call. */
const struck = Effect.fnUntraced(function* (fault: object) {
  const access = yield* accessOf("personal")
  yield* setFault({ call: "ai", ...fault })
  return yield* callModel(access, ask("hi"))
})

const whole = [
  "init",
  "createTask",
  "addMessagesToTask",
  "appendToMessageContent",
  "appendToMessageContent",
  "finished:done"
]

/** The call fails at the connection, not with an answer. */
const assertBroken = (failure: unknown) => assert.isTrue(HttpClientError.isHttpClientError(failure))

describe("warpFault: an answer in place of the real one", () => {
  const answers = [
    { kind: "rate_limit", status: 429, type: "text/html", body: "429 Too Many Requests" },
    { kind: "quota", status: 429, type: "application/json", body: "No remaining quota: No AI requests remaining" },
    { kind: "out_of_credits", status: 429, type: "application/json", body: "userDisplayMessage" },
    { kind: "unauthorized", status: 401, type: "application/json", body: "ID token has expired at: -1" },
    {
      kind: "blocked",
      status: 403,
      type: "application/json",
      body: "Your account has been blocked from using AI features."
    },
    { kind: "cloud_armor", status: 403, type: "text/html", body: "403 Forbidden" },
    { kind: "server_error", status: 500, type: undefined, body: "" },
    {
      kind: "model_not_allowed",
      status: 400,
      type: "application/json",
      body: "requested base model auto is not allowed for your account"
    }
  ] as const

  for (const { body, kind, status, type } of answers) {
    it.effect(`${kind} answers ${status}, once, and charges nothing`, () =>
      Effect.gen(function* () {
        const answer = yield* struck({ kind })
        assert.strictEqual(answer.status, status)
        assert.strictEqual(answer.headers["content-type"]?.split(";")[0], type)
        assert.include(answer.text, body)
        const access = yield* accessOf("personal")
        assert.strictEqual((yield* callModel(access, ask("hi"))).status, 200)
        assert.strictEqual(
          at((yield* quota(access)).json, "data", "user", "user", "requestLimitInfo", "requestsUsedSinceLastRefresh"),
          1
        )
        assert.strictEqual(at(yield* stats, "ai", "byStatus", `${status}`), 1)
      }).pipe(withSandbox())
    )
  }

  it.effect("out_of_credits says so in the header too", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* struck({ kind: "out_of_credits" })).headers["x-warp-error-code"], "OUT_OF_CREDITS")
    }).pipe(withSandbox())
  )

  it.effect("sends Retry-After as it was given: seconds, a fraction, a date, nonsense, or not at all", () =>
    Effect.gen(function* () {
      for (const [retryAfter, sent] of [
        [30, "30"],
        [0.25, "0.25"],
        ["Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 GMT"],
        ["soon", "soon"]
      ] as const) {
        for (const kind of ["rate_limit", "quota", "out_of_credits", "server_error"]) {
          assert.strictEqual((yield* struck({ kind, retryAfter })).headers["retry-after"], sent)
        }
      }
      assert.isUndefined((yield* struck({ kind: "rate_limit" })).headers["retry-after"])
    }).pipe(withSandbox())
  )

  it.effect("server_error answers with the status it is given", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* struck({ kind: "server_error", status: 503 })).status, 503)
    }).pipe(withSandbox())
  )

  it.effect("strikes creation, exchange, renewal and quota as well", () =>
    Effect.gen(function* () {
      yield* setFault([
        { call: "createAnonymousUser", kind: "rate_limit", retryAfter: 30 },
        { call: "exchange", kind: "server_error" },
        { call: "refresh", kind: "server_error" },
        { call: "quota", kind: "unauthorized" }
      ])
      const refused = yield* createUser()
      assert.deepStrictEqual([refused.status, refused.headers["retry-after"]], [429, "30"])
      const custom = idTokenOf(yield* createUser())
      assert.strictEqual((yield* exchange(custom)).status, 500)
      const exchanged = yield* exchange(custom)
      assert.strictEqual((yield* refresh(text(exchanged.json, "refreshToken"))).status, 500)
      assert.strictEqual((yield* quota(text(exchanged.json, "idToken"))).status, 401)
      assert.strictEqual((yield* quota(text(exchanged.json, "idToken"))).status, 200)
    }).pipe(withSandbox())
  )

  it.effect("a creation that a fault refuses does not count against the limit", () =>
    Effect.gen(function* () {
      yield* setFault({ call: "createAnonymousUser", kind: "server_error" })
      yield* createUser()
      assert.strictEqual((yield* createUser()).status, 200)
    }).pipe(withSandbox({ creationLimit: [{ count: 1, per: "1 hour" }] }))
  )

  it.effect("user_facing_error and graphql_errors fail inside a 200", () =>
    Effect.gen(function* () {
      const access = yield* accessOf("personal")
      yield* setFault([
        { call: "createAnonymousUser", kind: "user_facing_error" },
        { call: "createAnonymousUser", kind: "graphql_errors", message: "down" },
        { call: "quota", kind: "user_facing_error", code: "BudgetExceededError", message: "no budget" }
      ])
      const refused = yield* createUser()
      assert.strictEqual(refused.status, 200)
      assert.strictEqual(at(refused.json, "data", "createAnonymousUser", "__typename"), "UserFacingError")
      assert.strictEqual(at(refused.json, "data", "createAnonymousUser", "error", "__typename"), "TOSViolationError")
      assert.deepStrictEqual((yield* createUser()).json, { data: null, errors: [{ message: "down" }] })
      assert.deepStrictEqual(at((yield* quota(access)).json, "data", "user", "error"), {
        __typename: "BudgetExceededError",
        message: "no budget"
      })
    }).pipe(withSandbox())
  )

  it.effect("refresh_rejected answers in the shape of the service, with the code it is given", () =>
    Effect.gen(function* () {
      yield* setFault([
        { call: "refresh", kind: "refresh_rejected" },
        { call: "refresh", kind: "refresh_rejected", code: "USER_DISABLED" },
        { call: "exchange", kind: "refresh_rejected" }
      ])
      const codes = [yield* refresh("x"), yield* refresh("x"), yield* exchange("x")].map(({ json, status }) => {
        assert.strictEqual(status, 400)
        return at(json, "error", "message")
      })
      assert.deepStrictEqual(codes, ["INVALID_REFRESH_TOKEN", "USER_DISABLED", "INVALID_CUSTOM_TOKEN"])
    }).pipe(withSandbox())
  )

  it.effect("refresh_rotated hands out a new refresh token and revokes the old one", () =>
    Effect.gen(function* () {
      const first = text((yield* exchange(idTokenOf(yield* createUser()))).json, "refreshToken")
      yield* setFault({ call: "refresh", kind: "refresh_rotated" })
      const second = text((yield* refresh(first)).json, "refresh_token")
      assert.notStrictEqual(second, first)
      assert.strictEqual((yield* refresh(first)).status, 400)
      assert.strictEqual(text((yield* refresh(second)).json, "refresh_token"), second)
    }).pipe(withSandbox())
  )

  it.effect("strikes only the model it names", () =>
    Effect.gen(function* () {
      const access = yield* accessOf("personal")
      yield* setFault({ call: "ai", kind: "server_error", model: "o3", times: null })
      assert.strictEqual((yield* callModel(access, ask("hi", { model: "auto" }))).status, 200)
      assert.strictEqual((yield* callModel(access, ask("hi", { model: "o3" }))).status, 500)
      assert.strictEqual((yield* callModel(access, ask("hi", { model: "o3" }))).status, 500)
    }).pipe(withSandbox())
  )
})

describe("warpFault: the connection", () => {
  it.effect("reset breaks it before any header, which is nobody's leaving", () =>
    Effect.gen(function* () {
      assertBroken(yield* Effect.flip(struck({ kind: "reset" })))
      const counted = yield* eventually(stats, (counted) => at(counted, "open") === 0)
      assert.deepStrictEqual(at(counted, "ai"), { total: 1, byStatus: { none: 1 }, aborted: 0, open: 0 })
    }).pipe(withSandbox())
  )

  it.effect("silence never answers, and notices when the caller gives up", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.forkChild(struck({ kind: "silence" }))
      yield* eventually(stats, (counted) => at(counted, "open") === 1)
      yield* TestClock.adjust("1 day")
      assert.isUndefined(waiting.pollUnsafe())
      yield* Fiber.interrupt(waiting)
      const counted = yield* eventually(stats, (counted) => at(counted, "open") === 0)
      assert.deepStrictEqual(at(counted, "ai"), { total: 1, byStatus: { none: 1 }, aborted: 1, open: 0 })
    }).pipe(withSandbox())
  )

  it.effect("slow answers at the instant it names and not a millisecond before", () =>
    Effect.gen(function* () {
      const access = yield* accessOf("personal")
      yield* setFault({ call: "ai", kind: "slow", delay: "3 seconds" })
      const response = yield* Effect.forkChild(openModel(access, ask("hi")))
      yield* eventually(get("/_sandbox/requests"), ({ json }) => at(json, "requests", 0) !== undefined)
      yield* TestClock.adjust("2999 millis")
      yield* stats
      assert.isUndefined(response.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(response)).status, 200)
    }).pipe(Effect.scoped, withSandbox())
  )

  it.effect("slow_first sends the headers at once and the first event later", () =>
    Effect.gen(function* () {
      const access = yield* accessOf("personal")
      yield* setFault({ call: "ai", kind: "slow_first", delay: 2_000 })
      const response = yield* openModel(access, ask("hi"))
      assert.strictEqual(response.status, 200)
      const body = yield* Effect.forkChild(response.text)
      yield* TestClock.adjust("1999 millis")
      yield* stats
      assert.isUndefined(body.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(outline(yield* Fiber.join(body)), whole)
    }).pipe(Effect.scoped, withSandbox())
  )
})

describe("warpFault: the stream", () => {
  /** What arrives before the stream breaks or falls silent. */
  const arrived = Effect.fnUntraced(function* (fault: object, count: number) {
    const access = yield* accessOf("personal")
    yield* setFault({ call: "ai", ...fault })
    const response = yield* openModel(access, ask("hi"))
    const received: Array<string> = []
    const complete = response.stream.pipe(
      Stream.decodeText,
      Stream.tap((chunk) => Effect.sync(() => void received.push(chunk))),
      Stream.takeUntil(() => dataIn(received.join("")).length >= count)
    )
    yield* Stream.runDrain(complete)
    return outline(received.join(""))
  })

  it.effect("cut breaks the connection after the events it names", () =>
    Effect.gen(function* () {
      for (const [fault, events] of [
        [{ kind: "cut" }, 3],
        [{ kind: "cut", afterEvents: 1 }, 1],
        [{ kind: "cut", afterEvents: 5 }, 5]
      ] as const) {
        assert.deepStrictEqual(yield* Effect.scoped(arrived(fault, events)), whole.slice(0, events))
        assertBroken(yield* Effect.flip(struck(fault)))
      }
      const counted = yield* eventually(stats, (counted) => at(counted, "open") === 0)
      assert.deepInclude(at(counted, "ai"), { total: 6, byStatus: { 200: 6 } })
    }).pipe(withSandbox())
  )

  it.effect("cut is nobody's leaving", () =>
    Effect.gen(function* () {
      assertBroken(yield* Effect.flip(struck({ kind: "cut", afterEvents: 0 })))
      assert.strictEqual(at(yield* eventually(stats, (counted) => at(counted, "open") === 0), "aborted"), 0)
    }).pipe(withSandbox())
  )

  it.effect("truncated ends cleanly without the last event", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(outline((yield* struck({ kind: "truncated" })).text), whole.slice(0, 3))
      assert.strictEqual((yield* struck({ kind: "truncated", afterEvents: 0 })).text, "")
      assert.deepStrictEqual(outline((yield* struck({ kind: "truncated", afterEvents: 99 })).text), whole.slice(0, 5))
    }).pipe(withSandbox())
  )

  it.effect("stall falls silent after the events it names, without end or for as long as it says", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Effect.scoped(arrived({ kind: "stall", afterEvents: 4 }, 4)), whole.slice(0, 4))
      yield* eventually(stats, (counted) => at(counted, "open") === 0)
      const access = yield* accessOf("personal")
      yield* setFault({ call: "ai", kind: "stall", delay: "10 seconds" })
      const body = yield* Effect.forkChild(Effect.flatMap(openModel(access, ask("hi")), (response) => response.text))
      yield* eventually(stats, (counted) => at(counted, "ai", "byStatus", "200") === 2)
      yield* TestClock.adjust("9999 millis")
      yield* stats
      assert.isUndefined(body.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(outline(yield* Fiber.join(body)), whole)
    }).pipe(Effect.scoped, withSandbox())
  )

  it.effect("malformed sends something that is no event, and then goes on", () =>
    Effect.gen(function* () {
      const data = dataIn((yield* struck({ kind: "malformed", afterEvents: 2 })).text)
      assert.lengthOf(data, whole.length + 1)
      assert.strictEqual(data[2], "%%% this is no event %%%")
    }).pipe(withSandbox())
  )

  const ends = [
    ["quota_in_stream", "quotaLimit", 1],
    ["max_tokens_in_stream", "maxTokenLimit", 3],
    ["context_exceeded_in_stream", "contextWindowExceeded", 1],
    ["llm_unavailable_in_stream", "llmUnavailable", 1],
    ["internal_error_in_stream", "internalError", 1],
    ["other_in_stream", "other", 1]
  ] as const
  for (const [kind, reason, events] of ends) {
    it.effect(`${kind} ends a 200 with the reason ${reason}`, () =>
      Effect.gen(function* () {
        const answer = yield* struck({ kind })
        assert.strictEqual(answer.status, 200)
        assert.deepStrictEqual(outline(answer.text), [...whole.slice(0, events), `finished:${reason}`])
        assert.deepStrictEqual(outline((yield* struck({ kind, afterEvents: 4 })).text), [
          ...whole.slice(0, 4),
          `finished:${reason}`
        ])
      }).pipe(withSandbox())
    )
  }

  it.effect("internal_error_in_stream carries the message it is given", () =>
    Effect.gen(function* () {
      const last = eventsIn((yield* struck({ kind: "internal_error_in_stream", message: "out of luck" })).text).at(-1)
      assert.strictEqual(at(last?.type, "value", "reason", "value", "message"), "out of luck")
    }).pipe(withSandbox())
  )

  it.effect("rollback_in_stream takes back what it had begun to say, and says it again", () =>
    Effect.gen(function* () {
      const { text } = yield* struck({ kind: "rollback_in_stream" })
      assert.deepStrictEqual(outline(text), [
        "init",
        "createTask",
        "beginTransaction",
        "addMessagesToTask",
        "rollbackTransaction",
        "beginTransaction",
        "addMessagesToTask",
        "appendToMessageContent",
        "appendToMessageContent",
        "commitTransaction",
        "finished:done"
      ])
      assert.strictEqual(wordsIn(text), `YouYou said: "hi"`)
    }).pipe(withSandbox())
  )

  it.effect("no_content_type leaves that header out and the events whole", () =>
    Effect.gen(function* () {
      const answer = yield* struck({ kind: "no_content_type" })
      assert.isUndefined(answer.headers["content-type"])
      assert.deepStrictEqual(outline(answer.text), whole)
    }).pipe(withSandbox())
  )

  const framings = [
    ["crlf", /^data: \S+\r\n\r\n/],
    ["multi_line", /^data: \S{24}\ndata: \S+\n/],
    ["comments", /^: keep-alive\n\nevent: message\nid: 1\nretry: 3000\ndata: \S+\n: done\n\n/],
    ["quoted", /^data: "\S+"\n\n/],
    ["unpadded", /^(data: [\w-]+\n\n)+$/]
  ] as const
  for (const [kind, pattern] of framings) {
    it.effect(`${kind} frames the same events in another way`, () =>
      Effect.gen(function* () {
        const answer = yield* struck({ kind })
        assert.match(answer.text, pattern)
        assert.deepStrictEqual(outline(answer.text), whole)
      }).pipe(withSandbox())
    )
  }

  it.effect("split cuts the same frames into pieces that end inside a line", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(frame("CggKAmMxEgJyMQ==", "split"), ["data: C", "ggKAmMx", "EgJyMQ=", "=\n\n"])
      assert.deepStrictEqual(outline((yield* struck({ kind: "split" })).text), whole)
    }).pipe(withSandbox())
  )

  it.effect("charges a request that was accepted, whatever became of its stream", () =>
    Effect.gen(function* () {
      yield* struck({ kind: "truncated" })
      const { json } = yield* quota(yield* accessOf("personal"))
      assert.strictEqual(at(json, "data", "user", "user", "requestLimitInfo", "requestsUsedSinceLastRefresh"), 1)
    }).pipe(withSandbox())
  )

  it.effect("waits for a request that is accepted", () =>
    Effect.gen(function* () {
      yield* setFault({ call: "ai", kind: "truncated" })
      assert.strictEqual((yield* callModel("", ask("hi"))).status, 401)
      assert.deepStrictEqual(
        outline((yield* callModel(yield* accessOf("personal"), ask("hi"))).text),
        whole.slice(0, 3)
      )
    }).pipe(withSandbox())
  )
})
