import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { withheld } from "../../src/manager/errorText.ts"
import type { LeaseUnknown, TokenNotHeld } from "../../src/manager/TokenManager.ts"
import { Renewer } from "../../src/pool/Renewer.ts"
import * as Sqlite from "../../src/store/Sqlite.ts"
import { Store, StoreUnavailable } from "../../src/store/Store.ts"
import { Vault } from "../../src/store/Vault.ts"
import { counted, secretOf, start, world } from "./managers.ts"

class Folder extends Context.Service<Folder, string>()("test/Folder") {}

const refused = (error: LeaseUnknown | TokenNotHeld) => (error._tag === "LeaseUnknown" ? error.reason : error._tag)

describe("a lease", () => {
  it.effect("lends the token with what is needed to report, and counts the report for it", () =>
    Effect.gen(function* () {
      const { add, get, leased, report } = yield* start()
      const { id } = yield* add("a")
      const lent = yield* get()
      assert.strictEqual(Redacted.value(lent.access), "synthetic-token-a")
      assert.deepInclude(lent, { id, name: "a", provider: "wopan", accessExpiresAt: undefined })
      assert.strictEqual(lent.leaseExpiresAt, 600_000)
      assert.notInclude(lent.lease, "synthetic")
      assert.strictEqual(yield* leased, 1)
      const reported = yield* report({ lease: lent.lease })
      assert.deepInclude(reported, { id, succeeded: 1, failed: 0, leased: 0, state: "active", isActive: true })
    }).pipe(Effect.provide(world))
  )

  it.effect("counts once", () =>
    Effect.gen(function* () {
      const process = yield* start()
      yield* process.add("a")
      const { lease } = yield* process.get()
      yield* process.report({ lease })
      assert.strictEqual(refused(yield* Effect.flip(process.report({ lease, outcome: "failed" }))), "reported")
      assert.strictEqual(yield* counted(process), 1)
    }).pipe(Effect.provide(world))
  )

  it.effect("is reported by its borrower alone, and only as it was given", () =>
    Effect.gen(function* () {
      const { add, get, report } = yield* start()
      yield* add("a")
      const { lease } = yield* get("alice")
      assert.strictEqual(refused(yield* Effect.flip(report({ lease, caller: "mallory" }))), "unknown")
      for (const forged of [
        "",
        "nonsense",
        `x${lease}`,
        lease.slice(0, -4),
        lease.replace("v1.", "v1.A"),
        "v1.AAAA.AAAA"
      ]) {
        assert.strictEqual(refused(yield* Effect.flip(report({ lease: forged }))), "unknown")
      }
      yield* report({ lease })
    }).pipe(Effect.provide(world))
  )

  it.effect("that is not reported in time is given back without a word, and a report of it counts no more", () =>
    Effect.gen(function* () {
      const process = yield* start({ leaseFor: "1 minute" })
      yield* process.add("a")
      const first = yield* process.get()
      yield* TestClock.adjust("30 seconds")
      const second = yield* process.get()
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual(yield* process.leased, 2)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* process.leased, 1)
      assert.strictEqual(refused(yield* Effect.flip(process.report({ lease: first.lease }))), "expired")
      yield* process.report({ lease: second.lease })
      assert.strictEqual(yield* counted(process), 1)
      const third = yield* process.get()
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* process.leased, 0)
      assert.strictEqual(refused(yield* Effect.flip(process.report({ lease: third.lease }))), "expired")
    }).pipe(Effect.provide(world))
  )

  it.effect("is given back when the manager ends, and when who asks for it leaves before it has one", () =>
    Effect.gen(function* () {
      const lasting = yield* start()
      yield* lasting.add("a")
      const { manager, stop } = yield* start()
      yield* manager.get({ provider: "wopan", strategy: "best", caller: "alice" })
      yield* stop
      const exit = yield* Effect.exit(Effect.andThen(Effect.interrupt, lasting.get()))
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(yield* lasting.leased, 0)
    }).pipe(Effect.provide(world))
  )

  it.effect("beyond ten thousand open ones the oldest token is given back, and its report still counts", () =>
    Effect.gen(function* () {
      const process = yield* start()
      yield* process.add("a")
      const first = yield* process.get()
      yield* Effect.forEach(Array.from({ length: 10_000 }), () => process.get(), { discard: true })
      assert.strictEqual(yield* process.leased, 10_000)
      assert.deepInclude(yield* process.report({ lease: first.lease }), { succeeded: 1, leased: 10_000 })
    }).pipe(Effect.provide(world))
  )

  it.effect("of a provider that is not there, or has no usable token, is refused", () =>
    Effect.gen(function* () {
      const { get, manager } = yield* start()
      const unknown = yield* Effect.flip(manager.get({ provider: "nowhere", strategy: "best", caller: "alice" }))
      assert.strictEqual(unknown.message, "provider: there is no nowhere; there are wopan, warp")
      assert.strictEqual((yield* Effect.flip(get()))._tag, "NoTokenUsable")
    }).pipe(Effect.provide(world))
  )
})

describe("a report without a lease", () => {
  it.effect("is of the caller's oldest open lease of that token", () =>
    Effect.gen(function* () {
      const process = yield* start()
      yield* process.add("a")
      const first = yield* process.get()
      const second = yield* process.get()
      yield* process.report({ token: secretOf("a"), provider: "wopan" })
      assert.strictEqual(refused(yield* Effect.flip(process.report({ lease: first.lease }))), "reported")
      yield* process.report({ lease: second.lease })
      const none = yield* Effect.flip(process.report({ token: secretOf("a"), provider: "wopan" }))
      assert.strictEqual(refused(none), "none")
      assert.strictEqual(yield* counted(process), 2)
    }).pipe(Effect.provide(world))
  )

  it.effect("is refused for a token that another borrowed, and for one that is not held", () =>
    Effect.gen(function* () {
      const { add, get, report } = yield* start()
      yield* add("a")
      yield* get("alice")
      assert.strictEqual(refused(yield* Effect.flip(report({ token: secretOf("a"), caller: "bob" }))), "none")
      assert.strictEqual(refused(yield* Effect.flip(report({ token: secretOf("b") }))), "TokenNotHeld")
      assert.strictEqual(refused(yield* Effect.flip(report({}))), "none")
      yield* report({ token: secretOf("a"), caller: "alice" })
    }).pipe(Effect.provide(world))
  )

  it.effect("passes over leases that another process has had reported, or that have run out", () =>
    Effect.gen(function* () {
      const [here, there] = [yield* start({ leaseFor: "1 minute" }), yield* start({ leaseFor: "1 minute" })]
      yield* here.add("a")
      yield* there.pool.sync
      yield* here.get()
      yield* TestClock.adjust("40 seconds")
      const second = yield* here.get()
      yield* here.get()
      yield* there.report({ lease: second.lease })
      yield* TestClock.setTime(60_000)
      yield* here.report({ token: secretOf("a") })
      assert.strictEqual(refused(yield* Effect.flip(here.report({ token: secretOf("a") }))), "none")
      yield* there.pool.sync
      assert.strictEqual(yield* counted(here), 2)
      assert.strictEqual(yield* here.leased, 0)
    }).pipe(Effect.provide(world))
  )

  it.effect("is of the lease that had this very secret, before one of the token's earlier secrets", () =>
    Effect.gen(function* () {
      const process = yield* start()
      yield* process.add("a")
      const before = yield* process.get()
      yield* process.pool.add({
        provider: "wopan",
        name: "a",
        kind: "shared",
        credential: { access: Redacted.make("synthetic-new") }
      })
      yield* process.get()
      // Says nothing of the secret that came after.
      yield* process.report({ token: before.access, outcome: "unauthorized" })
      const [token] = yield* process.manager.list("wopan")
      assert.deepInclude(token, { state: "active", failed: 0, leased: 1 })
      yield* process.report({ token: Redacted.make("synthetic-new"), outcome: "unauthorized" })
      assert.deepInclude((yield* process.manager.list("wopan"))[0], { state: "cooling", failed: 1, leased: 0 })
    }).pipe(Effect.provide(world))
  )
})

describe("what is reported", () => {
  it.effect("moves the token as a call of ours does", () =>
    Effect.gen(function* () {
      const { add, get, report } = yield* start()
      for (const [outcome, state] of [
        ["succeeded", "active"],
        ["failed", "active"],
        ["upstream_fault", "active"],
        ["quota_exhausted", "exhausted"],
        ["unauthorized", "cooling"],
        ["rate_limited", "cooling"]
      ] as const) {
        const { id } = yield* add(outcome)
        let lent = yield* get()
        while (lent.id !== id) lent = yield* get()
        const reported = yield* report({ lease: lent.lease, outcome, retryAfterMs: 7_000 })
        assert.deepInclude(reported, { id, state, isActive: state === "active" }, outcome)
      }
    }).pipe(Effect.provide(world))
  )

  it.effect(
    "disables a token after more than five errors and less than half successes, and a success brings it back",
    () =>
      Effect.gen(function* () {
        const { add, get, report } = yield* start()
        yield* add("a")
        for (let i = 0; i < 5; i++) {
          const { lease } = yield* get()
          assert.strictEqual((yield* report({ lease, outcome: "failed" })).state, "active")
        }
        const { lease } = yield* get()
        assert.strictEqual((yield* report({ lease, outcome: "failed" })).state, "disabled")
        assert.strictEqual((yield* Effect.flip(get()))._tag, "NoTokenUsable")
        yield* TestClock.adjust("30 seconds")
        const probe = yield* get()
        assert.strictEqual((yield* Effect.flip(get()))._tag, "NoTokenUsable")
        assert.strictEqual((yield* report({ lease: probe.lease })).state, "active")
      }).pipe(Effect.provide(world))
  )

  it.effect("shows the error that was told, and nothing of one that holds the token", () =>
    Effect.gen(function* () {
      const { add, get, manager, pool, report } = yield* start()
      yield* add("a")
      const say = Effect.fnUntraced(function* (error: string | undefined) {
        const { lease } = yield* get()
        return (yield* report({ lease, outcome: "failed", error })).lastError
      })
      assert.strictEqual(yield* say("连接\u0000失败"), "连接 失败")
      assert.strictEqual(yield* say(undefined), "a call failed")
      assert.strictEqual(yield* say("refused synthetic-token-a"), withheld)
      yield* pool.sync
      assert.strictEqual((yield* manager.list("wopan"))[0]?.lastError, withheld)
    }).pipe(Effect.provide(world))
  )
})

describe("two processes on one store", () => {
  it.effect("take the reports of each other's leases, each once", () =>
    Effect.gen(function* () {
      const [here, there] = [yield* start(), yield* start()]
      yield* here.add("a")
      yield* there.pool.sync
      const { lease } = yield* here.get()
      assert.deepInclude(yield* there.report({ lease, outcome: "failed", error: "cut" }), {
        failed: 1,
        lastError: "cut"
      })
      assert.strictEqual(refused(yield* Effect.flip(here.report({ lease }))), "reported")
      assert.strictEqual(yield* here.leased, 0)
      yield* there.pool.sync
      assert.strictEqual(yield* counted(here), 1)
    }).pipe(Effect.provide(world))
  )

  it.effect("honour a probe that the other lent", () =>
    Effect.gen(function* () {
      const [here, there] = [yield* start(), yield* start()]
      yield* here.add("a")
      for (let i = 0; i < 6; i++) {
        const { lease } = yield* here.get()
        yield* here.report({ lease, outcome: "failed" })
      }
      yield* TestClock.adjust("30 seconds")
      const probe = yield* here.get()
      yield* there.pool.sync
      assert.strictEqual((yield* there.report({ lease: probe.lease })).state, "active")
      yield* there.pool.sync
      yield* here.pool.sync
      assert.strictEqual((yield* here.get()).name, "a")
    }).pipe(Effect.provide(world))
  )
})

describe("a report while the store", () => {
  /** A store that takes no word of which leases were reported. */
  const troubled = (trouble: Effect.Effect<never, StoreUnavailable>) =>
    Effect.gen(function* () {
      const store = yield* Store
      const state = { isTroubled: false }
      const through = <A>(effect: Effect.Effect<A, StoreUnavailable>) =>
        Effect.suspend(() => (state.isTroubled ? trouble : effect))
      return {
        state,
        store: Store.of({
          ...store,
          modify: (collection, key, change) => {
            const changed = store.modify(collection, key, change)
            return collection.name === "reported_lease" ? through(changed) : changed
          }
        })
      }
    })

  it.effect("fails counts once as far as this process knows, and the store is told later", () =>
    Effect.gen(function* () {
      const { state, store } = yield* troubled(
        Effect.fail(new StoreUnavailable({ operation: "write", detail: "synthetic" }))
      )
      const here = yield* start().pipe(Effect.provideService(Store, store))
      yield* here.add("a")
      const { lease } = yield* here.get()
      state.isTroubled = true
      assert.strictEqual((yield* here.report({ lease })).succeeded, 1)
      assert.strictEqual(refused(yield* Effect.flip(here.report({ lease }))), "reported")
      state.isTroubled = false
      yield* TestClock.adjust("30 seconds")
      const there = yield* start()
      assert.strictEqual(refused(yield* Effect.flip(there.report({ lease }))), "reported")
    }).pipe(Effect.provide(world))
  )

  it.effect("does not answer waits two seconds for it, also when nobody waits for the report", () =>
    Effect.gen(function* () {
      const { state, store } = yield* troubled(Effect.never)
      const here = yield* start().pipe(Effect.provideService(Store, store))
      yield* here.add("a")
      const { lease } = yield* here.get()
      state.isTroubled = true
      const fiber = yield* Effect.forkChild(here.report({ lease }), { startImmediately: true })
      const leaving = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual((yield* here.manager.list("wopan"))[0]?.succeeded, 0)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(leaving)
      assert.strictEqual((yield* here.manager.list("wopan"))[0]?.succeeded, 1)
      state.isTroubled = false
    }).pipe(Effect.provide(world))
  )
})

describe("after a restart", () => {
  const folder = Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "weirgate-test-"))),
    (dir) => Effect.sync(() => rmSync(dir, { recursive: true }))
  )
  const durable = Layer.unwrap(
    Effect.map(folder, (dir) => {
      const key = Redacted.make("5a".repeat(32))
      return Vault.layerKey(key, "test").pipe(
        Layer.provideMerge(Sqlite.layer(join(dir, "weirgate.db"))),
        Layer.merge(Renewer.layerNone),
        Layer.merge(Layer.succeed(Folder, dir))
      )
    })
  )

  it.effect("leases of before are honoured, each once, and no byte of a token lies on the disk", () =>
    Effect.gen(function* () {
      const before = yield* start()
      yield* before.add("a")
      const [open, reported] = [yield* before.get(), yield* before.get()]
      yield* before.report({ lease: reported.lease })
      yield* before.stop
      const after = yield* start()
      assert.strictEqual(refused(yield* Effect.flip(after.report({ lease: reported.lease }))), "reported")
      yield* after.report({ lease: open.lease, outcome: "failed", error: "synthetic-token-a" })
      assert.strictEqual(refused(yield* Effect.flip(after.report({ lease: open.lease }))), "reported")
      assert.strictEqual(yield* counted(after), 2)
      const dir = yield* Folder
      for (const name of readdirSync(dir)) {
        assert.notInclude(readFileSync(join(dir, name)).toString("latin1"), "synthetic-token", name)
      }
    }).pipe(Effect.provide(durable))
  )
})
