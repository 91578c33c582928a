/**
 * Keeps what must outlive the process. It holds collections of small records, changed one at a time by a pure function
 * in one atomic step, and bounded journals. Several processes may share one store, so nothing above it may assume that
 * a value it read is still current: decide inside `modify`.
 */
import { Context, Layer } from "effect"
import type { Effect, Schema } from "effect"
import { fromBackend } from "./backend.ts"
import * as MemoryBackend from "./memoryBackend.ts"
import { StoreUnavailable } from "./StoreUnavailable.ts"

export { StoreUnavailable }

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
  static readonly layerMemory: Layer.Layer<Store> = Layer.sync(Store, () => fromBackend(MemoryBackend.make()))
}
