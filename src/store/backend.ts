/** What a store stands on, and the store that is made of it: records are JSON, checked by their schema on the way in and out. */
import { Effect, Schema, Semaphore } from "effect"
import { front, pageOf, type Placed } from "./paging.ts"
import type { Change, Collection, Records, Store } from "./Store.ts"
import { attempt, type StoreUnavailable } from "./StoreUnavailable.ts"

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

/** Makes a store of a backend. What a schema refuses fails, and changes nothing. */
export const fromBackend = (backend: Backend): Store["Service"] => {
  const scanning = Semaphore.makeUnsafe(1)
  return {
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
  }
}

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
