import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Sqlite from "../../src/store/Sqlite.ts"
import { type Behind, type Journal, type Page, Store } from "../../src/store/Store.ts"

const Note = Schema.Struct({
  at: Schema.Int,
  id: Schema.Int,
  kind: Schema.Literals(["a", "b"]),
  place: Schema.Literals(["here", "there"])
})
type Note = typeof Note.Type

const file = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "weirgate-test-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true }))
).pipe(Effect.map((dir) => join(dir, "weirgate.db")))

const kinds: ReadonlyArray<readonly [string, Layer.Layer<Store, unknown>]> = [
  ["memory", Store.layerMemory],
  ["sqlite", Layer.unwrap(Effect.map(file, Sqlite.layer))]
]

let journals = 0
const freshJournal = (keep: number): Journal<Note> => ({ name: `note-${++journals}`, schema: Note, keep })

/** Appends to a journal, and to another now and then, as in life: a place says nothing of how many are before it. */
const writerOf = Effect.fnUntraced(function* (journal: Journal<Note>) {
  const store = yield* Store
  const other = freshJournal(3)
  let id = 0
  /** All that was ever appended, oldest first. */
  const all: Array<Note> = []
  const append = Effect.fnUntraced(function* (batch: ReadonlyArray<Omit<Note, "id">>) {
    const notes = batch.map((rest) => ({ ...rest, id: ++id }))
    all.push(...notes)
    if (id % 2 === 0) yield* store.append(other, notes)
    yield* store.append(journal, notes)
  })
  return { all, append }
})

const Batch = Schema.Array(
  Schema.Struct({ after: Schema.Literals([0, 0, 1, 2]), kind: Note.fields.kind, place: Note.fields.place })
).check(Schema.isMaxLength(6))
const Batches = Schema.Array(Batch).check(Schema.isMaxLength(10))
const Limit = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 7 }))
const Keep = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 }))
const Where = Schema.Struct({
  kind: Schema.optionalKey(Note.fields.kind),
  place: Schema.optionalKey(Note.fields.place)
})
const Instant = Schema.Int.check(Schema.isBetween({ minimum: -1, maximum: 60 }))

describe.each(kinds)("pages of a journal in %s", (_, layer) => {
  it.effect.prop(
    "hold what a list would: each entry that fits once, newest first, whatever is appended and trimmed between two of them",
    [Batches, Batches, Schema.Struct({ keep: Keep, limit: Limit, where: Where, at: Schema.NullOr(Instant) })],
    ([earlier, later, { at, keep, limit, where }]) =>
      Effect.gen(function* () {
        const store = yield* Store
        const journal = freshJournal(keep)
        const { all, append } = yield* writerOf(journal)
        let now = 0
        const timed = (batch: typeof Batch.Type) =>
          batch.map(({ after, kind, place }) => ({ at: (now += after), kind, place }))
        for (const batch of earlier) yield* append(timed(batch))

        const begun = all.length
        const coming = [...later]
        let behind: Behind | undefined = at === null ? undefined : { at }
        let last = Number.POSITIVE_INFINITY
        while (true) {
          const rest = all
            .slice(-keep)
            .filter((note) => note.id <= begun && note.id < last && (at === null || note.at < at))
            .filter(({ kind, place }) => (where.kind ?? kind) === kind && (where.place ?? place) === place)
            .toReversed()
          const page: Page<Note> = yield* store.page(journal, { behind, limit, where })
          assert.deepStrictEqual(page.items, rest.slice(0, limit))
          assert.strictEqual(page.next !== undefined, rest.length > limit)
          if (page.next === undefined) break
          behind = { place: page.next }
          last = page.items.at(-1)?.id ?? 0
          yield* append(timed(coming.shift() ?? []))
        }
      }).pipe(Effect.provide(layer))
  )

  it.effect.prop(
    "begin at an instant between one that is not older and one that is, though clocks disagree",
    [Schema.Array(Instant).check(Schema.isMaxLength(20)), Instant],
    ([instants, at]) =>
      Effect.gen(function* () {
        const store = yield* Store
        const journal = freshJournal(30)
        const { all, append } = yield* writerOf(journal)
        yield* append(instants.map((at) => ({ at, kind: "a", place: "here" })))
        const { items } = yield* store.page(journal, { behind: { at }, limit: 30 })
        assert.deepStrictEqual(items, all.slice(0, items.length).toReversed())
        const [first] = items
        const inFront = all[items.length]
        assert.isTrue(first === undefined || first.at < at)
        assert.isTrue(inFront === undefined || inFront.at >= at)
      }).pipe(Effect.provide(layer))
  )

  it.effect("find those that fit, few or many, among all that is kept", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const journal = freshJournal(2_000)
      const { all, append } = yield* writerOf(journal)
      const many = Array.from({ length: 1_000 }, (_, at) => ({
        at,
        kind: at % 3 === 0 ? ("a" as const) : ("b" as const),
        place: at % 400 === 100 ? ("there" as const) : ("here" as const)
      }))
      yield* append(many)
      for (const where of [{}, { kind: "a" }, { kind: "b" }, { place: "there" }, { place: "here" }] as const) {
        const found: Array<Note> = []
        let behind: Behind | undefined
        do {
          const page: Page<Note> = yield* store.page(journal, { limit: 200, where, behind })
          found.push(...page.items)
          behind = page.next === undefined ? undefined : { place: page.next }
        } while (behind !== undefined)
        const { kind, place } = { kind: undefined, place: undefined, ...where }
        assert.deepStrictEqual(
          found,
          all.filter((note) => note.kind === (kind ?? note.kind) && note.place === (place ?? note.place)).toReversed()
        )
      }
    }).pipe(Effect.provide(layer))
  )

  it.live("are looked for by one at a time, and others go on in between", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const journal = freshJournal(2_000)
      const { append } = yield* writerOf(journal)
      yield* append(Array.from({ length: 1_500 }, (_, at) => ({ at, kind: "a", place: "here" })))
      let turns = 0
      const others = Effect.forever(
        Effect.andThen(
          Effect.sync(() => void turns++),
          Effect.yieldNow
        )
      )
      yield* Effect.forkScoped(others)
      const nothing = store.page(journal, { limit: 10, where: { kind: "b" } })
      const pages = yield* Effect.all(
        Array.from({ length: 10 }, () => nothing),
        { concurrency: "unbounded" }
      )
      for (const { items, next } of pages) assert.deepStrictEqual({ items, next }, { items: [], next: undefined })
      // 1,500 entries are six looks for each of the ten.
      assert.isAtLeast(turns, 50)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.effect("of a large journal have all that it keeps, and at most a 64th more", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const journal = freshJournal(256)
      const { all, append } = yield* writerOf(journal)
      for (let n = 0; n < 60; n++) {
        const at = all.length
        yield* append(Array.from({ length: n < 30 ? 8 : 1 + (n % 3) }, () => ({ at, kind: "a", place: "here" })))
        const { items } = yield* store.page(journal, { limit: 1_000 })
        assert.deepStrictEqual(items, all.slice(-items.length).toReversed())
        assert.isAtLeast(items.length, Math.min(all.length, 256))
        assert.isAtMost(items.length, 256 + 4)
        assert.lengthOf(yield* store.recent(journal, 1_000), Math.min(all.length, 256))
      }
    }).pipe(Effect.provide(layer))
  )

  it.effect("name the journal of an entry that does not fit instead of leaving it out", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const journal = freshJournal(8)
      yield* store.append({ ...journal, schema: Schema.Struct({ at: Schema.Int }) }, [{ at: 1 }])
      const error = yield* Effect.flip(store.page(journal, { limit: 1 }))
      assert.strictEqual(error._tag, "StoreUnavailable")
      assert.include(error.message, journal.name)
    }).pipe(Effect.provide(layer))
  )
})

describe("pages of a journal in sqlite", () => {
  it.effect("are the same to all who have the file open, and go on after a restart", () =>
    Effect.gen(function* () {
      const filename = yield* file
      const journal = freshJournal(8)
      const opened = Effect.provide(Sqlite.layer(filename))
      const note = (id: number): Note => ({ id, at: id, kind: "a", place: "here" })
      const ids = (page: Page<Note>) => page.items.map(({ id }) => id)
      const append = (ids: ReadonlyArray<number>) => Store.use((store) => store.append(journal, ids.map(note)))
      yield* append([1, 2, 3, 4, 5, 6]).pipe(opened)
      const first = yield* Store.use((store) => store.page(journal, { limit: 2 })).pipe(opened)
      assert.deepStrictEqual(ids(first), [6, 5])
      yield* Effect.gen(function* () {
        yield* append([7, 8])
        // Another process has the file open too, and trims what this one has left.
        yield* append([9, 10]).pipe(opened)
        const second = yield* Store.use((store) =>
          store.page(journal, { limit: 9, behind: { place: first.next ?? 0 } })
        )
        assert.deepStrictEqual(ids(second), [4, 3])
        assert.isUndefined(second.next)
      }).pipe(opened)
    })
  )
})
