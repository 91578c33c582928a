import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Renewer } from "../../src/pool/Renewer.ts"
import { TokenPool } from "../../src/pool/TokenPool.ts"
import * as Sqlite from "../../src/store/Sqlite.ts"
import { Vault } from "../../src/store/Vault.ts"
import { ScriptedWarp } from "../../src/testing/ScriptedWarp.ts"
import { add, call, callWith, renewable, stateOf } from "./pools.ts"
import { hour, quotaExhausted, succeeded, throttled } from "./records.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "weirgate-pool-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A process of its own on that file: what is in its memory is gone when it ends. */
const running = (file: string, key: string) => {
  const vault = Vault.layerKey(Redacted.make(key), "the test")
  return Effect.provide(
    Layer.fresh(
      TokenPool.layer.pipe(Layer.provide(Renewer.layerWarp), Layer.provide(vault), Layer.provide(Sqlite.layer(file)))
    )
  )
}

describe("a pool on SQLite", () => {
  it.effect("knows after a restart the states, statistics, limits and secrets of its tokens", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const file = join(path, "weirgate.db")
      const key = "0".repeat(64)
      const before = yield* Effect.gen(function* () {
        const pool = yield* TokenPool
        const names = ["exhausted", "cooling", "dead", "disabled"]
        const [exhausted, cooling, dead, disabled] = yield* Effect.forEach(names, (name) => add(pool, name))
        yield* callWith(pool, exhausted!, quotaExhausted(2 * hour))
        yield* callWith(pool, dead!, { _tag: "Blocked", reason: "terms" })
        yield* pool.disable(disabled!, "by hand")
        yield* callWith(pool, cooling!, throttled(hour))
        const active = yield* add(pool, "active", "personal", renewable("active"))
        for (let i = 0; i < 3; i++) yield* callWith(pool, active, succeeded)
        yield* pool.noteQuota(active, { unlimited: false, limit: 10, used: 3 })
        return yield* Effect.forEach([exhausted!, cooling!, dead!, disabled!, active], pool.get)
      }).pipe(running(file, key))
      assert.deepStrictEqual(
        before.map(({ state }) => state._tag),
        ["exhausted", "cooling", "dead", "disabled", "active"]
      )
      assert.notInclude(readFileSync(file, "latin1"), "synthetic-")

      yield* Effect.gen(function* () {
        const pool = yield* TokenPool
        assert.deepStrictEqual(yield* Effect.forEach(before, ({ id }) => pool.get(id)), before)
        // Without a call to the upstream: the secret is the one that was renewed before.
        const lent = yield* call(pool, succeeded)
        assert.deepStrictEqual([lent.name, Redacted.value(lent.access)], ["active", "scripted-access-1"])
        const warp = yield* ScriptedWarp
        assert.strictEqual((yield* warp.calls).refresh, 1)
        // The upstream takes only the refresh secret that came with it.
        yield* TestClock.adjust(hour)
        const renewed = yield* callWith(pool, lent.id, succeeded)
        assert.strictEqual(Redacted.value(renewed.access), "scripted-access-2")
        assert.strictEqual((yield* stateOf(pool, before[1]!.id))._tag, "active")
      }).pipe(running(file, key))
    }).pipe(Effect.scoped, Effect.provide(ScriptedWarp.layer({ accessLifetime: "1 hour", rotating: true })))
  )
})
