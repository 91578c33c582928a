/** The keys that clients show: those of the configuration, and those that are made here, which are stored as digests only. */
import { Clock, Context, Duration, Effect, Layer, Redacted, Schedule, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import type { Store, StoreUnavailable } from "../store/Store.ts"
import { type Client, Role } from "./Client.ts"
import * as ClientKey from "./clientKey.ts"
import * as KeyRecords from "./keyRecords.ts"
import * as KeyUses from "./keyUses.ts"
import * as Keyring from "./keyring.ts"
import { alphanumeric, lowerCase, randomText } from "./randomText.ts"

/** A live key has that name already, or the name is not one that may be given. */
export class KeyNameRefused extends Schema.TaggedError<KeyNameRefused>()("KeyNameRefused", {
  name: Schema.String,
  reason: Schema.Literals(["taken", "malformed"])
}) {
  override get message() {
    return this.reason === "taken"
      ? `name: there is a key named ${this.name} already`
      : "name: expected at most 64 letters, digits, dots, dashes, underscores and @, and not key-N, local, console, weirgate or a key's id"
  }
}

export class KeyUnknown extends Schema.TaggedError<KeyUnknown>()("KeyUnknown", {
  key: Schema.String,
  /** It is a key of the configuration, and can only be changed there. */
  isConfigured: Schema.optionalKey(Schema.Boolean)
}) {
  override get message() {
    return this.isConfigured === true
      ? `the key ${this.key} is one of the configuration (server.apiKeys): take it out there`
      : `there is no key ${this.key}`
  }
}

/** What a new key may be asked to be; for inputs from outside, which `create` does not check again but for the name. */
export const NewKey = Schema.Struct({
  name: Schema.String,
  role: Role,
  /** 0 to 9. */
  priority: Schema.optional(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))),
  /** Requests in any 60 seconds, at least 1. */
  rpm: Schema.optional(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 }))),
  /** Public model names; at least one, or undefined for any. */
  models: Schema.optional(
    Schema.Array(Schema.NonEmptyString.check(Schema.isMaxLength(200))).check(
      Schema.isMinLength(1),
      Schema.isMaxLength(1_000)
    )
  ),
  /** Epoch milliseconds. From then on it is refused. */
  expiresAt: Schema.optional(Schema.Int)
})
export interface NewKey extends Schema.Schema.Type<typeof NewKey> {}

/** What a person may see of a key. */
export interface KeyView extends NewKey {
  /**
   * The public part of the key, by which it is told from others: `wg-` and eight letters or digits. Of one of the
   * configuration: `configured:` and its name.
   */
  readonly id: string
  readonly createdAt: number | undefined
  readonly revokedAt: number | undefined
  /** To within ten seconds. */
  readonly lastUsedAt: number | undefined
  readonly state: "live" | "expired" | "revoked"
  /** A key of the configuration is changed there. */
  readonly source: "configuration" | "made"
}

export interface Admitted {
  readonly _tag: "Admitted"
  readonly client: Client
  readonly keyId: string
  /** Whoever remembers the verdict must not use it from then on, in epoch milliseconds; `version` does not tell of it. */
  readonly expiresAt: number | undefined
}

export type Verdict =
  | Admitted
  | { readonly _tag: "Refused"; readonly why: "missing" | "unknown" | "expired" | "revoked" }

export interface ConfiguredKey {
  readonly key: Redacted.Redacted
  readonly client: Client
}

export interface ClientKeysOptions {
  /**
   * The keys of the configuration as they are now. Asked for each verdict, and compared by identity: it should give the same
   * array until they change.
   */
  readonly configured: () => ReadonlyArray<ConfiguredKey>
}

/** After so long all processes on the store hold to what was made or revoked. Theirs is a look each 200 milliseconds. */
export const takenOverWithin = Duration.seconds(1)

export class ClientKeys extends Context.Service<
  ClientKeys,
  {
    /**
     * Whether no key is configured and none was ever made: then models may be asked without one, from this machine. One that was
     * made keeps the server shut after its end too: revoking a key, or its expiry, must not let everybody in. Never waits.
     */
    readonly isOpen: () => boolean
    /**
     * Whose the key is, as far as this process knows. Compares digests in constant time; that a key is expired or revoked is told
     * only to who shows all of it. Never waits. While the store is away, what is known goes on to hold.
     */
    readonly judge: (key: string) => Verdict
    /**
     * Another number whenever a verdict may have become another: a verdict may be remembered with it, and an admission until its
     * `expiresAt` too. Never waits.
     */
    readonly version: () => number
    /**
     * The same after a look into the store, for a key that another process may just have made. One look serves all who wait,
     * and there is at most one in 100 milliseconds: it waits for so long. For what cannot be a key there is none. Interruption
     * ends the wait alone.
     */
    judgeAfresh(key: string): Effect.Effect<Verdict>
    /**
     * Counts a request of the key. Milliseconds until the next may come when its minute is full; then it is not counted. Never
     * waits. A true sliding minute, in this process alone, begun anew by a restart. Also what `lastUsedAt` follows.
     */
    readonly spend: (admitted: Admitted) => number | undefined
    /**
     * The key is told here and never again. Durable when it returns; other processes know it within a second. Once begun it is
     * not interrupted. Names that differ in case alone are one.
     */
    create(
      key: NewKey
    ): Effect.Effect<{ readonly key: Redacted.Redacted; readonly view: KeyView }, KeyNameRefused | StoreUnavailable>
    /**
     * By id or name, or the key itself: of several that had the name, the live one. Durable when it returns; other processes
     * refuse it within a second. Revoking twice does what once does.
     */
    revoke(idOrName: string): Effect.Effect<KeyView, KeyUnknown | StoreUnavailable>
    /** Newest first; those of the configuration last. The ended ones stay for 30 days, the newest 20 of a name. */
    readonly list: Effect.Effect<ReadonlyArray<KeyView>>
  }
>()("weirgate/access/ClientKeys") {
  /** Stores `lastUsedAt` every ten seconds and when it is closed. */
  static readonly layerWith = (options: ClientKeysOptions): Layer.Layer<ClientKeys, StoreUnavailable, Store> =>
    Layer.effect(ClientKeys, make(options)).pipe(Layer.provide(SecureRandom.layerWebCrypto))
}

const forgetEvery = "1 hour"

const make = Effect.fnUntraced(
  function* ({ configured }: ClientKeysOptions) {
    const clock = yield* Clock.Clock
    const random = yield* SecureRandom.SecureRandom
    const now = () => clock.currentTimeMillisUnsafe()
    const ring = Keyring.make(configured)
    const records = yield* KeyRecords.make(ring)
    const uses = yield* KeyUses.make(ring)
    yield* Effect.andThen(records.forget, uses.forget).pipe(
      Effect.catch((error) => Effect.logWarning(`keys that ended long ago are forgotten later: ${error.message}`)),
      Effect.repeat(Schedule.spaced(forgetEvery)),
      Effect.forkScoped
    )

    const create = Effect.fnUntraced(function* (wanted: NewKey) {
      const { name } = wanted
      if (!ClientKey.isName(name)) return yield* new KeyNameRefused({ name, reason: "malformed" })
      const isTaken = ring.configured().some((key) => ClientKey.nameKey(key.name) === ClientKey.nameKey(name))
      if (isTaken) return yield* new KeyNameRefused({ name, reason: "taken" })
      const id = `wg-${yield* randomText(random, lowerCase, ClientKey.idLength)}`
      const key = `${id}${yield* randomText(random, alphanumeric, ClientKey.secretLength)}`
      const digest = Keyring.digestOf(key).toString("hex")
      const record = yield* records.change(name, (current, at) => {
        const made = ClientKey.recordOf(wanted, id, digest, at)
        const next = ClientKey.added(current, made, at)
        return { record: next && made, next }
      })
      if (record === undefined) return yield* new KeyNameRefused({ name, reason: "taken" })
      return { key: Redacted.make(key), view: ClientKey.view(record, now(), undefined) }
    }, Effect.uninterruptible)

    const revoke = Effect.fnUntraced(function* (idOrName: string) {
      // Who shows the whole key means it too, and no error may repeat it.
      const shown = ring.configuredId(idOrName) ?? ClientKey.idOf(idOrName) ?? idOrName
      yield* records.look
      const found = ClientKey.meant(ring.made(), shown)
      if (found === undefined) {
        const isConfigured = ring
          .configured()
          .some(({ id, name }) => id === shown || ClientKey.nameKey(name) === ClientKey.nameKey(shown))
        return yield* new KeyUnknown({ key: shown, ...(isConfigured ? { isConfigured } : {}) })
      }
      const record = yield* records.change(found.name, (current, at) => {
        const next = ClientKey.revoked(current, found.id, at)
        return { record: next?.keys.find(({ id }) => id === found.id), next }
      })
      if (record === undefined) return yield* new KeyUnknown({ key: shown })
      return ClientKey.view(record, now(), (yield* uses.latest)(record.id))
    })

    const list = Effect.gen(function* () {
      yield* records.lookQuietly
      const lastUsedAt = yield* uses.latest
      const at = now()
      return [
        ...ring
          .made()
          .toSorted((a, b) => b.createdAt - a.createdAt)
          .map((record) => ClientKey.view(record, at, lastUsedAt(record.id))),
        ...ring.configured().map((view) => ({ ...view, lastUsedAt: lastUsedAt(view.id) }))
      ]
    })

    const judge = (key: string) => ring.judge(key, now())
    return ClientKeys.of({
      isOpen: () => !records.isAnyMade() && configured().length === 0,
      judge,
      version: ring.version,
      judgeAfresh: (key) =>
        Effect.suspend(() => {
          const verdict = judge(key)
          // What is not of the form was made nowhere, and what has ended does not begin again.
          return verdict._tag === "Admitted" || verdict.why !== "unknown" || ClientKey.idOf(key) === undefined
            ? Effect.succeed(verdict)
            : Effect.map(records.nextLook, () => judge(key))
        }),
      spend: (admitted) => ring.spend(admitted, now()),
      create,
      revoke,
      list
    })
  },
  Effect.annotateLogs({ service: "ClientKeys" })
)
