import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Circuit from "../../src/traffic/circuit.ts"

const seconds = 1_000

/** A call from begin to end at one instant. */
const call = (circuit: Circuit.Circuit, now: number, outcome: "served" | "failed" | "neutral", stated?: number) =>
  circuit.end(circuit.begin(now), now, outcome, stated)

const opened = () => {
  const circuit = Circuit.make()
  call(circuit, 0, "failed")
  call(circuit, 4 * seconds, "failed")
  return circuit
}

describe("a circuit", () => {
  it("opens at the second failure in a row when nothing else was heard for a while", () => {
    const circuit = Circuit.make()
    call(circuit, 0, "served")
    call(circuit, 1_000, "failed")
    call(circuit, 2_999, "failed")
    assert.strictEqual(circuit.view(2_999).state, "closed")
    call(circuit, 3_000, "failed")
    assert.deepStrictEqual(circuit.view(3_000), { state: "open", until: 13_000, source: "guessed" })
  })

  it("opens at the fourth failure in a row at any rate, and at half of ten calls", () => {
    const quick = Circuit.make()
    call(quick, 0, "served")
    for (let i = 1; i <= 3; i++) call(quick, i, "failed")
    assert.strictEqual(quick.view(3).state, "closed")
    call(quick, 4, "failed")
    assert.strictEqual(quick.view(4).state, "open")

    const mixed = Circuit.make()
    for (let i = 0; i < 10; i++) {
      assert.strictEqual(mixed.view(i).state, "closed")
      call(mixed, i, i % 2 === 0 ? "served" : "failed")
    }
    assert.strictEqual(mixed.view(10).state, "open")
  })

  it("stays closed for failures now and then", () => {
    const circuit = Circuit.make()
    for (let i = 0; i < 200; i++) call(circuit, i * 100, i % 10 === 0 ? "failed" : "served")
    assert.strictEqual(circuit.view(20_000).state, "closed")
  })

  it("lets a single probe through after its time, another when that one says nothing, and none before", () => {
    const circuit = opened()
    assert.strictEqual(circuit.room(13_999), 0)
    assert.strictEqual(circuit.triedAt(5_000), 14_000)
    assert.strictEqual(circuit.room(14_000), 1)
    const probe = circuit.begin(14_000)
    assert.isTrue(probe.isProbe)
    assert.strictEqual(circuit.room(14_001), 0)
    circuit.end(probe, 15_000, "neutral")
    assert.strictEqual(circuit.room(15_000), 1)
  })

  it("waits longer after each probe that fails, up to 25 seconds", () => {
    const circuit = opened()
    let now = 14_000
    for (const gap of [20, 25, 25]) {
      call(circuit, now, "failed")
      assert.deepStrictEqual(circuit.view(now), { state: "open", until: now + gap * seconds, source: "guessed" })
      now += gap * seconds
    }
  })

  it("comes back slowly: one call at once, then twice as many with each that is served", () => {
    const circuit = opened()
    call(circuit, 14_000, "served")
    for (const cap of [1, 2, 4, 8, 16]) {
      assert.strictEqual(circuit.view(14_000).state, "returning")
      assert.strictEqual(circuit.room(14_000), cap)
      const out = Array.from({ length: cap }, () => circuit.begin(14_000))
      assert.strictEqual(circuit.room(14_000), 0)
      for (const ticket of out.slice(1)) circuit.end(ticket, 14_000, "neutral")
      const [first] = out
      if (first !== undefined) circuit.end(first, 14_000, "served")
    }
    assert.strictEqual(circuit.view(14_000).state, "closed")
    assert.strictEqual(circuit.room(14_000), Number.POSITIVE_INFINITY)
  })

  it("opens again for longer when it fails while it comes back, and begins anew once it has been closed", () => {
    const circuit = opened()
    call(circuit, 14_000, "served")
    call(circuit, 15_000, "failed")
    assert.strictEqual(circuit.view(15_000).until, 35_000)
    for (let i = 0; i < 6; i++) call(circuit, 35_000, "served")
    assert.strictEqual(circuit.view(35_000).state, "closed")
    call(circuit, 40_000, "failed")
    call(circuit, 44_000, "failed")
    assert.strictEqual(circuit.view(44_000).until, 54_000)
  })

  it("is coming back as soon as a probe has begun to answer, and out of order again should that answer break", () => {
    const circuit = opened()
    const probe = circuit.begin(14_000)
    circuit.answering(probe)
    assert.strictEqual(circuit.view(14_000).state, "returning")
    assert.strictEqual(circuit.room(14_000), 1)
    circuit.end(probe, 60_000, "failed")
    assert.strictEqual(circuit.view(60_000).state, "open")

    const breaking = Circuit.make()
    for (const at of [0, 4_000]) {
      const ticket = breaking.begin(at)
      breaking.answering(ticket)
      breaking.end(ticket, at, "failed")
    }
    assert.strictEqual(breaking.view(4_000).state, "open")
  })

  it("takes the upstream's word for when it is back, and a later one for a later end, never an earlier", () => {
    const circuit = Circuit.make()
    const [early, later, sooner] = [circuit.begin(0), circuit.begin(0), circuit.begin(0)]
    circuit.end(early, 0, "failed", 30_000)
    assert.deepStrictEqual(circuit.view(0), { state: "open", until: 30_000, source: "stated" })
    circuit.end(later, 1, "failed", 60_000)
    circuit.end(sooner, 2, "failed", 10_000)
    assert.strictEqual(circuit.view(2).until, 60_000)
  })

  it("learns nothing from calls that were under way before it opened", () => {
    const circuit = Circuit.make()
    const [late, later] = [circuit.begin(0), circuit.begin(0)]
    call(circuit, 0, "failed")
    call(circuit, 4_000, "failed")
    circuit.end(late, 5_000, "served")
    assert.strictEqual(circuit.view(5_000).state, "open")
    circuit.end(later, 6_000, "failed")
    assert.strictEqual(circuit.view(6_000).until, 14_000)
  })

  const below = (n: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: n - 1 }))
  const Step = Schema.Union([
    Schema.TaggedStruct("Begin", {}),
    Schema.TaggedStruct("Begin", {}),
    Schema.TaggedStruct("End", {
      which: below(8),
      outcome: Schema.Literals(["served", "failed", "failed", "neutral"])
    }),
    Schema.TaggedStruct("Wait", { ms: Schema.Literals([10, 3_000, 10_000, 26_000]) })
  ])
  it.prop(
    "never has two probes out, is always tried again in half a minute, and closes once all goes well, in any history",
    [Schema.Array(Step).check(Schema.isMinLength(5), Schema.isMaxLength(60))],
    ([history]) => {
      const circuit = Circuit.make()
      const out: Array<Circuit.Ticket> = []
      let now = 0
      for (const step of history) {
        if (step._tag === "Wait") now += step.ms
        else if (step._tag === "Begin") {
          if (circuit.room(now) >= 1) out.push(circuit.begin(now))
        } else {
          const [ticket] = out.splice(step.which % Math.max(1, out.length), 1)
          if (ticket !== undefined) circuit.end(ticket, now, step.outcome)
        }
        const { until } = circuit.view(now)
        if (until !== undefined && until > now) {
          assert.strictEqual(circuit.room(now), 0)
          assert.isAtMost(until - now, 25_000)
        }
        const epoch = Math.max(-1, ...out.filter(({ isProbe }) => isProbe).map((ticket) => ticket.epoch))
        assert.isAtMost(out.filter((ticket) => ticket.isProbe && ticket.epoch === epoch).length, 1)
      }
      for (const ticket of out) circuit.end(ticket, now, "neutral")
      now += 30_000
      for (let i = 0; i < 7; i++) {
        assert.isAtLeast(circuit.room(now), 1)
        call(circuit, now, "served")
      }
      assert.strictEqual(circuit.view(now).state, "closed")
    },
    { arbitrary: { runs: 1_000, size: 60 } }
  )
})
