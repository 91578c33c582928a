import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { sharedLimit, togetherWithin } from "../../src/pool/scope.ts"
import type { TokenRecord } from "../../src/pool/tokenState.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { after, quotaExhausted, report, succeeded, throttled } from "./records.ts"

const now = 60_000
const named = (record: TokenRecord, i: number): TokenRecord => ({ ...record, id: TokenId.make(`t${i}`) })

const Fate = Schema.Struct({
  hit: Schema.Literals(["no", "exhausted", "ours", "ours", "other"]),
  ago: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 * togetherWithin })),
  retryAfterMs: Schema.optionalKey(Schema.Literals([1_000, 30_000, 90_000]))
})
const Fates = Schema.Array(Fate).check(Schema.isMaxLength(10))

const recordOf = ({ ago, hit, retryAfterMs }: typeof Fate.Type): TokenRecord => {
  switch (hit) {
    case "no":
      return after([now - ago, report(succeeded)])
    case "exhausted":
      return after([now - ago, report(quotaExhausted(now + 1))])
    default:
      return after([now - ago, report(throttled(retryAfterMs, hit))])
  }
}

describe("sharedLimit", () => {
  it.prop(
    "says what counting by hand says",
    [Fates],
    ([fates]) => {
      const limit = sharedLimit(fates.map(recordOf).map(named), "ours", now)
      const isHit = (fate: typeof Fate.Type) => fate.hit === "ours" && fate.ago <= togetherWithin
      const isOver = ({ ago, retryAfterMs }: typeof Fate.Type) => retryAfterMs !== undefined && retryAfterMs <= ago
      const hit = fates.filter(isHit)
      const spared = fates.filter(
        (fate) => !isHit(fate) && (fate.hit === "no" || ((fate.hit === "ours" || fate.hit === "other") && isOver(fate)))
      )
      assert.strictEqual(limit !== undefined, hit.length >= 2 && 2 * hit.length >= hit.length + spared.length)
      if (limit === undefined) return
      assert.deepStrictEqual(
        limit.tokens.map(String),
        fates.flatMap((fate, i) => (isHit(fate) ? [`t${i}`] : []))
      )
      const ends = hit.flatMap(({ ago, retryAfterMs }) =>
        retryAfterMs === undefined ? [] : [now - ago + retryAfterMs]
      )
      const latest = Math.max(...ends, now)
      assert.strictEqual(limit.until, latest > now ? latest : undefined)
    },
    { arbitrary: { runs: 2_000 } }
  )

  it("ten seconds apart is together, a millisecond more is not", () => {
    const pair = (ago: number) =>
      [after([now - ago, report(throttled(90_000))]), after([now, report(throttled())])].map(named)
    assert.isDefined(sharedLimit(pair(10_000), "limit", now))
    assert.isUndefined(sharedLimit(pair(10_001), "limit", now))
  })
})
