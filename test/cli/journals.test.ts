import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Audit } from "../../src/access/Audit.ts"
import { type Decision } from "../../src/acquisition/decision.ts"
import { journal } from "../../src/acquisition/decisions.ts"
import * as kept from "../../src/cli/journals.ts"
import { alertJournal, alertRecords } from "../../src/monitoring/alertState.ts"
import { Store } from "../../src/store/Store.ts"

const stored = Audit.layer.pipe(Layer.provideMerge(Store.layerMemory))

const decision = (at: number, provider: string): Decision => ({
  at,
  provider,
  caller: "a\u001b[31m\u202e\nforged line",
  errorContext: "",
  step: "policy",
  answer: "denied",
  reason: `reason ${at}`,
  retryAfterMs: 90_000,
  inputs: {}
})

describe("what is kept, shown", () => {
  it.effect("is the newest of the provider that is asked for, and none of it commands the terminal", () =>
    Effect.gen(function* () {
      yield* Store.use((store) =>
        store.append(journal, [decision(1, "warp"), decision(2, "other"), decision(3, "warp"), decision(4, "warp")])
      )
      const wanted = { limit: 2, provider: "warp" }
      const text = yield* kept.decisions({ ...wanted, json: false })
      const lines = text.split("\n")
      assert.strictEqual(lines.length, 4)
      assert.match(
        lines[2] ?? "",
        /^1970-01-01 00:00:00 +warp +a \[31m forged line +policy +denied +reason 4 +after 1m 30s$/
      )
      assert.include(lines[3], "reason 3")
      const written = yield* kept.decisions({ ...wanted, json: true })
      assert.notMatch(written, /[^\P{C}\n]/u)
      assert.deepStrictEqual(JSON.parse(written), { decisions: [decision(4, "warp"), decision(3, "warp")] })
      assert.strictEqual(yield* kept.decisions({ limit: 5, provider: "nowhere", json: false }), "(none)")
    }).pipe(Effect.provide(stored))
  )

  it.effect("has the alerts that hold now apart from what was told", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(120_000)
      const of = { rule: "provider_down", since: 60_000, message: "warp is down", values: { targets: 1 } } as const
      const [down, gone] = [
        { ...of, id: "provider_down:warp", subject: "warp" },
        { ...of, id: "provider_down:b", subject: "b" }
      ]
      yield* Store.use((store) =>
        Effect.gen(function* () {
          yield* store.append(alertJournal, [{ ...gone, event: "recovered", at: 61_000 }])
          yield* store.transact((all) => {
            all.set(alertRecords, down.id, { ...down, firedAt: 90_000, heldAt: 110_000, heldBy: "p" })
            all.set(alertRecords, gone.id, { ...gone, heldAt: 110_000, heldBy: "p" })
          })
        })
      )
      const { active, recent } = JSON.parse(yield* kept.alerts({ limit: 5, json: true }))
      assert.deepStrictEqual(active, [{ ...down, fired_at: 90_000 }])
      assert.deepStrictEqual(recent, [{ ...gone, event: "recovered", at: 61_000 }])
      const text = yield* kept.alerts({ limit: 5, json: false })
      assert.match(text, /^1m ago +provider_down +warp is down$/m)
      assert.match(text, /^1970-01-01 00:01:01 +recovered +provider_down +warp is down$/m)
    }).pipe(Effect.provide(stored))
  )
})
