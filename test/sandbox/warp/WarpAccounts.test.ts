import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { WarpAccounts } from "../../../src/sandbox/warp/WarpAccounts.ts"
import type { WarpAccountsOptions } from "../../../src/sandbox/warp/WarpAccounts.ts"

const inSandbox =
  (options: Partial<WarpAccountsOptions> = {}) =>
  <A, E>(test: Effect.Effect<A, E, WarpAccounts>) =>
    Effect.provide(test, WarpAccounts.layerWith({ seed: "test", ...options }))

const newAnonymous = Effect.gen(function* () {
  const accounts = yield* WarpAccounts
  const { custom } = yield* accounts.create
  return yield* accounts.exchange(custom)
})

/** How many units an account gives. */
const drain = Effect.fnUntraced(function* (access: string) {
  const accounts = yield* WarpAccounts
  const account = yield* accounts.authenticate(access)
  let units = 0
  while ((yield* accounts.spend(account)) !== undefined) units++
  return units
})

const ample = { creationLimit: [] }

describe("WarpAccounts", () => {
  it.effect("creates five users in a minute, and the sixth as soon as the first is a minute old", () =>
    Effect.gen(function* () {
      const accounts = yield* WarpAccounts
      for (let created = 0; created < 5; created++) {
        yield* accounts.create
        yield* TestClock.adjust("1 second")
      }
      yield* TestClock.adjust("54999 millis")
      assert.strictEqual((yield* Effect.flip(accounts.create))._tag, "CreationRefused")
      yield* TestClock.adjust("1 millis")
      yield* accounts.create
    }).pipe(inSandbox())
  )

  it.effect("gives every anonymous account between ten and twenty units, the same ones for the same seed", () =>
    Effect.gen(function* () {
      const drawn = Effect.gen(function* () {
        const quotas: Array<number> = []
        for (let user = 0; user < 40; user++) quotas.push(yield* drain((yield* newAnonymous).access))
        return quotas
      })
      const quotas = yield* inSandbox(ample)(drawn)
      assert.isTrue(quotas.every((units) => units >= 10 && units <= 20))
      assert.isAtLeast(new Set(quotas).size, 5)
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(yield* inSandbox(ample)(drawn), quotas)
      assert.notDeepEqual(yield* inSandbox({ ...ample, seed: "another" })(drawn), quotas)
    })
  )

  it.effect("tells how much of a quota is used, and refills it at the instant it named", () =>
    Effect.gen(function* () {
      const accounts = yield* WarpAccounts
      const { access, account } = yield* newAnonymous
      const limit = yield* drain(access)
      const { refilledAt } = yield* accounts.quota(account)
      assert.deepStrictEqual(yield* accounts.quota(account), { limit, used: limit, refilledAt })
      yield* TestClock.setTime(refilledAt - 1)
      assert.isUndefined(yield* accounts.spend(account))
      yield* TestClock.setTime(refilledAt)
      assert.isDefined(yield* accounts.spend(account))
    }).pipe(inSandbox())
  )

  it.effect("gives one of two callers the last unit", () =>
    Effect.gen(function* () {
      const accounts = yield* WarpAccounts
      const { account } = yield* newAnonymous
      const answers = yield* Effect.all([accounts.spend(account), accounts.spend(account)], {
        concurrency: "unbounded"
      })
      assert.lengthOf(
        answers.filter((unit) => unit !== undefined),
        1
      )
    }).pipe(inSandbox({ anonymousQuota: { min: 1, max: 1 } }))
  )

  it.effect("accepts an access token until the instant it expires", () =>
    Effect.gen(function* () {
      const accounts = yield* WarpAccounts
      const { access } = yield* newAnonymous
      yield* TestClock.adjust("3599999 millis")
      yield* accounts.authenticate(access)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Effect.flip(accounts.authenticate(access))).reason, "ID token has expired at: 3600")
    }).pipe(inSandbox())
  )

  it.effect("takes each token for its own purpose only", () =>
    Effect.gen(function* () {
      const accounts = yield* WarpAccounts
      const { custom } = yield* accounts.create
      const { access, refresh } = yield* accounts.exchange(custom)
      for (const wrong of [access, refresh]) {
        assert.strictEqual((yield* Effect.flip(accounts.exchange(wrong))).code, "INVALID_CUSTOM_TOKEN")
      }
      for (const wrong of [access, custom]) {
        assert.strictEqual((yield* Effect.flip(accounts.refresh(wrong))).code, "INVALID_REFRESH_TOKEN")
      }
      for (const wrong of [custom, refresh]) {
        assert.strictEqual((yield* Effect.flip(accounts.authenticate(wrong))).reason, "ID token is invalid")
      }
    }).pipe(inSandbox())
  )

  it.effect("takes a custom token for an hour", () =>
    Effect.gen(function* () {
      const accounts = yield* WarpAccounts
      const { custom } = yield* accounts.create
      yield* TestClock.adjust("3599999 millis")
      yield* accounts.exchange(custom)
      yield* TestClock.adjust("1 millis")
      yield* Effect.flip(accounts.exchange(custom))
    }).pipe(inSandbox())
  )

  it.effect("keeps, rotates or revokes the refresh token as it is told", () =>
    Effect.gen(function* () {
      const accounts = yield* WarpAccounts
      const first = (yield* newAnonymous).refresh
      assert.strictEqual((yield* accounts.refresh(first)).refresh, first)
      const second = (yield* accounts.refresh(first, "rotate")).refresh
      assert.notStrictEqual(second, first)
      yield* accounts.refresh(first)
      const third = (yield* accounts.refresh(second, "revoke")).refresh
      for (const old of [first, second]) {
        assert.strictEqual((yield* Effect.flip(accounts.refresh(old))).code, "TOKEN_EXPIRED")
      }
      yield* accounts.refresh(third)
    }).pipe(inSandbox())
  )

  it.effect("honours after a restart what it issued before, while counting usage anew", () =>
    Effect.gen(function* () {
      const before = yield* inSandbox()(
        Effect.gen(function* () {
          const issued = yield* newAnonymous
          yield* drain(issued.access)
          return issued
        })
      )
      yield* Effect.gen(function* () {
        const accounts = yield* WarpAccounts
        const account = yield* accounts.authenticate(before.access)
        assert.deepStrictEqual(account, before.account)
        assert.strictEqual((yield* accounts.quota(account)).used, 0)
        assert.deepStrictEqual((yield* accounts.refresh(before.refresh)).account, before.account)
      }).pipe(inSandbox())
    })
  )

  it.effect("never gives a user created after a restart the account of one created before", () =>
    Effect.gen(function* () {
      const before = yield* inSandbox()(newAnonymous)
      yield* TestClock.adjust("1 second")
      const after = yield* inSandbox()(newAnonymous)
      assert.notStrictEqual(after.account.uid, before.account.uid)
    })
  )

  it.effect("has the same accounts from the start for the same seed, with a large personal quota", () =>
    Effect.gen(function* () {
      const provisioned = Effect.map(WarpAccounts, (accounts) => [accounts.apiKey, accounts.provisioned])
      assert.deepStrictEqual(yield* inSandbox()(provisioned), yield* inSandbox()(provisioned))
      assert.notDeepEqual(yield* inSandbox()(provisioned), yield* inSandbox({ seed: "another" })(provisioned))
      yield* Effect.gen(function* () {
        const accounts = yield* WarpAccounts
        const { account } = yield* accounts.refresh(accounts.provisioned.personal.refresh)
        assert.strictEqual(account.kind, "personal")
        assert.strictEqual((yield* accounts.quota(account)).limit, 100_000)
      }).pipe(inSandbox())
    })
  )

  it.effect("forgets usage, creations and revocations when it is reset", () =>
    Effect.gen(function* () {
      const accounts = yield* WarpAccounts
      const { access, account, refresh } = yield* newAnonymous
      yield* drain(access)
      yield* accounts.refresh(refresh, "revoke")
      for (let created = 1; created < 5; created++) yield* accounts.create
      yield* accounts.reset
      assert.strictEqual((yield* accounts.quota(account)).used, 0)
      yield* accounts.refresh(refresh)
      yield* accounts.create
    }).pipe(inSandbox())
  )
})
