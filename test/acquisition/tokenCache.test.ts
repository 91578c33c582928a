import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as cache from "../../src/acquisition/tokenCache.ts"
import { TokenId } from "../../src/domain/Token.ts"

const rules = { timeToLive: 3_600_000, capacity: 3 }
const key = (context: string): cache.CacheKey => ({ provider: "warp", kind: "anonymous", context })
const entry = (context: string, cachedAt = 0, expiresAt?: number): cache.Entry => ({
  ...key(context),
  token: TokenId.make(`token-${context}`),
  cachedAt,
  ...(expiresAt !== undefined && { expiresAt })
})
const filled = (...contexts: ReadonlyArray<string>) =>
  contexts.reduce((current, context) => cache.put(current, entry(context), rules), cache.empty)
const contexts = ({ entries }: cache.Entries) => entries.map(({ context }) => context)

describe("token cache", () => {
  it("finds a token for 3600 seconds, and not a millisecond longer", () => {
    const current = filled("a")
    assert.isDefined(cache.find(current, key("a"), 3_599_999, rules))
    assert.isUndefined(cache.find(current, key("a"), 3_600_000, rules))
  })

  it("finds a token until its own secret ends", () => {
    const current = cache.put(cache.empty, entry("a", 0, 1_000), rules)
    assert.isDefined(cache.find(current, key("a"), 999, rules))
    assert.isUndefined(cache.find(current, key("a"), 1_000, rules))
  })

  it("gives a token no longer life when the clock jumps back", () => {
    const current = cache.put(cache.empty, entry("a", 7_200_000), rules)
    assert.isUndefined(cache.find(current, key("a"), 3_600_000, rules))
  })

  it("lets the least recently used go when it is full", () => {
    const used = cache.touch(filled("a", "b", "c"), key("a"))
    assert.deepStrictEqual(contexts(cache.put(used, entry("d"), rules)), ["c", "a", "d"])
  })

  it("holds one token for a need, the newest", () => {
    assert.deepStrictEqual(contexts(filled("a", "b", "a")), ["b", "a"])
  })

  it("sweeps what has ended and removes what is named, and leaves the record alone when there is nothing to do", () => {
    const current = cache.put(filled("a"), entry("b", 0, 10), rules)
    assert.deepStrictEqual(contexts(cache.sweep(current, 10, rules)), ["a"])
    assert.deepStrictEqual(contexts(cache.remove(current, TokenId.make("token-a"))), ["b"])
    assert.strictEqual(cache.sweep(current, 9, rules), current)
    assert.strictEqual(cache.remove(current, TokenId.make("other")), current)
    assert.strictEqual(cache.touch(current, key("b")), current)
  })

  const step = Schema.Struct({
    context: Schema.Literals(["a", "b", "c", "d", "e"]),
    put: Schema.Boolean,
    wait: Schema.Literals([0, 1, 1_800_000, 3_599_999])
  })
  it.effect.prop(
    "agrees with a naive list of who was used last, over any history",
    [Schema.Array(step)],
    ([history]) =>
      Effect.sync(() => {
        let now = 0
        let current = cache.empty
        let naive: ReadonlyArray<readonly [string, number]> = []
        for (const { context, put, wait } of history) {
          now += wait
          const known = naive.find(([name, at]) => name === context && now - at < rules.timeToLive)
          if (put) {
            current = cache.put(current, entry(context, now), rules)
            naive = [...naive.filter(([name]) => name !== context), [context, now] as const].slice(-rules.capacity)
          } else {
            const found = cache.find(current, key(context), now, rules)
            assert.strictEqual(found?.cachedAt, known?.[1])
            if (known === undefined) continue
            current = cache.touch(current, key(context))
            naive = [...naive.filter(([name]) => name !== context), known]
          }
          assert.isAtMost(current.entries.length, rules.capacity)
        }
      }),
    { timeout: 60_000, arbitrary: { runs: 1_000, size: 40 } }
  )
})
