import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { createHash } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Sqlite from "../../src/store/Sqlite.ts"
import { type Collection, type Journal, Store } from "../../src/store/Store.ts"

const counters: Collection<{ readonly n: number }> = { name: "counter", schema: Schema.Struct({ n: Schema.Int }) }
const notes: Journal<string> = { name: "note", schema: Schema.String, keep: 3 }
const increment = (current: { readonly n: number } | undefined) => {
  const next = { n: (current?.n ?? 0) + 1 }
  return [next.n, next] as const
}

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "weirgate-test-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true }))
)
const file = Effect.map(folder, (dir) => join(dir, "weirgate.db"))
const digest = (filename: string) => createHash("sha256").update(readFileSync(filename)).digest("hex")

const kinds: ReadonlyArray<readonly [string, Layer.Layer<Store, unknown>]> = [
  ["memory", Store.layerMemory],
  ["sqlite", Layer.unwrap(Effect.map(file, Sqlite.layer))]
]

describe.each(kinds)("Store in %s", (_, layer) => {
  it.effect("reads back what was written, and forgets what was removed", () =>
    Effect.gen(function* () {
      const store = yield* Store
      assert.isUndefined(yield* store.get(counters, "a"))
      yield* store.modify(counters, "a", increment)
      yield* store.modify(counters, "b", increment)
      assert.deepStrictEqual(yield* store.get(counters, "a"), { n: 1 })
      assert.deepStrictEqual([...(yield* store.all(counters)).keys()], ["a", "b"])
      yield* store.modify(counters, "a", () => [undefined, undefined])
      assert.isUndefined(yield* store.get(counters, "a"))
    }).pipe(Effect.provide(layer))
  )

  it.effect("loses no change when many fibers change one record", () =>
    Effect.gen(function* () {
      const store = yield* Store
      yield* Effect.forEach(Array.from({ length: 100 }), () => store.modify(counters, "a", increment), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(yield* store.get(counters, "a"), { n: 100 })
    }).pipe(Effect.provide(layer))
  )

  it.effect("keeps the newest entries of a journal, newest first", () =>
    Effect.gen(function* () {
      const store = yield* Store
      yield* store.append(notes, ["1", "2"])
      yield* store.append(notes, ["3", "4", "5"])
      assert.deepStrictEqual(yield* store.recent(notes, 10), ["5", "4", "3"])
      assert.deepStrictEqual(yield* store.recent(notes, 1), ["5"])
      assert.deepStrictEqual(yield* store.recent(notes, 0), [])
    }).pipe(Effect.provide(layer))
  )

  it.effect("writes nothing when the change fails or what it makes does not fit the schema", () =>
    Effect.gen(function* () {
      const store = yield* Store
      yield* store.modify(counters, "a", increment)
      const thrown = yield* Effect.flip(
        store.modify(counters, "a", () => {
          throw new Error("no")
        })
      )
      assert.strictEqual(thrown._tag, "StoreUnavailable")
      yield* Effect.flip(store.modify(counters, "a", () => [undefined, { n: 0.5 }]))
      assert.deepStrictEqual(yield* store.get(counters, "a"), { n: 1 })
      yield* store.modify(counters, "a", increment)
      assert.deepStrictEqual(yield* store.get(counters, "a"), { n: 2 })
    }).pipe(Effect.provide(layer))
  )
})

const reopened = (filename: string) => Effect.provide(Sqlite.layer(filename))

describe("Store in a SQLite file", () => {
  it.effect("survives a restart", () =>
    Effect.gen(function* () {
      const filename = yield* file
      const bump = Store.use((store) => store.modify(counters, "a", increment))
      assert.strictEqual(yield* bump.pipe(reopened(filename)), 1)
      assert.strictEqual(yield* bump.pipe(reopened(filename)), 2)
    })
  )

  it.effect("is shared by two that have it open at once", () =>
    Effect.gen(function* () {
      const filename = yield* file
      const bump = Effect.forEach(
        Array.from({ length: 50 }),
        () => Store.use((store) => Effect.andThen(Effect.yieldNow, store.modify(counters, "a", increment))),
        { concurrency: 5 }
      )
      yield* Effect.all([bump.pipe(reopened(filename)), bump.pipe(reopened(filename))], { concurrency: 2 })
      const kept = yield* Store.use((store) => store.get(counters, "a")).pipe(reopened(filename))
      assert.deepStrictEqual(kept, { n: 100 })
    })
  )

  const refused = (name: string, reason: RegExp, spoil: (filename: string) => void) =>
    it.effect(`refuses ${name}, says why, and leaves it untouched`, () =>
      Effect.gen(function* () {
        const filename = yield* file
        yield* Store.use((store) => store.modify(counters, "a", increment)).pipe(reopened(filename))
        spoil(filename)
        const before = digest(filename)
        const error = yield* Effect.flip(Store.use((store) => store.get(counters, "a")).pipe(reopened(filename)))
        assert.strictEqual(error._tag, "StoreUnusable")
        assert.match(error.message, reason)
        assert.include(error.message, filename)
        assert.strictEqual(digest(filename), before)
      })
    )
  const with_ = (statement: string) => (filename: string) => {
    const db = new DatabaseSync(filename)
    db.exec(statement)
    db.close()
  }
  refused("a newer database", /newer version/, with_("PRAGMA user_version = 99"))
  refused("another program's database", /another program/, with_("PRAGMA application_id = 7"))
  refused("what is no database", /not a database/, (filename) =>
    writeFileSync(filename, "no database at all".repeat(99))
  )
  refused("a damaged database", /damaged|malformed/, (filename) => {
    const bytes = readFileSync(filename)
    bytes.fill(0x5a, 4096)
    writeFileSync(filename, bytes)
  })

  it.effect("names a record that does not fit instead of guessing", () =>
    Effect.gen(function* () {
      const filename = yield* file
      yield* Store.use((store) => store.modify(counters, "a", increment)).pipe(reopened(filename))
      with_(`UPDATE record SET value = '{"n":"many"}'`)(filename)
      const error = yield* Effect.flip(
        Store.use((store) => store.modify(counters, "a", increment)).pipe(reopened(filename))
      )
      assert.strictEqual(error._tag, "StoreUnavailable")
      assert.match(error.message, /counter/)
    })
  )
})
