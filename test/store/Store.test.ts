import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Sqlite from "../../src/store/Sqlite.ts"
import { type Collection, type Journal, Store } from "../../src/store/Store.ts"

const counters: Collection<{ readonly n: number }> = { name: "counter", schema: Schema.Struct({ n: Schema.Int }) }
const others: Collection<{ readonly n: number }> = { name: "other", schema: Schema.Struct({ n: Schema.Int }) }
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

  it.effect("changes records of several collections in one step, which sees what it has set itself", () =>
    Effect.gen(function* () {
      const store = yield* Store
      yield* store.modify(counters, "old", increment)
      const seen = yield* store.transact((records) => {
        records.set(counters, "new", { n: 7 })
        records.set(others, "new", { n: 8 })
        records.set(counters, "old", undefined)
        return [records.get(counters, "new"), records.get(others, "new"), records.get(counters, "old")]
      })
      assert.deepStrictEqual(seen, [{ n: 7 }, { n: 8 }, undefined])
      assert.deepStrictEqual([...(yield* store.all(counters))], [["new", { n: 7 }]])
      assert.deepStrictEqual(yield* store.get(others, "new"), { n: 8 })
    }).pipe(Effect.provide(layer))
  )

  it.effect("stores nothing of a step that fails halfway or makes what does not fit the schema", () =>
    Effect.gen(function* () {
      const store = yield* Store
      yield* store.modify(counters, "a", increment)
      yield* store.modify(counters, "b", increment)
      const before = yield* store.all(counters)
      for (const last of ["throw", { n: 0.5 }] as const) {
        const error = yield* Effect.flip(
          store.transact((records) => {
            records.set(counters, "a", { n: 9 })
            records.set(counters, "a", { n: 10 })
            records.set(counters, "b", undefined)
            records.set(counters, "c", { n: 9 })
            if (last === "throw") throw new Error("no")
            records.set(others, "d", last)
          })
        )
        assert.strictEqual(error._tag, "StoreUnavailable")
        assert.deepStrictEqual(yield* store.all(counters), before)
        assert.strictEqual((yield* store.all(others)).size, 0)
      }
      assert.strictEqual(yield* store.modify(counters, "a", increment), 2)
    }).pipe(Effect.provide(layer))
  )

  it.effect("loses no step when many fibers move between records", () =>
    Effect.gen(function* () {
      const store = yield* Store
      yield* store.transact((records) => records.set(counters, "from", { n: 100 }))
      const move = store.transact((records) => {
        const of = (key: string) => records.get(counters, key)?.n ?? 0
        records.set(counters, "from", { n: of("from") - 1 })
        records.set(counters, "to", { n: of("to") + 1 })
      })
      yield* Effect.forEach(Array.from({ length: 100 }), () => Effect.andThen(Effect.yieldNow, move), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual([...(yield* store.all(counters))].toSorted(), [
        ["from", { n: 0 }],
        ["to", { n: 100 }]
      ])
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

  it.effect("lets no other process see or come between the halves of a step", () =>
    Effect.gen(function* () {
      const filename = yield* file
      const step = Effect.forEach(
        Array.from({ length: 50 }),
        () =>
          Store.use((store) =>
            Effect.andThen(
              Effect.yieldNow,
              store.transact((records) => {
                const [a, b] = [records.get(counters, "a")?.n ?? 0, records.get(counters, "b")?.n ?? 0]
                records.set(counters, "a", { n: a + 1 })
                records.set(counters, "b", { n: b + 1 })
                return a === b
              })
            )
          ),
        { concurrency: 5 }
      )
      const both = yield* Effect.all([step.pipe(reopened(filename)), step.pipe(reopened(filename))], { concurrency: 2 })
      assert.isTrue(both.flat().every((same) => same))
      const kept = yield* Store.use((store) => store.all(counters)).pipe(reopened(filename))
      assert.deepStrictEqual(
        [...kept.values()].map(({ n }) => n),
        [100, 100]
      )
    })
  )

  it.effect("has all of a step or nothing when the process is killed in the middle of it", () =>
    Effect.gen(function* () {
      const filename = yield* file
      const script = (last: string) => `
        import { Effect, Schema } from "effect"
        import { Store } from "./src/store/Store.ts"
        import * as Sqlite from "./src/store/Sqlite.ts"
        const counters = { name: "counter", schema: Schema.Struct({ n: Schema.Int }) }
        const step = (records) => {
          for (let n = 0; n < 5000; n++) records.set(counters, "key-" + n, { n })
          ${last}
        }
        await Effect.runPromise(Store.use((store) => store.transact(step)).pipe(
          Effect.provide(Sqlite.layer(${JSON.stringify(filename)}))
        ))
        process.kill(process.pid, "SIGKILL")`
      const killed = (last: string) =>
        spawnSync(process.execPath, ["--input-type=module", "-e", script(last)], { encoding: "utf8" })
      const kept = Store.use((store) => store.all(counters)).pipe(reopened(filename))

      assert.strictEqual(killed('process.kill(process.pid, "SIGKILL")').signal, "SIGKILL")
      assert.strictEqual((yield* kept).size, 0)
      assert.strictEqual(killed("").signal, "SIGKILL")
      assert.strictEqual((yield* kept).size, 5_000)
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
