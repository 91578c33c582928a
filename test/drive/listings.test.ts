import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { TokenId } from "../../src/domain/Token.ts"
import * as Listings from "../../src/drive/listings.ts"
import { Store } from "../../src/store/Store.ts"
import { file } from "./drives.ts"

const account = { id: TokenId.make("wopan-personal-0001"), name: "one" }
const limits = { listings: 10, entries: 100, listingEntries: 50 }

/** A process on the store. */
const open = Effect.flatMap(Store, (store) => Listings.make({ store, limits, accounts: Effect.succeed(undefined) }))
const at = (listedAt: number, ...names: ReadonlyArray<string>) => ({
  listedAt,
  entries: names.map((name) => file(name))
})

describe("known listings", () => {
  it.effect("are the newest, whichever process kept them last", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* open, yield* open]
      yield* TestClock.adjust(10)
      yield* one.keep(account, "a", at(9, "new"))
      yield* two.keep(account, "a", at(3, "old"))
      for (const process of [one, two]) assert.deepStrictEqual(yield* process.find(account, "a"), at(9, "new"))
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("do not stand in the way of later ones when the clock was set back", () =>
    Effect.gen(function* () {
      const listings = yield* open
      yield* TestClock.setTime(1_000)
      yield* listings.keep(account, "a", at(1_000, "before"))
      yield* TestClock.setTime(500)
      yield* listings.keep(account, "a", at(500, "after"))
      assert.deepStrictEqual(yield* listings.find(account, "a"), at(500, "after"))
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("are not those of an account of another name, should its token come to have the same id", () =>
    Effect.gen(function* () {
      const listings = yield* open
      yield* listings.keep(account, "a", at(0, "x"))
      assert.isUndefined(yield* listings.find({ ...account, name: "two" }, "a"))
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("hold no more than 10 of two processes after an hour, the newest", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* open, yield* open]
      for (let i = 0; i < 8; i += 1) {
        yield* TestClock.adjust(1)
        yield* one.keep(account, `one-${i}`, at(2 * i, "x"))
        yield* two.keep(account, `two-${i}`, at(2 * i + 1, "x"))
      }
      yield* TestClock.adjust("1 hour")
      const kept: Array<number> = []
      for (const path of ["one", "two"].flatMap((name) => Array.from({ length: 8 }, (_, i) => `${name}-${i}`))) {
        const found = yield* one.find(account, path)
        if (found !== undefined) kept.push(found.listedAt)
      }
      assert.deepStrictEqual(
        kept.toSorted((a, b) => a - b),
        [6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
      )
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("are gone when dropped", () =>
    Effect.gen(function* () {
      const listings = yield* open
      yield* listings.keep(account, "a", at(0, "x"))
      yield* listings.drop(account, "a")
      assert.isUndefined(yield* listings.find(account, "a"))
    }).pipe(Effect.provide(Store.layerMemory))
  )
})
