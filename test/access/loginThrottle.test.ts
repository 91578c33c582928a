import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Throttle from "../../src/access/loginThrottle.ts"
import * as Model from "./throttleModel.ts"

const second = 1_000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

const started = (state: Throttle.State = Throttle.empty) => {
  let current = state
  const decide = (now: number, input: Throttle.Input) => {
    const [decision, next] = Throttle.decide(current, now, input)
    current = next
    return decision
  }
  const begin = (now: number, address: string) => decide(now, { _tag: "Begin", address })
  return {
    state: () => current,
    begin,
    attempt: (now: number, address: string) => {
      const decision = begin(now, address)
      assert.strictEqual(decision._tag, "Allowed", `${address} at ${now}`)
      return decision._tag === "Allowed" ? decision.attempt : assert.fail()
    },
    waitOf: (now: number, address: string) => {
      const decision = begin(now, address)
      return decision._tag === "Throttled" ? decision.retryAfter : 0
    },
    succeed: (now: number, attempt: Throttle.Attempt) => decide(now, { _tag: "Succeeded", attempt }),
    withdraw: (now: number, attempt: Throttle.Attempt) => decide(now, { _tag: "Withdrawn", attempt })
  }
}

const below = (n: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: n - 1 }))
const Begin = Schema.TaggedStruct("Begin", { address: below(4) })
const Step = Schema.Union([
  Begin,
  Begin,
  Begin,
  Schema.TaggedStruct("Crowd", { size: below(25) }),
  Schema.TaggedStruct("Settle", { which: below(4), how: Schema.Literals(["Succeeded", "Withdrawn"]) }),
  Schema.TaggedStruct("Wait", {
    ms: Schema.Literals([0, 1, second, 2 * second, 5 * second, 31 * second, 5 * minute, 16 * minute, hour - 1, hour])
  }),
  Schema.TaggedStruct("Wait", { ms: Schema.Literals([second, 4 * second, 8 * second, 16 * second, 31 * day]) })
])

describe("the login throttle", () => {
  it("leaves an address five attempts, then has it wait twice as long after each, from a second up to 15 minutes", () => {
    const throttle = started()
    for (let n = 0; n < 5; n++) throttle.attempt(0, "192.0.2.1")
    let now = 0
    for (const wait of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]) {
      assert.strictEqual(throttle.waitOf(now, "192.0.2.1"), wait * second)
      assert.strictEqual(throttle.waitOf(now + wait * second - 1, "192.0.2.1"), 1)
      now += wait * second
      throttle.attempt(now, "192.0.2.1")
    }
    throttle.attempt(now, "192.0.2.2")
  })

  it("forgets an address's failures after an hour without one, not a millisecond before", () => {
    const throttle = started()
    for (let n = 0; n < 5; n++) throttle.attempt(0, "192.0.2.1")
    throttle.attempt(hour - 1, "192.0.2.1")
    assert.strictEqual(throttle.waitOf(hour - 1, "192.0.2.1"), 2 * second)
    const other = started()
    for (let n = 0; n < 5; n++) other.attempt(0, "192.0.2.1")
    for (let n = 0; n < 5; n++) other.attempt(hour, "192.0.2.1")
  })

  it("counts an attempt from its begin, and not at all once it has succeeded", () => {
    const throttle = started()
    const attempts = Array.from({ length: 5 }, () => throttle.attempt(0, "192.0.2.1"))
    assert.strictEqual(throttle.waitOf(0, "192.0.2.1"), second)
    for (const attempt of attempts.slice(0, 2)) throttle.succeed(10, attempt)
    throttle.attempt(10, "192.0.2.1")
    throttle.attempt(10, "192.0.2.1")
    assert.strictEqual(throttle.waitOf(10, "192.0.2.1"), second)
  })

  it("slows all strangers together after twenty failures in ten minutes: 5 seconds apart, rising to 30", () => {
    const throttle = started()
    let n = 0
    const stranger = () => `198.51.${n >> 8}.${n++ & 0xff}`
    for (let i = 0; i < 20; i++) throttle.attempt(0, stranger())
    let now = 0
    for (const gap of [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25]) {
      assert.strictEqual(throttle.waitOf(now, stranger()), gap * second)
      now += gap * second
      throttle.attempt(now, stranger())
    }
    assert.deepStrictEqual([45, 46, 200].map(Throttle.gapAfter), [30 * second, 30 * second, 30 * second])
    const free = started()
    for (let i = 0; i < 20; i++) free.attempt(0, stranger())
    free.attempt(10 * minute, stranger())
  })

  it("asks an address that has logged in within 30 days for its own limit only, and does not count it for the strangers", () => {
    const throttle = started()
    throttle.succeed(0, throttle.attempt(0, "192.0.2.1"))
    for (let i = 0; i < 20; i++) throttle.attempt(1, `198.51.100.${i}`)
    assert.strictEqual(throttle.waitOf(1, "192.0.2.9"), 5 * second)
    for (let n = 0; n < 5; n++) throttle.attempt(1, "192.0.2.1")
    assert.strictEqual(throttle.waitOf(1, "192.0.2.1"), second)
    assert.strictEqual(throttle.waitOf(1, "192.0.2.9"), 5 * second)

    const later = (now: number) => {
      const state = started(Throttle.initial([["192.0.2.1", 0]], now))
      for (let i = 0; i < 20; i++) state.attempt(now, `198.51.100.${i}`)
      return state.waitOf(now, "192.0.2.1")
    }
    assert.strictEqual(later(30 * day - 1), 0)
    assert.strictEqual(later(30 * day), 5 * second)
  })

  it("takes an IPv6 network of 64 bits for one address, and an IPv4 address for itself in either form", () => {
    const keys = (...addresses: ReadonlyArray<string>) => new Set(addresses.map(Throttle.keyOf))
    assert.deepStrictEqual(
      keys("2001:db8::1", "2001:DB8:0:0:ffff::9", "2001:0db8:0000:0000:1:2:3:4", "2001:db8::192.0.2.1"),
      new Set(["2001:db8:0:0::/64"])
    )
    assert.strictEqual(keys("2001:db8:0:1::1", "2001:db8::1", "2001:db8:1::1").size, 3)
    assert.deepStrictEqual(keys("192.0.2.1", "::ffff:192.0.2.1", "::FFFF:c000:201"), new Set(["192.0.2.1"]))
    assert.deepStrictEqual(keys("fe80::1%eth0", "fe80::2%eth1"), new Set(["fe80:0:0:0::/64"]))
    assert.deepStrictEqual(keys("::1", "::"), new Set(["0:0:0:0::/64"]))
    assert.deepStrictEqual(keys("", "no address", "1.2.3"), new Set(["unknown"]))
  })

  it("knows ten thousand addresses, and gives up the one that tried longest ago", () => {
    const addresses = new Map(Array.from({ length: 10_000 }, (_, i) => [`a${i}`, [i]] as const))
    const throttle = started({ ...Throttle.empty, addresses })
    throttle.attempt(10_000, "192.0.2.1")
    assert.strictEqual(throttle.state().addresses.size, 10_000)
    assert.isFalse(throttle.state().addresses.has("a0"))
    assert.isTrue(throttle.state().addresses.has("a1"))
    const known = started(
      Throttle.initial(
        Array.from({ length: 1_500 }, (_, i) => [`a${i}`, i] as const),
        2_000
      )
    )
    assert.strictEqual(known.state().known.size, 1_000)
    known.succeed(2_000, known.attempt(2_000, "192.0.2.1"))
    assert.strictEqual(known.state().known.size, 1_000)
    assert.isTrue(known.state().known.has("a501"))
    assert.isFalse(known.state().known.has("a500"))
  })

  it.effect.prop(
    "answers as the plain model does, whatever is tried, and a refused attempt leaves no trace",
    [Schema.Array(Step).check(Schema.isMinLength(10), Schema.isMaxLength(80))],
    ([steps]) =>
      Effect.sync(() => {
        const throttle = started()
        const model = Model.make()
        const open: Array<{ mine: Throttle.Attempt; theirs: ReturnType<typeof model.begin>["attempt"] }> = []
        let now = 0
        let strangers = 0
        const begin = (address: string) => {
          const before = throttle.state()
          const decision = throttle.begin(now, address)
          const { attempt, opensAt } = model.begin(address, now)
          if (decision._tag === "Allowed") {
            assert.strictEqual(opensAt, now, `${address} is allowed at ${now}, and should wait until ${opensAt}`)
            open.unshift({ mine: decision.attempt, theirs: attempt })
          } else {
            assert.deepStrictEqual(decision, { _tag: "Throttled", retryAfter: opensAt - now })
            assert.strictEqual(throttle.state(), before)
          }
          assert.isBelow(throttle.state().account.length, 60)
        }
        for (const step of steps) {
          switch (step._tag) {
            case "Begin":
              begin(`192.0.2.${step.address}`)
              break
            case "Crowd":
              for (let i = 0; i < step.size; i++, strangers++) begin(`198.51.${strangers >> 8}.${strangers & 0xff}`)
              break
            case "Wait":
              now += step.ms
              break
            case "Settle": {
              const [attempt] = open.splice(step.which, 1)
              if (attempt === undefined) break
              if (step.how === "Succeeded") {
                throttle.succeed(now, attempt.mine)
                model.succeed(attempt.theirs, now)
              } else {
                throttle.withdraw(now, attempt.mine)
                model.withdraw(attempt.theirs)
              }
            }
          }
        }
      }),
    { timeout: 60_000, arbitrary: { runs: 1_000, size: 80 } }
  )
})
