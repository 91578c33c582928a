import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import { TokenId } from "../../src/domain/Token.ts"
import * as Desk from "../../src/pool/desk.ts"
import * as Holdings from "../../src/pool/holdings.ts"
import type { Secrets } from "../../src/pool/secrets.ts"
import { choose } from "../../src/pool/strategies.ts"
import type { Outcome, TokenEvent } from "../../src/pool/tokenState.ts"
import { Sealed } from "../../src/store/Vault.ts"
import { Store } from "../../src/store/Store.ts"
import { accessRejected, added, hour, quotaExhausted, succeeded, throttled } from "./records.ts"

const secrets: Secrets = {
  opened: () => Redacted.make("synthetic"),
  openAccess: () => Effect.succeed(Redacted.make("synthetic")),
  open: () => Effect.undefined,
  seal: () => Effect.die("nothing is sealed here"),
  isLocked: () => false,
  forget: () => {}
}
const outcomes: ReadonlyArray<Outcome> = [
  succeeded,
  succeeded,
  { _tag: "UpstreamFault" },
  accessRejected,
  throttled(),
  throttled(7_000),
  quotaExhausted(),
  { _tag: "Failed" }
]
const kinds = ["anonymous", "shared", "personal"] as const
const names = ["a", "b", "c", "d", "e", "f"]

const below = (n: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: n - 1 }))
const Lend = Schema.TaggedStruct("Lend", { exclude: Schema.Array(below(6)).check(Schema.isMaxLength(3)) })
const Step = Schema.Union([
  Lend,
  Lend,
  Lend,
  Schema.TaggedStruct("Report", { loan: below(8), outcome: below(outcomes.length) }),
  Schema.TaggedStruct("Report", { loan: below(8), outcome: below(3) }),
  Schema.TaggedStruct("Wait", { ms: Schema.Literals([0, 1, 900, 31_000, hour]) }),
  Schema.TaggedStruct("Add", { token: below(6), kind: below(3) }),
  Schema.TaggedStruct("Hold", { token: below(6) }),
  Schema.TaggedStruct("Remove", { token: below(6) })
])
const History = Schema.Array(Step).check(Schema.isMinLength(10), Schema.isMaxLength(60))

const play = Effect.fnUntraced(function* (history: typeof History.Type) {
  const holdings = yield* Holdings.make
  const desk = Desk.make(holdings, secrets, "us")
  const lent = new Map<string, { lentAt: number; turn: number }>()
  const loans: Array<Desk.Loan> = []
  let now = 0
  let turns = 0
  const tell = (token: number, event: TokenEvent) => holdings.record(TokenId.make(`id-${names[token]}`), now, event)

  for (const step of history) {
    switch (step._tag) {
      case "Add":
        yield* holdings.commit(TokenId.make(`id-${names[step.token]}`), added(names[step.token], kinds[step.kind]))
        break
      case "Hold":
        yield* tell(step.token, { _tag: "RenewalFailed", by: "us" })
        break
      case "Remove":
        yield* tell(step.token, { _tag: "Removed" })
        break
      case "Wait":
        now += step.ms
        yield* TestClock.setTime(now)
        break
      case "Report": {
        const [loan] = loans.splice(step.loan % Math.max(1, loans.length), 1)
        if (loan === undefined) break
        const { probesToken } = loan
        desk.giveBack(loan)
        yield* holdings.record(loan.record.id, now, {
          _tag: "Reported",
          outcome: outcomes[step.outcome]!,
          generation: loan.generation,
          ...(probesToken ? { probe: "us" } : {})
        })
        break
      }
      case "Lend": {
        const exclude = new Set(step.exclude.map((token) => TokenId.make(`id-${names[token]}`)))
        const candidates = [...holdings.all()]
          .filter((record) => !exclude.has(record.id) && desk.standing(record, now) !== "out")
          .map((record) => ({
            record,
            probe: desk.standing(record, now) === "due",
            ...(lent.get(record.id) ?? { lentAt: Number.NEGATIVE_INFINITY, turn: 0 })
          }))
        const expected = choose("priority", candidates, undefined)
        const loan = desk.pick("warp", "priority", exclude, now)
        assert.strictEqual(loan?.record.id, expected?.record.id)
        assert.strictEqual(loan?.probe, expected?.probe)
        if (loan === undefined) break
        lent.set(loan.record.id, { lentAt: now, turn: ++turns })
        loans.push(loan)
        break
      }
    }
  }
})

describe("the desk", () => {
  it.effect.prop(
    "lends whom a choice among all would, though it does not look at all each time",
    [History],
    ([history]) =>
      Effect.scoped(play(history)).pipe(
        Effect.provide(Store.layerMemory, { local: true }),
        Effect.provide(TestClock.layer(), { local: true })
      ),
    { timeout: 60_000, arbitrary: { runs: 400, size: 60 } }
  )

  it.effect("lends again, in time, what went out and comes back without anything being told of it", () =>
    Effect.gen(function* () {
      const holdings = yield* Holdings.make
      const desk = Desk.make(holdings, secrets, "us")
      const id = TokenId.make("id-a")
      yield* holdings.commit(id, added())
      const access = { sealed: Sealed.make("sealed-new"), expiresAt: 1_000 }
      yield* holdings.commit(id, { _tag: "Renewed", secrets: { access }, generation: 0 })
      yield* holdings.commit(id, { _tag: "RenewalFailed", by: "us" })
      const lends = (at: number) => {
        const loan = desk.pick("warp", "priority", new Set(), at)
        if (loan !== undefined) desk.giveBack(loan)
        return loan !== undefined
      }
      assert.deepStrictEqual([0, 999, 1_000, 4_999, 5_000].map(lends), [true, true, false, false, true])
    }).pipe(Effect.scoped, Effect.provide(Store.layerMemory))
  )

  it.effect("looks at two tokens for each loan, however many there are, while nothing but success is told", () =>
    Effect.gen(function* () {
      const holdings = yield* Holdings.make
      let looks = 0
      const watched = { ...holdings, get: (id: TokenId) => (looks++, holdings.get(id)) }
      const desk = Desk.make({ ...watched, all: () => assert.fail("it looked at all") }, secrets, "us")
      for (let i = 0; i < 500; i++) {
        yield* holdings.commit(TokenId.make(`id-t${i}`), added(`t${i}`))
        const other = { ...added(`o${i}`), provider: "other" } as TokenEvent
        yield* holdings.commit(TokenId.make(`id-o${i}`), other)
      }
      const lendOne = (at: number) => {
        const loan = desk.pick("warp", "priority", new Set(), at)
        if (loan === undefined) return assert.fail("nothing was lent")
        desk.giveBack(loan)
        const reported: TokenEvent = { _tag: "Reported", outcome: succeeded, generation: 0 }
        return holdings.record(loan.record.id, at, reported)
      }
      yield* lendOne(0)
      looks = 0
      for (let at = 1; at <= 2_000; at++) yield* lendOne(at)
      // At the one that was lent before, which is put where it belongs by now, and at the one that is lent.
      assert.isAtMost(looks, 2 * 2_000)
    }).pipe(Effect.scoped, Effect.provide(Store.layerMemory))
  )
})
