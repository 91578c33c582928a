import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { priorityOf, TokenId, TokenKind } from "../../src/domain/Token.ts"
import { type Candidate, choose, proven, type Turn } from "../../src/pool/strategies.ts"

const Count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 }))
const Token = Schema.Struct({
  kind: TokenKind,
  createdAt: Count,
  lastUsedAt: Schema.optionalKey(Count),
  succeeded: Count,
  failed: Count,
  probe: Schema.Boolean
})
const Tokens = Schema.Array(Token).check(Schema.isMinLength(1), Schema.isMaxLength(12))

const candidatesOf = (tokens: typeof Tokens.Type): ReadonlyArray<Candidate> =>
  tokens.map(({ probe, ...record }, i) => ({
    record: { ...record, id: TokenId.make(`t${i}`) },
    lentAt: Number.NEGATIVE_INFINITY,
    turn: 0,
    probe
  }))

const strategies = ["priority", "round_robin", "best"] as const
const only = (options: Partial<typeof Token.Type> = {}): typeof Token.Type => ({
  kind: "anonymous",
  createdAt: 0,
  succeeded: 0,
  failed: 0,
  probe: false,
  ...options
})
const chosen = (strategy: (typeof strategies)[number], ...tokens: ReadonlyArray<typeof Token.Type>) =>
  choose(strategy, candidatesOf(tokens), undefined)?.record.id

describe("the strategies", () => {
  it.prop(
    "each picks one of those it is given, the same whatever their order",
    [Tokens, Count],
    ([tokens, last]) => {
      const candidates = candidatesOf(tokens)
      const lastLent = candidates[last % candidates.length]?.record
      for (const strategy of strategies) {
        const choice = choose(strategy, candidates, lastLent)
        assert.isTrue(choice !== undefined && candidates.includes(choice))
        assert.strictEqual(choose(strategy, candidates.toReversed(), lastLent), choice)
        assert.isUndefined(choose(strategy, [], lastLent))
      }
    },
    { arbitrary: { runs: 1_000 } }
  )

  it.prop(
    "priority picks no token while one of a kind that is spent first can be had, and of a kind the longest idle",
    [Tokens],
    ([tokens]) => {
      const candidates = candidatesOf(tokens)
      const choice = choose("priority", candidates, undefined)!.record
      for (const { record } of candidates) {
        assert.isAtMost(priorityOf[choice.kind], priorityOf[record.kind])
        if (record.kind === choice.kind) assert.isAtMost(choice.lastUsedAt ?? -1, record.lastUsedAt ?? -1)
      }
    },
    { arbitrary: { runs: 1_000 } }
  )

  it.prop(
    "round robin lends each as often as any other, and goes on fairly when one leaves",
    [Tokens, Count],
    ([tokens, leaving]) => {
      const all = candidatesOf(tokens)
      let last: Turn | undefined
      const rounds = (candidates: ReadonlyArray<Candidate>) => {
        const lent = new Map<string, number>(candidates.map(({ record }) => [record.id, 0]))
        for (let i = 0; i < 3 * candidates.length; i++) {
          const { record } = choose("round_robin", candidates, last)!
          lent.set(record.id, lent.get(record.id)! + 1)
          last = record
        }
        assert.deepStrictEqual(new Set(lent.values()), new Set([3]))
      }
      rounds(all)
      const left = all.filter((_, i) => i !== leaving % all.length)
      if (left.length > 0) rounds(left)
    },
    { arbitrary: { runs: 1_000 } }
  )

  it("best prefers the proven: ninety of a hundred over one of one, and that over nothing known", () => {
    assert.strictEqual(chosen("best", only({ succeeded: 1 }), only({ succeeded: 90, failed: 10 })), "t1")
    assert.strictEqual(chosen("best", only(), only({ succeeded: 1 })), "t1")
    assert.strictEqual(chosen("best", only({ succeeded: 50, failed: 50 }), only({ succeeded: 50 })), "t1")
  })

  it("best lends equals in turn: the longest idle first", () => {
    const good = { succeeded: 90, failed: 10 }
    assert.strictEqual(chosen("best", only({ ...good, lastUsedAt: 2 }), only({ ...good, lastUsedAt: 1 })), "t1")
    assert.strictEqual(chosen("best", only({ ...good, lastUsedAt: 2 }), only(good)), "t1")
  })

  it("best lets a token prove itself again as soon as its probe is due", () => {
    assert.strictEqual(chosen("best", only({ succeeded: 50 }), only({ failed: 9, probe: true })), "t1")
  })

  it.prop(
    "a proven share grows with every success, falls with every failure, and is a share",
    [Count, Count],
    ([succeeded, failed]) => {
      const share = proven(succeeded, failed)
      assert.isTrue(share >= 0 && share <= 1)
      assert.isAbove(proven(succeeded + 1, failed), share)
      assert.isAtMost(proven(succeeded, failed + 1), share)
      assert.isAtMost(share, succeeded / Math.max(1, succeeded + failed))
    }
  )

  it("a proven share is the lower end of Wilson's interval", () => {
    assert.approximately(proven(90, 10), 0.8256, 0.0005)
    assert.approximately(proven(1, 0), 0.2065, 0.0005)
  })
})
