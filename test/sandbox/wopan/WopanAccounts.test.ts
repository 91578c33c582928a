import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { type IssuedToken, WopanAccounts } from "../../../src/sandbox/wopan/WopanAccounts.ts"

/** One life of the accounts: what it forgets is what a restart forgets. */
const life =
  (seed = "seed") =>
  <A, E>(test: Effect.Effect<A, E, WopanAccounts>) =>
    Effect.provide(test, Layer.fresh(WopanAccounts.layerWith({ seed })))

const first = Effect.map(WopanAccounts, ({ provisioned }): IssuedToken => {
  const [token] = provisioned
  if (token === undefined) throw new TypeError("no account")
  return token
})

const authenticate = (access: string) =>
  WopanAccounts.use((accounts) => accounts.authenticate(access)).pipe(
    Effect.match({ onFailure: ({ code }) => code, onSuccess: (account) => account })
  )
const renew = (refresh: string) => WopanAccounts.use((accounts) => accounts.renew(refresh))
const isRefused = (refresh: string) => Effect.isFailure(renew(refresh))

describe("WopanAccounts", () => {
  it.effect("start with two accounts and constants that depend on the seed alone", () =>
    Effect.gen(function* () {
      const told = Effect.map(WopanAccounts, ({ constants, provisioned }) => ({ constants, provisioned }))
      const here = yield* life()(told)
      assert.deepStrictEqual(yield* life()(told), here)
      const other = yield* life("another")(told)
      assert.lengthOf(here.provisioned, 2)
      for (const name of ["clientId", "clientSecret", "iv"] as const) {
        assert.notStrictEqual(other.constants[name], here.constants[name])
      }
      assert.match(here.constants.clientSecret, /^[\x21-\x7e]{16}$/)
      assert.match(here.constants.iv, /^[\x21-\x7e]{16}$/)
      const secrets = [...here.provisioned, ...other.provisioned].flatMap((token) => [
        token.accessToken,
        token.refreshToken
      ])
      assert.strictEqual(new Set(secrets).size, 8)
      for (const secret of secrets) assert.match(secret, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    })
  )

  it.effect("renew by rotation: whatever was issued before is void", () =>
    Effect.gen(function* () {
      const old = yield* first
      const renewed = yield* renew(old.refreshToken)
      assert.strictEqual(yield* authenticate(old.accessToken), "1001")
      assert.isTrue(yield* isRefused(old.refreshToken))
      assert.strictEqual(yield* authenticate(renewed.accessToken), "account-1")
      const again = yield* renew(renewed.refreshToken)
      assert.strictEqual(yield* authenticate(again.accessToken), "account-1")
    }).pipe(life())
  )

  it.effect("let a token of one account void nothing of the other", () =>
    Effect.gen(function* () {
      const { provisioned } = yield* WopanAccounts
      yield* renew((yield* first).refreshToken)
      assert.strictEqual(yield* authenticate(provisioned[1]?.accessToken ?? ""), "account-2")
    }).pipe(life())
  )

  it.effect("take neither a refresh token for access nor an access token for renewal", () =>
    Effect.gen(function* () {
      const { accessToken, refreshToken } = yield* first
      assert.strictEqual(yield* authenticate(refreshToken), "1001")
      assert.isTrue(yield* isRefused(accessToken))
    }).pipe(life())
  )

  it.effect("let an access token end after seven days, and its renewal be good for as long as it says", () =>
    Effect.gen(function* () {
      const { accessToken, expiresAt, refreshToken } = yield* first
      assert.strictEqual(expiresAt, 604_799_000)
      yield* TestClock.setTime(604_798_999)
      assert.strictEqual(yield* authenticate(accessToken), "account-1")
      yield* TestClock.setTime(604_799_000)
      assert.strictEqual(yield* authenticate(accessToken), "9999")
      yield* TestClock.setTime(700_000_001)
      const renewed = yield* renew(refreshToken)
      const { lifetimeSeconds } = yield* WopanAccounts
      assert.strictEqual(lifetimeSeconds, 604_799)
      yield* TestClock.setTime(700_000_000 + 604_799_000)
      assert.strictEqual(yield* authenticate(renewed.accessToken), "account-1")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* authenticate(renewed.accessToken), "9999")
      assert.strictEqual(yield* authenticate(accessToken), "1001")
    }).pipe(life())
  )

  it.effect("after a restart take a token of any renewal, and then none that is older", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_000_000)
      const issued = yield* life()(
        Effect.gen(function* () {
          const zero = yield* first
          const one = yield* renew(zero.refreshToken)
          return { zero, one, two: yield* renew(one.refreshToken) }
        })
      )
      for (const kept of [issued.zero, issued.one, issued.two]) {
        yield* life()(
          Effect.gen(function* () {
            const renewed = yield* renew(kept.refreshToken)
            assert.isTrue(yield* isRefused(kept.refreshToken))
            assert.strictEqual(yield* authenticate(renewed.accessToken), "account-1")
          })
        )
      }
      yield* life()(
        Effect.gen(function* () {
          assert.strictEqual(yield* authenticate(issued.two.accessToken), "account-1")
          assert.strictEqual(yield* authenticate(issued.one.accessToken), "1001")
          assert.isTrue(yield* isRefused(issued.zero.refreshToken))
          yield* TestClock.setTime(issued.two.expiresAt)
          assert.strictEqual(yield* authenticate(issued.two.accessToken), "9999")
        })
      )
    })
  )

  it.effect(
    "expire an access token of any renewal until the next, also one that a restarted sandbox has not seen",
    () =>
      Effect.gen(function* () {
        const kept = yield* life()(Effect.flatMap(first, ({ refreshToken }) => renew(refreshToken)))
        yield* life()(
          Effect.gen(function* () {
            const { expire, provisioned } = yield* WopanAccounts
            assert.isTrue(yield* expire("account-1"))
            assert.isFalse(yield* expire("nobody"))
            assert.strictEqual(yield* authenticate(kept.accessToken), "9999")
            assert.strictEqual(yield* authenticate(provisioned[1]?.accessToken ?? ""), "account-2")
            const renewed = yield* renew(kept.refreshToken)
            assert.strictEqual(yield* authenticate(renewed.accessToken), "account-1")
          })
        )
      })
  )

  it.effect("void both tokens at a logout, and have all of them back after a reset", () =>
    Effect.gen(function* () {
      const { logout, reset } = yield* WopanAccounts
      const { accessToken, refreshToken } = yield* first
      yield* logout(accessToken)
      assert.strictEqual(yield* authenticate(accessToken), "1001")
      assert.isTrue(yield* isRefused(refreshToken))
      yield* reset
      assert.strictEqual(yield* authenticate(accessToken), "account-1")
      const renewed = yield* renew(refreshToken)
      yield* reset
      assert.strictEqual(yield* authenticate(accessToken), "account-1")
      assert.strictEqual(yield* authenticate(renewed.accessToken), "account-1")
    }).pipe(life())
  )

  it.effect("tell whose a token is, void or not, and whose none is", () =>
    Effect.gen(function* () {
      const { ownerOf, provisioned } = yield* WopanAccounts
      const { refreshToken } = yield* first
      yield* renew(refreshToken)
      assert.strictEqual(ownerOf(refreshToken), "account-1")
      assert.strictEqual(ownerOf(provisioned[1]?.accessToken ?? ""), "account-2")
      assert.isUndefined(ownerOf("synthetic"))
    }).pipe(life())
  )

  it.effect("hold so many files and folders and no more", () =>
    Effect.gen(function* () {
      const { addFile, remove } = yield* WopanAccounts
      const deep = Array.from({ length: 15 }, (_, i) => `${i}`)
      let count = 0
      while ((yield* addFile("account-1", [`${count}`, ...deep], 1)) === "Added") count++
      // It starts with some 1,000, and each of these takes sixteen.
      assert.isAtMost(count, 19_000 / 16)
      assert.isAtLeast(count, 18_000 / 16)
      assert.strictEqual(yield* addFile("account-1", [`${count}`, ...deep], 1), "Full")
      assert.strictEqual(yield* addFile("account-2", ["a"], 1), "Added")
      assert.isTrue(yield* remove("account-1", ["0"]))
      assert.strictEqual(yield* addFile("account-1", [`${count}`, ...deep], 1), "Added")
    }).pipe(life())
  )
})
