/** A token whose upstream fails goes out of use and comes back, over sockets, with no hand involved. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { get, running, temporaryFolder } from "../support/running.ts"
import { eventually, keyOf, sandboxAt, send } from "../support/staged.ts"

interface Check {
  readonly at: number
  readonly token: string
  readonly ok: boolean
  readonly detail?: string
}

const stage = Effect.gen(function* () {
  const config = join(yield* temporaryFolder, "weirgate.json")
  // So that what takes minutes takes a second.
  const text = { health: { every: "200 millis" }, pool: { disableFor: { base: "400 millis", max: "800 millis" } } }
  writeFileSync(config, JSON.stringify(text))
  const server = yield* running({ WEIRGATE_CONFIG: config })
  const headers = yield* keyOf(server, "admin")
  const lend = Effect.map(get(`${server.url}/api/token/get`, headers), ({ json }) => json.data)
  const statistics = Effect.map(get(`${server.url}/api/token/stats`, headers), ({ json }) => json.data)
  const of = (name: string) =>
    Effect.map(statistics, ({ tokens }) => tokens.find((token: { name: string }) => token.name === name))
  return {
    sandbox: sandboxAt(server.sandbox),
    lend,
    statistics,
    of,
    report: (body: object) => send(`${server.url}/api/token/report`, "POST", headers, body),
    checksOf: Effect.fnUntraced(function* (name: string) {
      const { token } = yield* of(name)
      const { json } = yield* get(`${server.url}/api/admin/checks?limit=1000&token=${token}`, headers)
      for (const check of json.checks) assert.strictEqual(check.token, token)
      return json.checks as ReadonlyArray<Check>
    })
  }
})

const failing = { provider: "wopan", call: "user", account: "account-2", times: null }

describe("recovery", () => {
  for (const fault of ["server_error", "html", "reset"]) {
    it.live(`a token that fails its calls is disabled, checked and back after ${fault} is over`, () =>
      Effect.gen(function* () {
        const { checksOf, lend, of, report, sandbox, statistics } = yield* stage
        yield* sandbox.faults({ ...failing, kind: fault })
        const begun = (yield* checksOf("sandbox-2")).length
        for (let errors = 0; (yield* of("sandbox-2")).is_active === true; errors++) {
          assert.isBelow(errors, 8, "it is never disabled")
          const { lease } = yield* eventually(lend, ({ name }) => name === "sandbox-2", "never lent")
          const told = yield* report({ lease, success: false, error: "it answered 500" })
          assert.strictEqual(told.status, 200, told.text)
        }
        const disabled = yield* of("sandbox-2")
        assert.deepInclude(disabled, { is_active: false, state: "disabled" })
        assert.isAbove(disabled.error_count, 5)
        assert.strictEqual((yield* statistics).active_tokens, 1)
        for (let n = 0; n < 4; n++) assert.strictEqual((yield* lend).name, "sandbox-1")

        // Its time comes, and it is asked for, and not believed, again and again.
        const failed = (checks: ReadonlyArray<Check>) => checks.slice(0, checks.length - begun).filter(({ ok }) => !ok)
        yield* eventually(checksOf("sandbox-2"), (checks) => failed(checks).length >= 2, "its checks do not fail")
        const meanwhile = yield* of("sandbox-2")
        assert.isFalse(meanwhile.is_active)
        assert.isNotNull(meanwhile.last_check)
        assert.strictEqual(meanwhile.error_count, disabled.error_count, "checks are no calls")
        assert.strictEqual((yield* lend).name, "sandbox-1")

        yield* sandbox.faults()
        const back = yield* eventually(of("sandbox-2"), ({ is_active }) => is_active, "it does not come back")
        assert.strictEqual(back.state, "active")
        const [last, ...earlier] = yield* checksOf("sandbox-2")
        assert.isTrue(last?.ok)
        const why = earlier.find(({ ok }) => !ok)?.detail ?? ""
        assert.isNotEmpty(why)
        assert.deepStrictEqual(
          earlier.map(({ at }) => at),
          earlier.map(({ at }) => at).toSorted((a, b) => b - a),
          "newest first"
        )
        const { lease } = yield* eventually(lend, ({ name }) => name === "sandbox-2", "it is not lent again")
        assert.strictEqual((yield* report({ lease, success: true })).json.data.state, "active")
        // One failure more does not take it out of use again: those of before are over.
        const { lease: next } = yield* eventually(lend, ({ name }) => name === "sandbox-2", "it is not lent again")
        assert.strictEqual((yield* report({ lease: next, success: false })).json.data.state, "active")
      })
    )
  }
})
