import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { at, eventually, setFault, stats, text, withSandbox } from "../warpCaller.ts"
import { addressOf, downloadUrl, list, queryUser, renew, tokenOf } from "./wopanCaller.ts"

const wopan = (fault: object) => setFault({ provider: "wopan", ...fault })

/** One call of each kind that an account makes. */
const calls = {
  list: ({ access }: Token) => list(access),
  user: ({ access }: Token) => queryUser(access),
  download: ({ access }: Token) => downloadUrl(access, "none"),
  refresh: ({ refresh }: Token) => renew(refresh)
} as const

interface Token {
  readonly access: string
  readonly refresh: string
}

const names = ["list", "user", "download", "refresh"] as const

describe("wopanFault: an answer in place of the real one", () => {
  const answers = [
    [{ kind: "rate_limit", retryAfter: 7 }, 429, undefined],
    [{ kind: "server_error" }, 500, undefined],
    [{ kind: "server_error", status: 503, retryAfter: "soon" }, 503, undefined],
    [{ kind: "unauthorized" }, 401, undefined],
    [{ kind: "html" }, 200, undefined],
    [{ kind: "malformed" }, 200, undefined],
    [{ kind: "expired" }, 200, "9999"],
    [{ kind: "system_error" }, 200, "9999"],
    [{ kind: "system_error", message: "busy" }, 200, "9999"],
    [{ kind: "not_logged_in" }, 200, "1001"],
    [{ kind: "rsp_code", code: "6006", message: "captcha" }, 200, "6006"]
  ] as const

  for (const [fault, status, code] of answers) {
    it.effect(`${JSON.stringify(fault)} strikes each kind of call once, and is counted`, () =>
      Effect.gen(function* () {
        const token = yield* tokenOf(0)
        for (const call of names) {
          yield* wopan({ call, ...fault })
          const answer = yield* calls[call](token)
          assert.deepStrictEqual([answer.status, answer.code], [status, code], call)
          if (code === undefined) assert.isUndefined(answer.json)
          else assert.strictEqual(answer.data, "")
          if ("message" in fault) assert.strictEqual(answer.reason, fault.message)
          if ("retryAfter" in fault) assert.strictEqual(answer.headers["retry-after"], `${fault.retryAfter}`)
          assert.strictEqual(
            answer.headers["content-type"]?.includes("json"),
            code !== undefined || fault.kind === "malformed"
          )
        }
        const counted = at(yield* stats, "wopan")
        for (const call of names) {
          const byCode = code === undefined ? {} : { [code]: 1 }
          assert.deepInclude(at(counted, call), { total: 1, byStatus: { [status]: 1 }, byCode })
        }
        assert.strictEqual((yield* list(token.access)).code, "0000")
      }).pipe(withSandbox())
    )
  }

  it.effect("bad_cipher is a success that the caller cannot read", () =>
    Effect.gen(function* () {
      const token = yield* tokenOf(0)
      for (const call of ["list", "user", "download"] as const) {
        yield* wopan({ call, kind: "bad_cipher" })
        const answer = yield* calls[call](token)
        assert.deepStrictEqual([answer.code, answer.data], ["0000", undefined], call)
        assert.match(text(answer.json, "RSP", "DATA"), /^[A-Za-z0-9+/]+={0,2}$/)
      }
    }).pipe(withSandbox())
  )

  it.effect("refresh_rejected leaves the tokens as they are", () =>
    Effect.gen(function* () {
      const { access, refresh } = yield* tokenOf(0)
      yield* wopan({ call: "refresh", kind: "refresh_rejected" })
      assert.strictEqual((yield* renew(refresh)).code, "8005")
      assert.strictEqual((yield* list(access)).code, "0000")
      assert.strictEqual((yield* renew(refresh)).code, "0000")
    }).pipe(withSandbox())
  )

  it.effect("reset breaks the connection of each kind of call", () =>
    Effect.gen(function* () {
      const token = yield* tokenOf(0)
      for (const call of names) {
        yield* wopan({ call, kind: "reset" })
        assert.isTrue(yield* Effect.isFailure(calls[call](token)), call)
      }
      const counted = at(yield* stats, "wopan", "refresh")
      assert.deepInclude(counted, { total: 1, byStatus: { none: 1 }, aborted: 0, open: 0 })
      assert.strictEqual((yield* renew(token.refresh)).code, "0000")
    }).pipe(withSandbox())
  )

  it.effect("silence answers nothing until the client leaves, which is counted as its leaving", () =>
    Effect.gen(function* () {
      const token = yield* tokenOf(0)
      for (const call of names) {
        yield* wopan({ call, kind: "silence" })
        const waiting = yield* Effect.forkChild(calls[call](token))
        const waits = yield* eventually(stats, (counted) => at(counted, "wopan", call, "open") === 1)
        assert.strictEqual(at(waits, "open"), 1)
        yield* Fiber.interrupt(waiting)
        yield* eventually(stats, (counted) => at(counted, "wopan", call, "open") === 0)
      }
      const counted = yield* stats
      assert.deepInclude(at(counted, "wopan", "list"), { total: 1, byStatus: { none: 1 }, aborted: 1 })
      assert.deepStrictEqual([at(counted, "open"), at(counted, "aborted")], [0, names.length])
    }).pipe(withSandbox())
  )

  it.effect("slow answers as always, when its delay is over", () =>
    Effect.gen(function* () {
      const { access } = yield* tokenOf(0)
      yield* wopan({ call: "list", kind: "slow", delay: "1 hour" })
      const waiting = yield* Effect.forkChild(list(access))
      yield* eventually(stats, (counted) => at(counted, "wopan", "list", "open") === 1)
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* Fiber.join(waiting)).code, "0000")
    }).pipe(withSandbox())
  )
})

describe("wopanFault: what it strikes", () => {
  it.effect("is the calls of one account where it names one, renewals and void tokens as well", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* tokenOf(0), yield* tokenOf(1)]
      for (const call of names) {
        yield* wopan({ call, kind: "rsp_code", code: "7777", account: "account-2", times: null })
        assert.notStrictEqual((yield* calls[call](one)).code, "7777", call)
        assert.strictEqual((yield* calls[call](two)).code, "7777", call)
      }
      const renewed = (yield* tokenOf(0)).refresh
      assert.strictEqual((yield* renew(renewed)).code, "8005")
      assert.strictEqual((yield* calls.list(two)).code, "7777")
    }).pipe(withSandbox())
  )

  it.effect("is as many calls as it is told, after those that it is to let pass, and for as long as it lasts", () =>
    Effect.gen(function* () {
      const { access } = yield* tokenOf(0)
      const codes = (count: number) =>
        Effect.map(
          Effect.forEach(Array.from({ length: count }), () => list(access)),
          (all) => all.map(({ code }) => code)
        )
      yield* wopan({ call: "list", kind: "expired", skip: 1, times: 2 })
      assert.deepStrictEqual(yield* codes(4), ["0000", "9999", "9999", "0000"])
      yield* wopan({ call: "list", kind: "not_logged_in", for: "1 minute" })
      assert.deepStrictEqual(yield* codes(2), ["1001", "1001"])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* codes(1), ["0000"])
      yield* wopan({ call: "user", kind: "expired" })
      assert.deepStrictEqual(yield* codes(1), ["0000"])
    }).pipe(withSandbox())
  )

  it.effect("is refused when it could never strike, or a field would change nothing, by that field", () =>
    Effect.gen(function* () {
      for (const [fault, field] of [
        [{ call: "list", kind: "refresh_rejected" }, "kind"],
        [{ call: "refresh", kind: "bad_cipher" }, "kind"],
        [{ call: "content", kind: "expired" }, "kind"],
        [{ call: "content", kind: "html", account: "account-1" }, "account"],
        [{ call: "login", kind: "html", account: "account-1" }, "account"],
        [{ call: "list", kind: "html", status: 500 }, "status"],
        [{ call: "list", kind: "server_error", status: 404 }, "status"],
        [{ call: "list", kind: "expired", code: "1" }, "code"],
        [{ call: "list", kind: "rsp_code", code: "123456789" }, "code"],
        [{ call: "list", kind: "html", model: "m" }, "model"],
        [{ call: "synthetic", kind: "html" }, "call"],
        [{ call: "list", kind: "synthetic" }, "kind"]
      ] as const) {
        const { json, status } = yield* wopan(fault)
        assert.deepStrictEqual([status, at(json, "error", "field")], [400, field], JSON.stringify(fault))
      }
      const set = yield* wopan({ call: "content", kind: "silence", for: "1 minute" })
      assert.deepInclude(at(set.json, "faults", 0), { provider: "wopan", call: "content", kind: "silence" })
    }).pipe(withSandbox())
  )

  it.effect("is nothing of another upstream's", () =>
    Effect.gen(function* () {
      const { access } = yield* tokenOf(0)
      yield* setFault([
        { call: "refresh", kind: "server_error", times: null },
        { provider: "nvidia", call: "chat", kind: "server_error", times: null }
      ])
      assert.strictEqual((yield* renew((yield* tokenOf(1)).refresh)).code, "0000")
      assert.isString(yield* addressOf(access, "readme.txt"))
    }).pipe(withSandbox())
  )
})
