import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { AccessRejected, AccountBlocked, RequestRejected, Throttled } from "../../src/domain/Failure.ts"
import { PathUnknown } from "../../src/drive/Drive.ts"
import { ScriptedWopan, type ScriptedFolder } from "../../src/testing/ScriptedWopan.ts"
import type { WopanEntry } from "../../src/upstream/WopanClient.ts"
import { calls, file, files, folder, leased, listed, listing, start, unavailable, world } from "./drives.ts"

const namesOf = ({ entries }: { readonly entries: ReadonlyArray<WopanEntry> }) => entries.map(({ name }) => name)
const rejected = new AccessRejected({ provider: "wopan" })

describe("listing the drive", () => {
  // Protocols 6: one page of 100 only, and exactly one folder level.
  it.effect("lists all of 1,000 files that lie in nested folders", () => {
    const tree: ScriptedFolder = {
      ...files(150, "root"),
      a: { ...files(250, "a"), b: { ...files(399, "b"), c: { d: { e: files(201, "e") } } } }
    }
    return Effect.gen(function* () {
      const { drive } = yield* start(["one"])
      const found: Array<string> = []
      const walk = (path: string): Effect.Effect<void, unknown> =>
        Effect.gen(function* () {
          const { entries } = yield* drive.list({ path })
          for (const { name, type } of entries) {
            const here = path === "" ? name : `${path}/${name}`
            if (type === "folder") yield* walk(here)
            else found.push(here)
          }
        })
      yield* walk("")
      assert.strictEqual(new Set(found).size, 1_000)
      assert.include(found, "a/b/c/d/e/e-00200")
      assert.include(found, "a/b/b-00398")
    }).pipe(Effect.provide(world({ one: tree })))
  })

  for (const [count, pages] of [
    [0, 1],
    [99, 1],
    [100, 2],
    [101, 2],
    [200, 3]
  ] as const) {
    it.effect(`asks for ${pages} pages of a folder of ${count}, and lists each entry once`, () =>
      Effect.gen(function* () {
        const { drive } = yield* start(["one"])
        const { account, ageMs, entries, source } = yield* drive.list({ path: "" })
        assert.deepStrictEqual({ account, ageMs, source }, { account: "one", ageMs: 0, source: "realtime" })
        assert.deepStrictEqual(namesOf({ entries }), Object.keys(files(count)))
        assert.strictEqual(yield* calls("list"), pages)
      }).pipe(Effect.provide(world({ one: files(count) })))
    )
  }

  it.effect("finds a folder that stands on a later page of its parent", () =>
    Effect.gen(function* () {
      const { drive } = yield* start(["one"])
      assert.deepStrictEqual(namesOf(yield* drive.list({ path: "z/y" })), ["deep"])
      assert.deepStrictEqual(yield* listed, ["one:#0", "one:#1", "one:z#0", "one:z/y#0"])
    }).pipe(Effect.provide(world({ one: { ...files(130), z: { y: { deep: 1 } } } })))
  )

  it.effect("takes names as they are: other case, other form of the same letter or more spaces are other names", () => {
    const odd = {
      ü: { composed: 1 },
      "u\u0308": { decomposed: 1 },
      " a ": { spaced: 1 },
      "%2e%2e": { escaped: 1 },
      "文件 夹🎈": { chinese: 1 },
      __proto: { proto: 1 }
    }
    return Effect.gen(function* () {
      const { drive } = yield* start(["one"])
      for (const [name, held] of Object.entries(odd)) {
        assert.deepStrictEqual(namesOf(yield* drive.list({ path: name })), Object.keys(held), name)
      }
      for (const path of ["a", "Ü", "文件夹🎈", "constructor", "__proto__"]) {
        assert.instanceOf(yield* Effect.flip(drive.list({ path })), PathUnknown, path)
      }
    }).pipe(Effect.provide(world({ one: odd })))
  })

  it.effect("refuses what no name can be without asking the drive, and says why without repeating it whole", () =>
    Effect.gen(function* () {
      const { drive } = yield* start(["one"])
      const paths = [
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/.",
        "a\u0000",
        "a\nb",
        "\u0085",
        "\ud800",
        "x".repeat(4_097)
      ]
      for (const path of paths) {
        for (const ask of [drive.list({ path }), drive.download({ path })]) {
          const failure = yield* Effect.flip<unknown, unknown, never>(ask)
          assert.instanceOf(failure, PathUnknown, path)
          assert.isDefined(failure.reason)
          assert.isBelow(failure.path.length, 101)
          assert.notMatch(failure.path, /\p{Cc}/u)
        }
      }
      assert.instanceOf(yield* Effect.flip(drive.download({ path: "" })), PathUnknown)
      assert.strictEqual(yield* calls("list"), 0)
    }).pipe(Effect.provide(world({ one: { a: { b: 1 } } })))
  )

  it.effect("knows no folder where there is a file, or nothing", () =>
    Effect.gen(function* () {
      const { drive } = yield* start(["one"])
      for (const path of ["file", "file/deeper", "a/none", "none/at/all"]) {
        const failure = yield* Effect.flip(drive.list({ path }))
        assert.instanceOf(failure, PathUnknown, path)
        assert.strictEqual(failure.path, path)
      }
    }).pipe(Effect.provide(world({ one: { file: 1, a: { b: 1 } } })))
  )

  it.effect("lists the first folder of a name, and finds the first file of it", () => {
    const client = listing((id) => ({
      entries:
        id === "0" ? [file("f1", "x"), folder("d1", "x"), file("f2", "x"), folder("d2", "x")] : [file(`in-${id}`)],
      isLast: true
    }))
    return Effect.gen(function* () {
      const { drive } = yield* start(["one"], {}, client)
      assert.deepStrictEqual(namesOf(yield* drive.list({ path: "x" })), ["in-d1"])
      assert.strictEqual(Redacted.value((yield* drive.download({ path: "x" })).url), "https://drive.test/fid-f1")
    }).pipe(Effect.provide(world({ one: {} })))
  })

  it.effect("lists an entry once that moved to the next page while the folder was listed", () => {
    const client = listing((_, page) =>
      page === 0
        ? { entries: [file("a"), file("b")], isLast: false }
        : { entries: [file("b"), file("c")], isLast: true }
    )
    return Effect.gen(function* () {
      const { drive } = yield* start(["one"], {}, client)
      assert.deepStrictEqual(namesOf(yield* drive.list({ path: "" })), ["a", "b", "c"])
    }).pipe(Effect.provide(world({ one: {} })))
  })

  it.effect("ends a folder that never does: one that repeats itself at once, one that grows at the most pages", () => {
    let asked = 0
    const repeating = listing(() => {
      asked += 1
      return { entries: [file("a")], isLast: false }
    })
    const growing = listing((_, page) => {
      asked += 1
      return { entries: [file(`f${page}`)], isLast: false }
    })
    return Effect.gen(function* () {
      const one = yield* start(["one"], {}, repeating)
      assert.strictEqual((yield* Effect.flip(one.drive.list({ path: "" })))._tag, "UpstreamUnavailable")
      assert.strictEqual(asked, 2)
      const two = yield* start(["one"], { maxPages: 7 }, growing)
      assert.strictEqual((yield* Effect.flip(two.drive.list({ path: "" })))._tag, "UpstreamUnavailable")
      assert.strictEqual(asked, 9)
    }).pipe(Effect.provide(world({ one: {} })))
  })

  it.effect("goes on at the same page with a renewed secret when the old one ends in the middle", () =>
    Effect.gen(function* () {
      const { drive, pool } = yield* start(["one"])
      const wopan = yield* ScriptedWopan
      yield* wopan.delay("list", "1 second", 2)
      const listing = yield* Effect.forkChild(drive.list({ path: "" }))
      yield* TestClock.adjust("1500 millis")
      yield* wopan.expire("one")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(listing)).entries.length, 250)
      assert.deepStrictEqual(yield* listed, ["one:#0", "one:#1", "one:#1", "one:#2"])
      assert.strictEqual(yield* calls("refresh"), 1)
      const [view] = yield* pool.list("wopan")
      assert.deepStrictEqual([view?.state._tag, view?.succeeded, view?.failed], ["active", 1, 0])
    }).pipe(Effect.provide(world({ one: files(250) })))
  )

  it.effect("renews once for ten listings whose secret ends under them", () => {
    const tree = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`dir-${i}`, files(150)]))
    return Effect.gen(function* () {
      const { drive } = yield* start(["one"])
      const wopan = yield* ScriptedWopan
      yield* drive.list({ path: "" })
      yield* wopan.delay("list", "1 second", 10)
      yield* wopan.delay("refresh", "1 second")
      const all = yield* Effect.forkChild(
        Effect.forEach(Object.keys(tree), (path) => drive.list({ path }), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("500 millis")
      yield* wopan.expire("one")
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(
        (yield* Fiber.join(all)).map(({ entries }) => entries.length),
        Array.from({ length: 10 }, () => 150)
      )
      assert.strictEqual(yield* calls("refresh"), 1)
    }).pipe(Effect.provide(world({ one: tree })))
  })

  it.effect("ends when the renewed secret is rejected too, and the pool is told", () =>
    Effect.gen(function* () {
      const { drive, pool } = yield* start(["one"])
      yield* ScriptedWopan.use((wopan) => wopan.fail("list", rejected, 5))
      assert.strictEqual((yield* Effect.flip(drive.list({ path: "" })))._tag, "AccessRejected")
      assert.deepStrictEqual([yield* calls("list"), yield* calls("refresh")], [2, 1])
      assert.strictEqual((yield* pool.list("wopan"))[0]?.usable, false)
      assert.strictEqual(yield* leased(pool), 0)
    }).pipe(Effect.provide(world({ one: {} })))
  )

  it.effect("renews once in a listing, though the new secret is rejected on a later page", () => {
    let asked = 0
    const client = listing((_, page) => {
      asked += 1
      return asked === 1 || page === 1 ? rejected : { entries: [file(`f${page}`)], isLast: false }
    })
    return Effect.gen(function* () {
      const { drive } = yield* start(["one"], {}, client)
      assert.strictEqual((yield* Effect.flip(drive.list({ path: "" })))._tag, "AccessRejected")
      assert.deepStrictEqual([asked, yield* calls("refresh")], [3, 1])
    }).pipe(Effect.provide(world({ one: {} })))
  })

  it.effect("tells the pool of a rejected secret that cannot be renewed for now", () =>
    Effect.gen(function* () {
      const { drive, pool } = yield* start(["one"])
      const wopan = yield* ScriptedWopan
      yield* wopan.expire("one")
      yield* wopan.fail("refresh", unavailable("malformed"), 3)
      const asking = yield* Effect.forkChild(drive.list({ path: "" }))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Effect.flip(Fiber.join(asking)))._tag, "NoTokenUsable")
      assert.strictEqual((yield* pool.list("wopan"))[0]?.failed, 1)
    }).pipe(Effect.provide(world({ one: {} })))
  )

  it.effect("ends without another call when the secret cannot be renewed", () =>
    Effect.gen(function* () {
      const { drive, pool } = yield* start(["one"])
      yield* ScriptedWopan.use((wopan) => wopan.revoke("one"))
      assert.strictEqual((yield* Effect.flip(drive.list({ path: "" })))._tag, "NoTokenUsable")
      assert.deepStrictEqual([yield* calls("list"), yield* calls("refresh")], [1, 1])
      assert.strictEqual((yield* pool.list("wopan"))[0]?.state._tag, "dead")
    }).pipe(Effect.provide(world({ one: {} })))
  )

  it.effect("asks a page once more after half a second when what failed may pass, and no third time", () =>
    Effect.gen(function* () {
      const { drive } = yield* start(["one"])
      const wopan = yield* ScriptedWopan
      yield* wopan.fail("list", unavailable("connection"))
      const first = yield* Effect.forkChild(drive.list({ path: "" }))
      yield* TestClock.adjust("499 millis")
      assert.strictEqual(yield* calls("list"), 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(first)).source, "realtime")
      yield* wopan.fail("list", unavailable("timeout"), 3)
      const second = yield* Effect.forkChild(drive.list({ path: "a" }))
      yield* TestClock.adjust("10 seconds")
      assert.match((yield* Effect.flip(Fiber.join(second))).message, /timeout/)
      assert.strictEqual(yield* calls("list"), 4)
    }).pipe(Effect.provide(world({ one: { a: {} } })))
  )

  for (const failure of [
    new RequestRejected({ provider: "wopan", status: 400, code: null, reason: "synthetic" }),
    new Throttled({ provider: "wopan", signature: "synthetic" }),
    new AccountBlocked({ provider: "wopan", reason: "synthetic" }),
    unavailable("malformed")
  ]) {
    it.effect(`fails with ${failure._tag} as it is, asked once`, () =>
      Effect.gen(function* () {
        const { drive, pool } = yield* start(["one"])
        yield* ScriptedWopan.use((wopan) => wopan.fail("list", failure, 3))
        assert.strictEqual(yield* Effect.flip<unknown, unknown, never>(drive.list({ path: "" })), failure)
        assert.strictEqual(yield* calls("list"), 1)
        assert.strictEqual(yield* leased(pool), 0)
      }).pipe(Effect.provide(world({ one: {} })))
    )
  }

  it.effect("fails after 60 seconds in all, aborts and gives the token back", () =>
    Effect.gen(function* () {
      const { drive, pool } = yield* start(["one"])
      yield* ScriptedWopan.use((wopan) => wopan.delay("list", "25 seconds", 10))
      const listing = yield* Effect.forkChild(drive.list({ path: "" }))
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual(yield* leased(pool), 1)
      yield* TestClock.adjust("1 millis")
      assert.match((yield* Effect.flip(Fiber.join(listing))).message, /within 1m/)
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual([yield* calls("list"), yield* leased(pool)], [3, 0])
    }).pipe(Effect.provide(world({ one: files(500) })))
  )

  it.effect("shares the calls of those who want the same at once, until the last of them leaves", () =>
    Effect.gen(function* () {
      const { drive, pool } = yield* start(["one"])
      yield* ScriptedWopan.use((wopan) => wopan.delay("list", "1 second", 20))
      const ask = Effect.forkChild(drive.list({ path: "", realtime: true }), { startImmediately: true })
      const [first, second, third] = [yield* ask, yield* ask, yield* ask]
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(second)).entries.length, 250)
      assert.strictEqual((yield* Fiber.join(third)).entries.length, 250)
      assert.strictEqual(yield* calls("list"), 3)

      const [fourth, fifth] = [yield* ask, yield* ask]
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* leased(pool), 1)
      yield* Fiber.interrupt(fourth)
      assert.strictEqual(yield* leased(pool), 1)
      yield* Fiber.interrupt(fifth)
      assert.strictEqual(yield* leased(pool), 0)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* calls("list"), 4)
      assert.strictEqual((yield* pool.list("wopan"))[0]?.state._tag, "active")
    }).pipe(Effect.provide(world({ one: files(250) })))
  )
})
