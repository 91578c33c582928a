import { assert, describe, it } from "@effect/vitest"
import { Duration, Schema } from "effect"
import type { Fault } from "../../src/sandbox/fault.ts"
import { activate, take } from "../../src/sandbox/faultList.ts"
import type { ActiveFault } from "../../src/sandbox/faultList.ts"
import type { Struck } from "../../src/sandbox/faultTerms.ts"
import { at } from "./warpCaller.ts"

const arriving = (call: string, model?: string): Struck => ({ provider: "warp", call, model, phase: "arrival" })

/** What strikes each of a row of calls. */
const strikes = (faults: ReadonlyArray<Fault>, calls: ReadonlyArray<Struck>) => {
  let active: ReadonlyArray<ActiveFault> = faults.map((fault) => activate(fault, 0))
  return calls.map((call) => {
    const [struck, next] = take(active, call, 0)
    active = next
    return struck?.kind
  })
}

const calls = (count: number, call = "ai") => Array.from({ length: count }, () => arriving(call))

const Counts = Schema.Array(
  Schema.Struct({
    skip: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })),
    times: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 }))
  })
).check(Schema.isMaxLength(4))

describe("faultList", () => {
  it("strikes once unless it is told otherwise", () => {
    assert.deepStrictEqual(strikes([{ call: "ai", kind: "quota" }], calls(2)), ["quota", undefined])
  })

  it("strikes as often as it is told, after it has let the first calls pass", () => {
    assert.deepStrictEqual(strikes([{ call: "ai", kind: "quota", skip: 1, times: 2 }], calls(4)), [
      undefined,
      "quota",
      "quota",
      undefined
    ])
  })

  it("strikes without end when told so", () => {
    assert.deepStrictEqual(strikes([{ call: "ai", kind: "blocked", times: null }], calls(3)), [
      "blocked",
      "blocked",
      "blocked"
    ])
  })

  it("strikes one after another in the order they were set", () => {
    const faults: ReadonlyArray<Fault> = [
      { call: "ai", kind: "quota" },
      { call: "ai", kind: "server_error" }
    ]
    assert.deepStrictEqual(strikes(faults, calls(3)), ["quota", "server_error", undefined])
  })

  it("leaves other calls, other models and other providers alone", () => {
    const fault: Fault = { call: "ai", kind: "quota", model: "auto" }
    const others = [arriving("refresh"), arriving("ai", "o3"), { ...arriving("ai", "auto"), provider: "another" }]
    assert.deepStrictEqual(strikes([fault], [...others, arriving("ai", "auto")]), [
      undefined,
      undefined,
      undefined,
      "quota"
    ])
  })

  it("keeps a fault of the stream for a call that is accepted", () => {
    const accepted: Struck = { provider: "warp", call: "ai", phase: "accepted" }
    assert.deepStrictEqual(strikes([{ call: "ai", kind: "cut" }], [arriving("ai"), accepted]), [undefined, "cut"])
  })

  const struckAt = (fault: Fault, ...times: ReadonlyArray<number>) => {
    let active: ReadonlyArray<ActiveFault> = [activate(fault, 1_000)]
    return times.map((now) => {
      const [struck, next] = take(active, arriving("ai"), now)
      active = next
      return struck !== undefined
    })
  }

  it("strikes every call for as long as it is told, and none from that instant on", () => {
    const outage: Fault = { call: "ai", kind: "server_error", for: Duration.seconds(60) }
    assert.deepStrictEqual(struckAt(outage, 1_000, 2_000, 60_999, 61_000, 61_001), [true, true, true, false, false])
  })

  it("strikes no more often than it is told while its time lasts", () => {
    assert.deepStrictEqual(struckAt({ call: "ai", kind: "quota", for: 60_000, times: 1 }, 1_000, 1_001), [true, false])
    assert.deepStrictEqual(struckAt({ call: "ai", kind: "quota", for: 60_000, times: 2 }, 60_999, 61_000), [
      true,
      false
    ])
  })

  it.prop(
    "strikes as if each fault were a list of passes and strikes, used up from the front",
    { counts: Counts },
    ({ counts }) => {
      const faults = counts.map(({ skip, times }, index): Fault => ({
        call: "ai",
        kind: "server_error",
        status: 500 + index,
        skip,
        times
      }))
      const queues = counts.map(({ skip, times }) => [
        ...Array.from({ length: skip }, () => "pass"),
        ...Array.from({ length: times }, () => "strike")
      ])
      let active: ReadonlyArray<ActiveFault> = faults.map((fault) => activate(fault, 0))
      for (let call = 0; call < 30; call++) {
        const [struck, next] = take(active, arriving("ai"), 0)
        active = next
        const expected = queues.findIndex((queue) => queue.shift() === "strike")
        assert.strictEqual(at(struck, "status"), expected === -1 ? undefined : 500 + expected)
      }
      assert.lengthOf(active, 0)
    },
    { arbitrary: { runs: 1_000 } }
  )
})
