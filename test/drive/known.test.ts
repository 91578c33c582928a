import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Metric, Schema } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PathUnknown } from "../../src/drive/Drive.ts"
import { AccessRejected, RequestRejected } from "../../src/domain/Failure.ts"
import * as Sqlite from "../../src/store/Sqlite.ts"
import { Store, StoreUnavailable } from "../../src/store/Store.ts"
import type { WopanEntry } from "../../src/upstream/WopanClient.ts"
import { ScriptedWopan } from "../../src/testing/ScriptedWopan.ts"
import { calls, file, files, folder, listed, listing, start, unavailable, world, worldOn } from "./drives.ts"

const minutes = (n: number) => n * 60_000
const anything = Schema.Json
const outage = ScriptedWopan.use((wopan) => wopan.outage(unavailable()))

describe("what is known of the drive", () => {
  it.effect("answers without a call for five minutes, not a millisecond longer, and never in real time", () =>
    Effect.gen(function* () {
      const { drive } = yield* start(["one"])
      yield* drive.list({ path: "a" })
      const before = yield* calls("list")
      yield* TestClock.adjust(minutes(5) - 1)
      const known = yield* drive.list({ path: "a" })
      assert.deepStrictEqual(
        [known.source, known.listedAt, known.ageMs, known.failure],
        ["cache", 0, minutes(5) - 1, undefined]
      )
      assert.deepStrictEqual(
        known.entries.map(({ fid, name, type }) => [name, type, fid]),
        [
          ["x", "file", "fid:one:a/x"],
          ["y", "folder", undefined]
        ]
      )
      assert.strictEqual(yield* calls("list"), before)
      assert.strictEqual((yield* drive.list({ path: "a", realtime: true })).source, "realtime")
      yield* TestClock.adjust(minutes(5))
      const asked = yield* drive.list({ path: "a" })
      assert.deepStrictEqual([asked.source, asked.listedAt, asked.ageMs], ["realtime", minutes(10) - 1, 0])
    }).pipe(Effect.provide(world({ one: { a: { x: 1, y: {} } } })))
  )

  it.effect("answers when the drive fails, with its age and how the drive failed, but not what it said", () =>
    Effect.gen(function* () {
      const { drive } = yield* start(["one"])
      yield* drive.list({ path: "" })
      yield* outage
      yield* TestClock.adjust(minutes(90))
      for (const realtime of [true, false]) {
        const { account, ageMs, entries, failure, listedAt, source } = yield* drive.list({ path: "", realtime })
        assert.deepStrictEqual(
          { account, ageMs, listedAt, source },
          {
            account: "one",
            ageMs: minutes(90),
            listedAt: 0,
            source: "cache"
          }
        )
        assert.strictEqual(entries.length, 120)
        assert.strictEqual(failure, "wopan is unavailable (malformed)")
      }
      assert.strictEqual((yield* Effect.flip(drive.list({ path: "other" })))._tag, "UpstreamUnavailable")
    }).pipe(Effect.provide(world({ one: files(120) })))
  )

  it.effect("does not answer for a folder that the drive says is gone, nor when the drive fails later", () =>
    Effect.gen(function* () {
      const { drive } = yield* start(["one"])
      const wopan = yield* ScriptedWopan
      yield* drive.list({ path: "a/b" })
      yield* wopan.hold("one", { a: { c: {} } })
      yield* TestClock.adjust(minutes(6))
      assert.instanceOf(yield* Effect.flip(drive.list({ path: "a/b" })), PathUnknown)
      yield* outage
      assert.strictEqual((yield* Effect.flip(drive.list({ path: "a/b" })))._tag, "UpstreamUnavailable")
    }).pipe(Effect.provide(world({ one: { a: { b: { x: 1 } } } })))
  )

  it.effect("leads down a path with fresh listings, and with none in real time", () =>
    Effect.gen(function* () {
      const { drive } = yield* start(["one"])
      yield* drive.list({ path: "a/b" })
      const before = (yield* listed).length
      yield* drive.list({ path: "a/b/c" })
      assert.deepStrictEqual((yield* listed).slice(before), ["one:a/b/c#0"])
      yield* drive.list({ path: "a/b/c", realtime: true })
      const fromRoot = ["one:#0", "one:a#0", "one:a/b#0", "one:a/b/c#0"]
      assert.deepStrictEqual((yield* listed).slice(before + 1), fromRoot)
      yield* TestClock.adjust("5 minutes")
      yield* drive.list({ path: "a/b/c" })
      assert.deepStrictEqual((yield* listed).slice(before + 5), fromRoot)
    }).pipe(Effect.provide(world({ one: { a: { b: { c: { d: 1 } } } } })))
  )

  it.effect("starts once more from the root when an id that was known is refused", () =>
    Effect.gen(function* () {
      const { drive, pool } = yield* start(["one"])
      const wopan = yield* ScriptedWopan
      yield* drive.list({ path: "a" })
      yield* wopan.fail(
        "list",
        new RequestRejected({ provider: "wopan", status: 400, code: null, reason: "synthetic" })
      )
      const before = (yield* listed).length
      assert.strictEqual((yield* drive.list({ path: "a/b" })).source, "realtime")
      assert.deepStrictEqual((yield* listed).slice(before), ["one:a/b#0", "one:#0", "one:a#0", "one:a/b#0"])
      yield* wopan.hold("one", { other: {} })
      assert.instanceOf(yield* Effect.flip(drive.list({ path: "a/b/c" })), PathUnknown)
      assert.strictEqual((yield* pool.list("wopan"))[0]?.failed, 0)
    }).pipe(Effect.provide(world({ one: { a: { b: { c: { x: 1 } } } } })))
  )

  // The dispatcher has one code for a secret that has ended and for a parameter it does not like.
  it.effect(
    "does not hold it against the token when an id that was known is refused as if the secret had ended",
    () => {
      let id = "old"
      const client = listing((asked) =>
        asked === "0"
          ? { entries: [folder(id, "a")], isLast: true }
          : asked === id
            ? { entries: [file(`in-${id}`)], isLast: true }
            : new AccessRejected({ provider: "wopan" })
      )
      return Effect.gen(function* () {
        const { drive, pool } = yield* start(["one"], {}, client)
        yield* drive.list({ path: "" })
        id = "new"
        assert.deepStrictEqual(
          (yield* drive.list({ path: "a" })).entries.map(({ name }) => name),
          ["in-new"]
        )
        const [view] = yield* pool.list("wopan")
        assert.deepStrictEqual([view?.failed, view?.usable], [0, true])
        assert.strictEqual(yield* calls("refresh"), 1)
      }).pipe(Effect.provide(world({ one: {} })))
    }
  )

  for (const [path, count] of [
    ["a", 2],
    ["a/b", 1]
  ] as const) {
    it.effect(`does not believe what only a known id says: that a folder is empty, or lacks a name (${path})`, () => {
      let id = "old"
      const held: Record<string, ReadonlyArray<WopanEntry>> = { new: [folder("b"), file("x")], b: [file("y")] }
      const client = listing((asked) => ({
        entries: asked === "0" ? [folder(id, "a")] : (held[asked] ?? []),
        isLast: true
      }))
      return Effect.gen(function* () {
        const { drive } = yield* start(["one"], {}, client)
        yield* drive.list({ path: "" })
        id = "new"
        assert.strictEqual((yield* drive.list({ path })).entries.length, count)
      }).pipe(Effect.provide(world({ one: {} })))
    })
  }

  it.effect("survives a restart, with its age", () => {
    const folder = mkdtempSync(join(tmpdir(), "weirgate-drive-"))
    return Effect.gen(function* () {
      const first = yield* start(["one"])
      yield* first.drive.list({ path: "a" })
      yield* first.stop
      yield* outage
      yield* TestClock.adjust(minutes(60))
      const second = yield* start(["one"])
      const { ageMs, entries, failure, source } = yield* second.drive.list({ path: "a" })
      assert.deepStrictEqual([source, ageMs, entries.length], ["cache", minutes(60), 230])
      assert.isDefined(failure)
    }).pipe(
      Effect.provide(worldOn(Sqlite.layer(join(folder, "weirgate.db")), { one: { a: files(230) } })),
      Effect.ensuring(Effect.sync(() => rmSync(folder, { recursive: true })))
    )
  })

  it.effect(
    "is bounded: the oldest listings go first, by number and by entries, and what is too large is not kept",
    () => {
      const tree = { a: files(3), b: files(3), c: files(3), d: files(3), large: files(30) }
      return Effect.gen(function* () {
        const { drive } = yield* start(["one"], { cache: { listings: 4, entries: 12, listingEntries: 20 } })
        const all = ["a", "b", "c", "d", "large"]
        for (const path of all) {
          yield* TestClock.adjust(1)
          yield* drive.list({ path, realtime: true })
        }
        yield* outage
        const kept = yield* Effect.filter(all, (path) =>
          Effect.match(drive.list({ path, realtime: true }), { onSuccess: () => true, onFailure: () => false })
        )
        // With the root, which is listed on the way to each: 5 entries and twice 3.
        assert.deepStrictEqual(kept, ["c", "d"])
        const store = yield* Store
        const rows = yield* store.all({ name: "drive_listing_row", schema: anything })
        const listings = yield* store.all({ name: "drive_listing", schema: anything })
        assert.strictEqual(rows.size, 3)
        assert.deepStrictEqual([...listings.keys()].toSorted(), [...rows.keys()].toSorted())
      }).pipe(Effect.provide(world({ one: tree })))
    }
  )

  it.effect("is dropped within the hour when its account is removed", () =>
    Effect.gen(function* () {
      const { drive, ids, pool } = yield* start(["one", "two"])
      for (const account of ["one", "two"]) yield* drive.list({ path: "", account })
      if (ids["one"] !== undefined) yield* pool.remove(ids["one"])
      yield* TestClock.adjust("1 hour")
      const listings = yield* (yield* Store).all({ name: "drive_listing", schema: anything })
      assert.deepStrictEqual(
        [...listings.keys()].map((key) => key.split(":")[0]),
        [ids["two"]]
      )
    }).pipe(Effect.provide(world({ one: { x: 1 }, two: { y: 1 } })))
  )

  it.effect("is not missed while the store fails: the drive is asked, and no name is logged", () => {
    const store = Layer.effect(
      Store,
      Effect.map(Store, (inner) => {
        const unavailable = (operation: string) =>
          Effect.fail(new StoreUnavailable({ operation, detail: "quoting private-name" }))
        return Store.of({
          ...inner,
          get: (collection, key) =>
            collection.name.startsWith("drive") ? unavailable("read") : inner.get(collection, key),
          all: (collection) => (collection.name.startsWith("drive") ? unavailable("read") : inner.all(collection)),
          modify: (collection, key, change) =>
            collection.name.startsWith("drive") ? unavailable("write") : inner.modify(collection, key, change)
        })
      })
    ).pipe(Layer.provide(Store.layerMemory))
    return Effect.gen(function* () {
      const { drive } = yield* start(["one"])
      assert.strictEqual((yield* drive.list({ path: "private-name" })).source, "realtime")
      assert.strictEqual((yield* drive.list({ path: "private-name" })).source, "realtime")
      yield* drive.download({ path: "private-name/private-name" })
      yield* Effect.flip(drive.list({ path: "private-name/none" }))
      const lines = (yield* TestConsole.logLines).map(String).join("\n")
      assert.include(lines, "out of reach")
      assert.notInclude(lines, "private-name")
    }).pipe(Effect.provide(worldOn(store, { one: { "private-name": { "private-name": 1 } } })))
  })

  it.effect("counts how requests end, and not what they are about", () =>
    Effect.gen(function* () {
      const { drive } = yield* start(["one"])
      yield* drive.list({ path: "private-name" })
      yield* drive.list({ path: "private-name" })
      yield* Effect.flip(drive.list({ path: "none" }))
      yield* drive.download({ path: "private-name/private-file" })
      yield* Effect.flip(drive.list({ path: "", account: "nobody" }))
      yield* ScriptedWopan.use((wopan) => wopan.delay("list", "1 minute"))
      const left = yield* Effect.forkChild(drive.list({ path: "", realtime: true }), { startImmediately: true })
      yield* Fiber.interrupt(left)
      const counted = (yield* Metric.snapshot)
        .filter(({ id, state }) => id === "weirgate_drive_requests_total" && "count" in state && state.count > 0)
        .map(({ attributes, state }) => `${Object.values(attributes ?? {}).join(" ")}: ${JSON.stringify(state)}`)
      assert.deepStrictEqual(counted.map((line) => line.split(":")[0]).toSorted(), [
        "download realtime ok",
        "list cache ok",
        "list none interrupted",
        "list none no_token",
        "list none unknown",
        "list realtime ok"
      ])
      assert.notInclude(counted.join(), "private")
    }).pipe(
      Effect.provide(world({ one: { "private-name": { "private-file": 1 } } })),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )
  )
})
