import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as window from "../../src/acquisition/dedupWindow.ts"
import { TokenId } from "../../src/domain/Token.ts"

const options = { window: 300_000, similarity: 0.8, silence: 15_000 }
const demand = { caller: "alice", text: "no token for warp can be used" }
const begun = (at: number): window.Entry => ({ id: "1", process: "p", ...demand, at, seenAt: at })
const answered = { _tag: "Answered", token: TokenId.make("t") } as const
const opened = window.begin(window.empty, 0, begun(0), options)

describe("dedup window", () => {
  it("knows the same request for 300 seconds from its beginning, not for the rest of a minute", () => {
    const ended = window.end(opened, "1", answered)
    for (const now of [0, 59_999, 60_000, 61_000, 299_999]) {
      assert.strictEqual(window.findSame(ended, now, demand, options)?.id, "1")
    }
    assert.isUndefined(window.findSame(ended, 300_000, demand, options))
  })

  it("does not know a request from a future that a clock has jumped back from", () => {
    const later = window.begin(window.empty, 900_000, { ...begun(900_000), ending: answered }, options)
    assert.isUndefined(window.findSame(later, 600_000, demand, options))
    assert.isDefined(window.findSame(later, 600_001, demand, options))
  })

  it("asks for the same caller and a similar text", () => {
    const find = (other: Partial<window.Demand>) => window.findSame(opened, 0, { ...demand, ...other }, options)
    assert.isDefined(find({ text: "no token for warp can be used!" }))
    assert.isUndefined(find({ text: "the upstream has reset the connection" }))
    assert.isUndefined(find({ caller: "bob" }))
  })

  it("forgets work that came to nothing", () => {
    assert.deepStrictEqual(window.end(opened, "1", undefined), window.empty)
  })

  it("takes work without a sign of life for 15 seconds for dead", () => {
    assert.isDefined(window.findSame(opened, 14_999, demand, options))
    assert.isUndefined(window.findSame(opened, 15_000, demand, options))
    const signed = window.sign(opened, "1", 10_000)
    assert.isDefined(window.findSame(signed, 24_999, demand, options))
    assert.isUndefined(window.findElsewhere(signed, 24_999, "p", options))
    assert.isDefined(window.findElsewhere(signed, 24_999, "q", options))
  })

  it("drops what has left the window when new work begins, and never keeps more than a hundred", () => {
    let current = opened
    for (let i = 0; i < 150; i++) {
      current = window.begin(current, 300_000 + i, { ...begun(300_000 + i), id: `n${i}` }, options)
    }
    assert.strictEqual(current.entries.length, 100)
    assert.isUndefined(current.entries.find(({ id }) => id === "1"))
  })

  it.effect.prop(
    "never says that more of the window is left than there is, wherever the clock jumps",
    [Schema.Int, Schema.Int],
    ([at, now]) =>
      Effect.sync(() => {
        const left = window.timeLeft(begun(at), now, options)
        assert.isAtMost(left, options.window)
        if (now >= at) assert.strictEqual(Math.max(left, 0), Math.max(at + options.window - now, 0))
      })
  )
})
