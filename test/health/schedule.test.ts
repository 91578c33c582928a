import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { TokenId } from "../../src/domain/Token.ts"
import { type Course, plan, type Scheduled } from "../../src/health/schedule.ts"
import type { TokenState } from "../../src/pool/tokenState.ts"

const every = 300_000

const tokenOf = (name: string, token: Partial<Scheduled> = {}): Scheduled => ({
  id: TokenId.make(name),
  state: { _tag: "active" },
  createdAt: 0,
  lastCheck: undefined,
  provenAt: undefined,
  ...token
})
const courseAt = (now: number, course: Partial<Course> = {}): Course => ({
  now,
  every,
  since: 0,
  tried: () => undefined,
  ...course
})
const namesDue = (tokens: ReadonlyArray<Scheduled>, course: Course) => plan(tokens, course).due.map(({ id }) => id)

/** Checks each token as it falls due, from the start until the end, and tells when. */
const checksOf = (count: number, until: number, change: (tokens: Array<Scheduled>, now: number) => void = () => {}) => {
  const checks: Array<{ readonly at: number; readonly id: string }> = []
  const tokens = Array.from({ length: count }, (_, i) => tokenOf(`token-${i}`))
  for (let now = 0; now < until;) {
    change(tokens, now)
    const { due, next } = plan(tokens, courseAt(now))
    for (const { id } of due) {
      checks.push({ at: now, id })
      const at = tokens.findIndex((token) => token.id === id)
      tokens[at] = { ...tokens[at]!, lastCheck: { at: now } }
    }
    now = Math.min(next, now + every)
  }
  return checks
}

describe("the schedule of checks", () => {
  it("gives each of 60 tokens its own five seconds of five minutes, once in each five minutes", () => {
    const checks = checksOf(60, 4 * every + 1)
    const slots = checks.filter(({ at }) => at <= every).map(({ at }) => Math.floor(at / 5_000))
    assert.strictEqual(new Set(slots).size, slots.length)
    for (let i = 0; i < 60; i++) {
      const times = checks.filter(({ id }) => id === `token-${i}`).map(({ at }) => at)
      assert.strictEqual(times.length, 4)
      for (const [n, at] of times.slice(1).entries()) assert.strictEqual(at - times[n]!, every)
    }
  })

  it("has nothing to do with the order in which tokens are told, or their names begin", () => {
    const names = Array.from({ length: 20 }, (_, i) => `a-${String(i).padStart(2, "0")}`)
    const tokens = names.map((name) => tokenOf(name))
    const one = namesDue(tokens, courseAt(2 * every))
    assert.strictEqual(one.length, 20)
    assert.deepStrictEqual(namesDue(tokens.toReversed(), courseAt(2 * every)), one)
    assert.notDeepEqual(one, names)
  })

  it("makes up for no turn that was missed while nobody was there, or the token was not", () => {
    const tokens = Array.from({ length: 50 }, (_, i) => tokenOf(`token-${i}`))
    assert.deepStrictEqual(namesDue(tokens, courseAt(10 * every, { since: 10 * every })), [])
    const late = tokens.map((token) => ({ ...token, createdAt: 10 * every }))
    assert.deepStrictEqual(namesDue(late, courseAt(10 * every)), [])
    assert.strictEqual(namesDue(late, courseAt(11 * every)).length, 50)
  })

  it("leaves a token alone that a call has proved good since its last turn", () => {
    const proved = (provenAt: number) => [tokenOf("a", { provenAt, lastCheck: { at: every } })]
    assert.deepStrictEqual(namesDue(proved(2 * every), courseAt(3 * every)), ["a"])
    assert.deepStrictEqual(namesDue(proved(2 * every + 1), courseAt(3 * every)), [])
    assert.deepStrictEqual(namesDue(proved(2 * every + 1), courseAt(4 * every)), ["a"])
  })

  const guessed = (until: number): ReadonlyArray<TokenState> => [
    { _tag: "disabled", why: "too many errors", until },
    { _tag: "cooling", why: "access rejected", until, source: "guessed" }
  ]
  it("takes a token that is out of use on a guess when its time is over, and then in its turns", () => {
    const until = 2 * every + 1_234
    for (const state of guessed(until)) {
      const out = tokenOf("a", { state, lastCheck: { at: every } })
      assert.deepStrictEqual(plan([out], courseAt(until - 1)), { due: [], next: until })
      assert.deepStrictEqual(namesDue([out], courseAt(until)), ["a"])
      // Tried, and it is still out of use.
      const tried = () => until
      assert.deepStrictEqual(plan([out], courseAt(until, { tried })), { due: [], next: 3 * every })
      assert.deepStrictEqual(namesDue([out], courseAt(3 * every, { tried })), ["a"])
    }
  })

  it("takes a token that only a call can bring back in its turns alone", () => {
    const until = 2 * every + 1_234
    const state: TokenState = { _tag: "cooling", why: "throttled", until, source: "guessed" }
    const out = tokenOf("a", { state, lastCheck: { at: 2 * every } })
    assert.deepStrictEqual(plan([out], courseAt(until)), { due: [], next: 3 * every })
  })

  it("leaves a token alone whose quota the upstream has said to be used up, until then", () => {
    const until = 4 * every + 1
    const exhausted = (source: "stated" | "guessed") => [tokenOf("a", { state: { _tag: "exhausted", until, source } })]
    assert.deepStrictEqual(plan(exhausted("stated"), courseAt(2 * every)), { due: [], next: 5 * every })
    assert.deepStrictEqual(namesDue(exhausted("guessed"), courseAt(2 * every)), ["a"])
  })

  it("never takes a token that only a person brings back", () => {
    const states: ReadonlyArray<TokenState> = [
      { _tag: "dead", why: "blocked" },
      { _tag: "disabled", why: "by hand" }
    ]
    for (const state of states) {
      assert.deepStrictEqual(plan([tokenOf("a", { state })], courseAt(9 * every)), {
        due: [],
        next: Number.POSITIVE_INFINITY
      })
    }
  })

  it("moves a token by less than a place when another comes or goes, and skips none for it", () => {
    const has = { gone: false, come: false }
    const checks = checksOf(30, 12 * every, (tokens, now) => {
      if (now >= 3 * every && !has.gone) {
        has.gone = true
        tokens.splice(7, 1)
      }
      if (now >= 6 * every && !has.come) {
        has.come = true
        tokens.push(tokenOf("new", { createdAt: now }))
      }
    })
    assert.strictEqual(new Set(checks.map(({ id }) => id)).size, 31)
    for (const id of new Set(checks.map(({ id }) => id)).values()) {
      const times = checks.filter((check) => check.id === id).map(({ at }) => at)
      for (const [n, at] of times.slice(1).entries()) {
        assert.isAtLeast(at - times[n]!, every - every / 29)
        assert.isAtMost(at - times[n]!, every + every / 29)
      }
    }
  })

  const Ms = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5_000 }))
  const State = Schema.Union([
    Schema.TaggedStruct("active", {}),
    Schema.TaggedStruct("disabled", { why: Schema.Literal("errors"), until: Schema.optionalKey(Ms) }),
    Schema.TaggedStruct("cooling", {
      why: Schema.Literals(["throttled", "access rejected"]),
      until: Ms,
      source: Schema.Literals(["stated", "guessed"])
    }),
    Schema.TaggedStruct("exhausted", { until: Ms, source: Schema.Literals(["stated", "guessed"]) }),
    Schema.TaggedStruct("dead", { why: Schema.Literal("blocked") })
  ])
  const Token = Schema.Struct({
    state: State,
    createdAt: Ms,
    lastCheck: Schema.optionalKey(Ms),
    provenAt: Schema.optionalKey(Ms),
    tried: Schema.optionalKey(Ms)
  })
  const tokensOf = (all: ReadonlyArray<typeof Token.Type>) =>
    all.map(({ createdAt, lastCheck, provenAt, state }, i) =>
      tokenOf(`token-${i}`, {
        state,
        createdAt,
        provenAt,
        lastCheck: lastCheck === undefined ? undefined : { at: lastCheck }
      })
    )

  it.prop(
    "says when to look again: not one instant before it does another token fall due, and one does then",
    [Schema.Array(Token).check(Schema.isMaxLength(6)), Ms, Ms],
    ([all, since, now]) => {
      const tokens = tokensOf(all)
      const tried = (id: TokenId) => all[tokens.findIndex((token) => token.id === id)]?.tried
      const course = { now, every: 1_000, since, tried }
      const { due, next } = plan(tokens, course)
      const others = (at: number) =>
        plan(tokens, { ...course, now: at }).due.filter(({ id }) => !due.some((token) => token.id === id))
      assert.isAbove(next, now)
      if (next === Number.POSITIVE_INFINITY) return
      for (let at = now; at < next; at += 97) assert.deepStrictEqual(others(at), [])
      assert.deepStrictEqual(others(next - 1), [])
      assert.isNotEmpty(others(next))
    },
    { arbitrary: { runs: 1_000 } }
  )

  it.prop(
    "a token whose checks are made as they fall due, late or not, has one in each interval and never two in half of one",
    [Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 })), Schema.Array(Ms).check(Schema.isMinLength(5))],
    ([count, delays]) => {
      const tokens = Array.from({ length: count }, (_, i) => tokenOf(`token-${i}`))
      const times = new Map(tokens.map(({ id }): [string, Array<number>] => [id, []]))
      let now = 0
      for (let step = 0; now < 10_000; step++) {
        const course = courseAt(now, { every: 1_000 })
        for (const { id } of plan(tokens, course).due) {
          times.get(id)?.push(now)
          const at = tokens.findIndex((token) => token.id === id)
          tokens[at] = { ...tokens[at]!, lastCheck: { at: now } }
        }
        // Now and then the next look comes late.
        now = plan(tokens, course).next + (step % 3 === 0 ? delays[step % delays.length]! % 400 : 0)
      }
      for (const checks of times.values()) {
        assert.isAtLeast(checks.length, 8)
        for (const [n, at] of checks.slice(1).entries()) {
          assert.isAbove(at - checks[n]!, 500)
          assert.isAtMost(at - checks[n]!, 1_500)
        }
      }
    },
    { arbitrary: { runs: 300 } }
  )
})
