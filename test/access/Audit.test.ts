import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { Audit, AuditEntry } from "../../src/access/Audit.ts"
import { Store } from "../../src/store/Store.ts"
import { watched } from "./stores.ts"

const audit = Audit.layer.pipe(Layer.provideMerge(Store.layerMemory))

describe("Audit", () => {
  it.effect("keeps who did what to what and when, newest first", () =>
    Effect.gen(function* () {
      const { recent, record } = yield* Audit
      yield* record({ actor: "command line", action: "key.create", subject: "ada", result: "done" })
      yield* TestClock.setTime(7)
      yield* record({
        actor: "console",
        address: "192.0.2.1",
        action: "login",
        subject: "console",
        result: "refused",
        detail: "why"
      })
      assert.deepStrictEqual(yield* recent(10), [
        {
          at: 7,
          actor: "console",
          address: "192.0.2.1",
          action: "login",
          subject: "console",
          result: "refused",
          detail: "why"
        },
        { at: 0, actor: "command line", action: "key.create", subject: "ada", result: "done" }
      ])
      assert.strictEqual((yield* recent(1)).length, 1)
      const lines = JSON.stringify(yield* TestConsole.logLines)
      assert.match(lines, /login console: refused/)
      assert.match(lines, /Audit/)
    }).pipe(Effect.provide(audit))
  )

  it.effect("keeps the newest ten thousand", () =>
    Effect.gen(function* () {
      const { recent, record } = yield* Audit
      const store = yield* Store
      const journal = { name: "audit", schema: AuditEntry, keep: 10_000 }
      const old = { at: 0, actor: "a", action: "b", subject: "old", result: "done" as const }
      yield* store.append(
        journal,
        Array.from({ length: 10_000 }, () => old)
      )
      yield* record({ actor: "console", action: "login", subject: "new", result: "done" })
      const all = yield* recent(20_000)
      assert.strictEqual(all.length, 10_000)
      assert.strictEqual(all[0]?.subject, "new")
    }).pipe(Effect.provide(audit))
  )

  it.effect("cuts what a caller has chosen to 200 characters in one line", () =>
    Effect.gen(function* () {
      const { recent, record } = yield* Audit
      yield* record({
        actor: "console",
        action: "token.add",
        subject: `a\r\nINFO forged\u2028line\u001b[31m${"\u{1f511}".repeat(300)}`,
        result: "done",
        detail: "x".repeat(100_000)
      })
      const [entry] = yield* recent(1)
      assert.strictEqual(Array.from(entry?.subject ?? "").length, 200)
      assert.notMatch(entry?.subject ?? "", /\p{C}|\p{Zl}/u)
      assert.isTrue(entry?.subject.isWellFormed())
      assert.strictEqual(entry?.detail, "x".repeat(200))
    }).pipe(Effect.provide(audit))
  )

  it.effect("counts by action and result, and by nothing that a caller has chosen", () =>
    Effect.gen(function* () {
      const { record } = yield* Audit
      const entry = { actor: "somebody", address: "192.0.2.77", action: "key.revoke", subject: "a name" }
      yield* record({ ...entry, result: "done" })
      yield* record({ ...entry, subject: "another", result: "done" })
      yield* record({ ...entry, result: "refused" })
      const counted = (yield* Metric.snapshot).filter(
        ({ attributes, id }) => id === "weirgate_audit_entries_total" && attributes?.["action"] === "key.revoke"
      )
      assert.deepStrictEqual(
        counted
          .map(({ attributes }) => attributes)
          .toSorted((a, b) => String(a?.["result"]).localeCompare(String(b?.["result"]))),
        [
          { action: "key.revoke", result: "done" },
          { action: "key.revoke", result: "refused" }
        ]
      )
    }).pipe(Effect.provide(audit), Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("is in the log when the store fails, and fails nobody", () =>
    Effect.gen(function* () {
      const seen = yield* watched
      seen.isAway = true
      yield* Audit.use(({ record }) =>
        record({ actor: "console", action: "token.remove", subject: "mine", result: "done" })
      ).pipe(Effect.provide(Audit.layer.pipe(Layer.provide(Layer.succeed(Store, seen.store)))))
      const lines = JSON.stringify(yield* TestConsole.logLines)
      assert.match(lines, /not kept, only logged/)
      assert.match(lines, /token\.remove/)
    }).pipe(Effect.provide(Store.layerMemory))
  )
})
