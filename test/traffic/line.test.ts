import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Line from "../../src/traffic/line.ts"

const ageing = 5_000

const waiting = (client: string, priority: number, since: number, ordinal = since): Line.Waiting => ({
  client,
  priority,
  since,
  ordinal,
  isOver: false
})

/** Everyone in the order in which they are served, when nobody else comes. */
const served = (line: Line.Line<Line.Waiting>, turns: Line.Turns, now: number) => {
  const order: Array<Line.Waiting> = []
  for (let next = line.first(now); next !== undefined; next = line.first(now)) {
    next.isOver = true
    turns.served(next.client)
    order.push(next)
  }
  return order
}

const lined = (...all: ReadonlyArray<Line.Waiting>) => {
  const turns = Line.turns()
  const line = Line.make(ageing, turns)
  for (const each of all) line.add(each, each.since)
  return { line, turns }
}

describe("a line", () => {
  it("has the most urgent first, and those who came first among equals", () => {
    const [low, high, later] = [waiting("a", 1, 0), waiting("a", 9, 1), waiting("a", 9, 2)]
    const { line, turns } = lined(later, low, high)
    assert.deepStrictEqual(served(line, turns, 3), [high, later, low])
  })

  it("counts each five seconds of waiting as one priority more, to half a second, so that nobody starves", () => {
    const [old, urgent] = [waiting("a", 0, 0), waiting("b", 9, 45_000)]
    const { line } = lined(old, urgent)
    assert.strictEqual(line.first(44_999), urgent)
    assert.strictEqual(line.first(45_000), old)
  })

  it("serves clients in turns, however many requests one of them has", () => {
    const flood = Array.from({ length: 5 }, (_, i) => waiting("flooding", 5, i))
    const quiet = [waiting("quiet", 5, 100), waiting("quiet", 5, 101)]
    const { line, turns } = lined(...flood, ...quiet)
    assert.deepStrictEqual(
      served(line, turns, 102).map(({ client }) => client),
      ["flooding", "quiet", "flooding", "quiet", "flooding", "flooding", "flooding"]
    )
  })

  it("keeps the place of one that waits again for a further attempt", () => {
    const [first, again] = [waiting("a", 5, 10), waiting("a", 5, 0, 99)]
    const { line, turns } = lined(first, again)
    assert.deepStrictEqual(served(line, turns, 11), [again, first])
  })

  it("forgets those that are over when it comes across them", () => {
    const gone = waiting("a", 5, 0)
    const { line } = lined(gone, waiting("b", 5, 1))
    gone.isOver = true
    assert.strictEqual(line.first(2)?.client, "b")
    assert.strictEqual(line.size, 1)
  })

  it("does not grow with those who have left behind one who stays", () => {
    const { line } = lined(waiting("a", 9, 0))
    for (let i = 1; i <= 10_000; i++) {
      const left = waiting("a", 9, i)
      line.add(left, i)
      left.isOver = true
    }
    assert.isAtMost(line.size, 130)
  })

  const below = (n: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: n - 1 }))
  const Step = Schema.Union([
    Schema.TaggedStruct("Come", { client: below(4), priority: below(10), earlier: Schema.Literals([0, 0, 0, 7_000]) }),
    Schema.TaggedStruct("Come", { client: below(4), priority: below(10), earlier: Schema.Literals([0, 0, 0, 7_000]) }),
    Schema.TaggedStruct("Serve", {}),
    Schema.TaggedStruct("Leave", { which: below(20) }),
    Schema.TaggedStruct("Wait", { ms: Schema.Literals([1, 2_500, 5_000, 26_000]) })
  ])
  it.prop(
    "has first whom sorting everyone would, in any history",
    [Schema.Array(Step).check(Schema.isMinLength(10), Schema.isMaxLength(60))],
    ([history]) => {
      const turns = Line.turns()
      const line = Line.make<Line.Waiting>(ageing, turns)
      let all: Array<Line.Waiting> = []
      const lastServed = new Map<string, number>()
      let [now, ordinal, turn] = [0, 0, 0]
      const urgencyOf = ({ priority, since }: Line.Waiting) =>
        priority + Math.floor(Math.max(0, now - (now % 500) - since) / ageing)
      for (const step of history) {
        if (step._tag === "Wait") now += step.ms
        else if (step._tag === "Come") {
          const one = waiting(`client-${step.client}`, step.priority, Math.max(0, now - step.earlier), ordinal++)
          all.push(one)
          line.add(one, now)
        } else if (step._tag === "Leave") {
          const [one] = all.splice(step.which % Math.max(1, all.length), 1)
          if (one !== undefined) one.isOver = true
        } else {
          const [expected] = all.toSorted(
            (a, b) =>
              urgencyOf(b) - urgencyOf(a) ||
              (lastServed.get(a.client) ?? 0) - (lastServed.get(b.client) ?? 0) ||
              a.since - b.since ||
              a.ordinal - b.ordinal
          )
          assert.strictEqual(line.first(now), expected)
          if (expected === undefined) continue
          expected.isOver = true
          turns.served(expected.client)
          lastServed.set(expected.client, ++turn)
          all = all.filter((one) => one !== expected)
        }
      }
    },
    { arbitrary: { runs: 1_000, size: 60 } }
  )
})
