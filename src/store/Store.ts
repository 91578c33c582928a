/**
 * Keeps what must outlive the process. It holds collections of small records, changed one at a time by a pure function
 * in one atomic step, and bounded journals. Several processes may share one store, so nothing above it may assume that
 * a value it read is still current: decide inside `modify`.
 */
import { Context, Effect, Layer, Schema, Semaphore } from "effect"
import { MemoryJournal } from "./memoryJournal.ts"
import { front, pageOf, type Placed } from "./paging.ts"

/** The store could not be reached or would not take the write. Nothing was changed. */
export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", {
  operation: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `the store failed to ${this.operation}: ${this.detail}`
  }
}

/** Records of one shape, by key. */
export interface Collection<A> {
  readonly name: string
  readonly schema: Schema.Codec<A, Schema.Json>
}

/** Entries of one shape, oldest first, of which the newest `keep` stay. Each process may leave a 64th more untrimmed. */
export interface Journal<A> {
  readonly name: string
  readonly schema: Schema.Codec<A, Schema.Json>
  readonly keep: number
}

/** Where a page begins: behind the place where another ended, or with what is older than an instant in epoch milliseconds. */
export type Behind = { readonly place: number } | { readonly at: number }

export interface PageQuery<A> {
  /** The newest without it. */
  readonly behind?: Behind | undefined
  /** At least 1. */
  readonly limit: number
  /** Only entries whose fields are these, as they are stored. */
  readonly where?: { readonly [K in keyof A as A[K] extends string ? K : never]?: A[K] | undefined } | undefined
}

export interface Page<A> {
  /** Newest first. */
  readonly items: ReadonlyArray<A>
  /** The place behind which the next page begins; undefined after the last. */
  readonly next: number | undefined
}

/** The records as they are in the middle of a step: what it has set is what it reads. */
export interface Records {
  get<A>(collection: Collection<A>, key: string): A | undefined
  /** `undefined` removes it. Throws when the record does not fit its schema: then nothing is changed. */
  set<A>(collection: Collection<A>, key: string, record: A | undefined): void
}

/** What to answer, and what the record becomes: `undefined` removes it, the record itself leaves it as it is. */
export type Change<A, B> = (current: A | undefined) => readonly [answer: B, next: A | undefined]

export class Store extends Context.Service<
  Store,
  {
    get<A>(collection: Collection<A>, key: string): Effect.Effect<A | undefined, StoreUnavailable>
    all<A>(collection: Collection<A>): Effect.Effect<ReadonlyMap<string, A>, StoreUnavailable>
    /**
     * Reads, decides and writes in one step that no other fiber or process can come between. Durable when it returns:
     * it survives `kill -9` and a power cut. Waits for other writers for at most five seconds. `change` must be pure:
     * a store may run it more than once.
     */
    modify<A, B>(collection: Collection<A>, key: string, change: Change<A, B>): Effect.Effect<B, StoreUnavailable>
    /**
     * The same for any number of records of any collections: all that `step` sets is stored, or nothing. It must be pure but
     * for what it sets, and it must set nothing when it refuses; a store may run it more than once, each time on what is
     * stored by then. One that throws has changed nothing and fails. Holds up other writers meanwhile: some ten thousand
     * records are a step, a day's work is not.
     */
    transact<B>(step: (records: Records) => B): Effect.Effect<B, StoreUnavailable>
    append<A>(journal: Journal<A>, entries: ReadonlyArray<A>): Effect.Effect<void, StoreUnavailable>
    /** The newest entries, newest first. */
    recent<A>(journal: Journal<A>, limit: number): Effect.Effect<ReadonlyArray<A>, StoreUnavailable>
    /**
     * Entries in the reverse of the order in which they were appended. What is appended later is in front of every page that
     * was read and moves none behind it; what is trimmed meanwhile is on no page. Costs what is on the page, and with an
     * instant a look at some 20 entries more; with `where` it looks at entries until the page is full, and lets others work
     * meanwhile. Where two processes' clocks differ, so may, by as much, where an instant is found.
     */
    page<A extends { readonly at: number }>(
      journal: Journal<A>,
      query: PageQuery<A>
    ): Effect.Effect<Page<A>, StoreUnavailable>
  }
>()("weirgate/store/Store") {
  /** Lives and dies with the layer. For tests, and for programs that want no durability. */
  static readonly layerMemory: Layer.Layer<Store> = Layer.sync(Store, () => fromBackend(memory()))
}

/** The text of records in the middle of a step. */
export interface Texts {
  get(collection: string, key: string): string | undefined
  set(collection: string, key: string, text: string | undefined): void
}

/**
 * What a kind of storage has to offer: text by name and key. `modify` and `transact` are one atomic step; what they are
 * given may throw, and then nothing is written and they fail.
 */
export interface Backend {
  get(collection: string, key: string): Effect.Effect<string | undefined, StoreUnavailable>
  all(collection: string): Effect.Effect<ReadonlyArray<readonly [key: string, value: string]>, StoreUnavailable>
  modify(
    collection: string,
    key: string,
    change: (current: string | undefined) => string | undefined
  ): Effect.Effect<void, StoreUnavailable>
  transact(step: (texts: Texts) => void): Effect.Effect<void, StoreUnavailable>
  /** May leave `slackOf(keep)` entries more than it keeps. */
  append(journal: string, keep: number, entries: ReadonlyArray<string>): Effect.Effect<void, StoreUnavailable>
  /** The newest entries whose place is lower than `before`, newest first. Places go up from 1, and none is given twice. */
  read(journal: string, before: number, limit: number): Effect.Effect<Placed, StoreUnavailable>
}

/** Makes a store of a backend: records are JSON, checked by their schema on the way in and out. */
export const fromBackend = (backend: Backend): Store["Service"] => {
  const scanning = Semaphore.makeUnsafe(1)
  return Store.of({
    get: (collection, key) =>
      Effect.flatMap(backend.get(collection.name, key), (text) =>
        attempt(`read ${collection.name}`, () =>
          text === undefined ? undefined : codec(collection.schema).decode(text)
        )
      ),
    all: (collection) =>
      Effect.flatMap(backend.all(collection.name), (rows) =>
        attempt(`read ${collection.name}`, () => {
          const { decode } = codec(collection.schema)
          return new Map(rows.map(([key, text]) => [key, decode(text)]))
        })
      ),
    modify: <A, B>(collection: Collection<A>, key: string, change: Change<A, B>) =>
      Effect.suspend(() => {
        const { decode, encode } = codec(collection.schema)
        let answer: B
        const step = (text: string | undefined) => {
          const current = text === undefined ? undefined : decode(text)
          const [answered, next] = change(current)
          answer = answered
          if (next === undefined) return undefined
          return next === current ? text : encode(next)
        }
        return Effect.map(backend.modify(collection.name, key, step), () => answer)
      }),
    transact: <B>(step: (records: Records) => B) =>
      Effect.suspend(() => {
        let answer: B
        const onTexts = (texts: Texts) => {
          answer = step({
            get: (collection, key) => {
              const text = texts.get(collection.name, key)
              return text === undefined ? undefined : codec(collection.schema).decode(text)
            },
            set: (collection, key, record) =>
              texts.set(
                collection.name,
                key,
                record === undefined ? undefined : codec(collection.schema).encode(record)
              )
          })
        }
        return Effect.map(backend.transact(onTexts), () => answer)
      }),
    append: (journal, entries) =>
      entries.length === 0
        ? Effect.void
        : Effect.flatMap(
            attempt(`write ${journal.name}`, () => entries.map(codec(journal.schema).encode)),
            (texts) => backend.append(journal.name, journal.keep, texts)
          ),
    recent: (journal, limit) =>
      Effect.flatMap(backend.read(journal.name, front, Math.min(limit, journal.keep)), (rows) =>
        attempt(`read ${journal.name}`, () => {
          const { decode } = codec(journal.schema)
          return rows.map(([, text]) => decode(text))
        })
      ),
    page: (journal, { behind, limit, where = {} }) => {
      const fields = Object.entries<unknown>(where).flatMap(([name, value]) =>
        typeof value === "string" ? [[name, value] as const] : []
      )
      const read = (before: number, most: number) => backend.read(journal.name, before, most)
      return Effect.flatMap(pageOf(read, { behind, limit, fields }, scanning), ({ next, texts }) =>
        attempt(`read ${journal.name}`, () => ({ items: texts.map(codec(journal.schema).decode), next }))
      )
    }
  })
}

/** Runs what may throw as an operation of the store. */
export const attempt = <A>(operation: string, f: () => A): Effect.Effect<A, StoreUnavailable> =>
  Effect.try({ try: f, catch: (cause) => new StoreUnavailable({ operation, detail: describe(cause) }) })

const describe = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))

interface Codec<A> {
  readonly decode: (text: string) => A
  readonly encode: (value: A) => string
}

const codecs = new WeakMap<object, unknown>()

// Compiling a schema costs more than using it, and each collection is a constant of the program.
const codec = <A>(schema: Schema.Codec<A, Schema.Json>): Codec<A> => {
  const known = codecs.get(schema) as Codec<A> | undefined
  if (known !== undefined) return known
  const text = Schema.fromJsonString(schema)
  const made: Codec<A> = { decode: Schema.decodeUnknownSync(text), encode: Schema.encodeSync(text) }
  codecs.set(schema, made)
  return made
}

/** Keeps text, not values, so that a schema that does not survive a restart fails in a test too. */
const memory = (): Backend => {
  const collections = new Map<string, Map<string, string>>()
  const journals = new Map<string, MemoryJournal>()
  const journalOf = (name: string) => {
    let found = journals.get(name)
    if (found === undefined) journals.set(name, (found = new MemoryJournal()))
    return found
  }
  const of = (name: string) => {
    let found = collections.get(name)
    if (found === undefined) collections.set(name, (found = new Map()))
    return found
  }
  return {
    get: (collection, key) => Effect.sync(() => of(collection).get(key)),
    all: (collection) => Effect.sync(() => [...of(collection)]),
    modify: (collection, key, change) =>
      attempt(`change ${collection}`, () => {
        const records = of(collection)
        const next = change(records.get(key))
        if (next === undefined) records.delete(key)
        else records.set(key, next)
      }),
    transact: (step) =>
      attempt("change records", () => {
        const before: Array<() => void> = []
        const set = (collection: string, key: string, text: string | undefined) => {
          if (text === undefined) of(collection).delete(key)
          else of(collection).set(key, text)
        }
        try {
          step({
            get: (collection, key) => of(collection).get(key),
            set: (collection, key, text) => {
              const earlier = of(collection).get(key)
              before.push(() => set(collection, key, earlier))
              set(collection, key, text)
            }
          })
        } catch (cause) {
          for (const undo of before.toReversed()) undo()
          throw cause
        }
      }),
    append: (journal, keep, entries) => Effect.sync(() => journalOf(journal).append(entries, keep)),
    read: (journal, before, limit) => Effect.sync(() => journalOf(journal).read(before, limit))
  }
}
