/** The keys in the store, and how this process keeps up with what others change there. */
import { Clock, Deferred, Effect, Schedule, Schema, Semaphore } from "effect"
import type { Scope } from "effect"
import { type Collection, Store, type StoreUnavailable } from "../store/Store.ts"
import * as ClientKey from "./clientKey.ts"
import type { Keyring } from "./keyring.ts"

export interface KeyRecords {
  /** Takes over what has changed, if anything has. */
  readonly look: Effect.Effect<void, StoreUnavailable>
  /** The same when it can be had, and else what is known stays. */
  readonly lookQuietly: Effect.Effect<void>
  /** The next quiet look, which begins after now: one for all who wait, and at most one in 100 milliseconds. */
  readonly nextLook: Effect.Effect<void>
  /**
   * Changes those of one name in one step, durable and known here when it returns. `next` undefined changes nothing. What
   * the step answers, it must answer of what it is given alone.
   */
  change(
    name: string,
    step: (
      current: ClientKey.Namesakes | undefined,
      now: number
    ) => { readonly record: ClientKey.KeyRecord | undefined; readonly next: ClientKey.Namesakes | undefined }
  ): Effect.Effect<ClientKey.KeyRecord | undefined, StoreUnavailable>
  /** Clears away those that ended 30 days ago. */
  readonly forget: Effect.Effect<void, StoreUnavailable>
  /** Whether a key was ever made. */
  readonly isAnyMade: () => boolean
}

/** A record a name, in lower case: that a name is taken is decided in the one step that takes it. */
const byName: Collection<ClientKey.Namesakes> = { name: "client-keys", schema: ClientKey.Namesakes }
const Version = Schema.Struct({ version: Schema.Int })
/** One more with every change; so small that it can be looked at five times a second. */
const versions: Collection<typeof Version.Type> = { name: "client-keys-version", schema: Version }

const lookEvery = "200 millis"
const looksApart = 100

/** Loads them into the ring, and looks for changes until the scope closes. */
export const make = Effect.fnUntraced(function* (
  ring: Keyring
): Effect.fn.Return<KeyRecords, StoreUnavailable, Store | Scope.Scope> {
  const clock = yield* Clock.Clock
  const scope = yield* Effect.scope
  const store = yield* Store
  const now = () => clock.currentTimeMillisUnsafe()
  // Of two reads at once the earlier could be taken over last.
  const reading = yield* Semaphore.make(1)
  /** The version that is taken over: 0 while no key was ever made. */
  let seen = 0

  const versionNow = Effect.map(store.get(versions, "keys"), (stored) => stored?.version ?? 0)
  const load = Effect.gen(function* () {
    // Before the keys: what changes in between is found by the next look.
    const version = yield* versionNow
    const stored = yield* store.all(byName)
    const at = now()
    ring.load([...stored.values()].flatMap(({ keys }) => keys.filter((key) => !ClientKey.isForgotten(key, at))))
    seen = version
  })
  const look = Effect.gen(function* () {
    if ((yield* versionNow) !== seen) yield* load
  }).pipe(reading.withPermit)

  let failing = false
  const lookQuietly = Effect.matchEffect(look, {
    onSuccess: () => Effect.sync(() => void (failing = false)),
    onFailure: (error) => {
      // Once, and not five times a second.
      const isNew = !failing
      failing = true
      return isNew ? Effect.logWarning(`going on with the keys that are known: ${error.message}`) : Effect.void
    }
  })

  let lookedAt = Number.NEGATIVE_INFINITY
  let next: Deferred.Deferred<void> | undefined
  // One that is under way may have read before the key was made: only the next is good for who comes now.
  const nextLook = Effect.suspend(() => {
    if (next !== undefined) return Deferred.await(next)
    const done = (next = Deferred.makeUnsafe<void>())
    const wait = Math.min(looksApart, Math.max(0, lookedAt + looksApart - now()))
    const begin = Effect.suspend(() => {
      next = undefined
      lookedAt = now()
      return lookQuietly
    })
    // In the layer's scope: whoever asked for it may leave, and others wait for it too.
    return Effect.sleep(wait).pipe(
      Effect.andThen(begin),
      Effect.ensuring(Deferred.succeed(done, undefined)),
      Effect.forkIn(scope),
      Effect.uninterruptible,
      Effect.andThen(Deferred.await(done))
    )
  })

  const change: KeyRecords["change"] = Effect.fnUntraced(function* (name, step) {
    // The version with it, so that no process can miss the change, whatever happens to this one.
    const record = yield* store.transact((records) => {
      const key = ClientKey.nameKey(name)
      const { next, record } = step(records.get(byName, key), now())
      if (next === undefined) return record
      records.set(byName, key, next)
      records.set(versions, "keys", { version: (records.get(versions, "keys")?.version ?? 0) + 1 })
      return record
    })
    // Not while an earlier state is being read: it would be taken over after this one.
    if (record !== undefined) yield* reading.withPermit(Effect.sync(() => ring.put(record)))
    return record
  }, Effect.uninterruptible)

  const forget = Effect.gen(function* () {
    const at = now()
    for (const [name, namesakes] of yield* store.all(byName)) {
      if (ClientKey.remembered(namesakes, at) === namesakes) continue
      yield* store.modify(byName, name, (current) => [undefined, ClientKey.remembered(current, at)])
    }
    yield* reading.withPermit(load)
  })

  yield* reading.withPermit(load)
  yield* Effect.forkScoped(Effect.schedule(lookQuietly, Schedule.spaced(lookEvery)))

  return { look, lookQuietly, nextLook, change, forget, isAnyMade: () => seen > 0 || ring.made().length > 0 }
})
