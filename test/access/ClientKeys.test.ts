import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Redacted, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { join } from "node:path"
import { type Client, nobody } from "../../src/access/Client.ts"
import { ClientKeys, type ConfiguredKey, KeyNameRefused, KeyUnknown } from "../../src/access/ClientKeys.ts"
import * as Sqlite from "../../src/store/Sqlite.ts"
import { Store } from "../../src/store/Store.ts"
import { bytesIn, temporaryFolder, watched } from "./stores.ts"

const second = 1_000
const day = 24 * 60 * 60 * second

/** As in a process of its own on that store. */
const on = (store: Store["Service"], configured: () => ReadonlyArray<ConfiguredKey> = () => []) =>
  Layer.build(ClientKeys.layerWith({ configured }).pipe(Layer.provide(Layer.succeed(Store, store)))).pipe(
    Effect.map((context) => Context.get(context, ClientKeys))
  )
const alone = Effect.flatMap(Store, (store) => on(store))
const inMemory = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, Store.layerMemory)

const written = (name: string, key: string, more: Partial<Client> = {}): ConfiguredKey => ({
  key: Redacted.make(key),
  client: { ...nobody, name, ...more }
})
/** Of the form of a key. */
const stranger = `wg-stranger${"x".repeat(40)}`
const admitted = (keys: ClientKeys["Service"], key: string) => {
  const verdict = keys.judge(key)
  return verdict._tag === "Admitted" ? verdict : assert.fail(`refused: ${verdict.why}`)
}
const why = (keys: ClientKeys["Service"], key: string) => {
  const verdict = keys.judge(key)
  return verdict._tag === "Admitted" ? "admitted" : verdict.why
}

describe("ClientKeys", () => {
  it.effect("makes a key that is told once and admits its holder with what was said of it", () =>
    Effect.gen(function* () {
      const keys = yield* alone
      yield* TestClock.setTime(5)
      const { key, view } = yield* keys.create({ name: "ada", role: "token", priority: 3, rpm: 60, models: ["a", "b"] })
      const text = Redacted.value(key)
      assert.match(text, /^wg-[a-z0-9]{8}[A-Za-z0-9]{40}$/)
      assert.isTrue(text.startsWith(view.id))
      const { client, expiresAt, keyId } = admitted(keys, text)
      assert.deepStrictEqual(client, {
        name: "ada",
        role: "token",
        priority: 3,
        timeout: undefined,
        models: new Set(["a", "b"]),
        rpm: 60
      })
      assert.strictEqual(keyId, view.id)
      assert.isUndefined(expiresAt)
      assert.deepInclude(view, { name: "ada", createdAt: 5, state: "live", source: "made", revokedAt: undefined })
      assert.notInclude(JSON.stringify(yield* keys.list), text.slice(11))
      const other = yield* keys.create({ name: "bob", role: "inference" })
      assert.notStrictEqual(Redacted.value(other.key).slice(11), text.slice(11))
    }).pipe(inMemory)
  )

  it.effect("refuses what is no key, and tells only who shows all of one that it has ended", () =>
    Effect.gen(function* () {
      const keys = yield* alone
      const text = Redacted.value((yield* keys.create({ name: "ada", role: "token", expiresAt: 1_000 })).key)
      const forged = `${text.slice(0, -1)}${text.endsWith("a") ? "b" : "a"}`
      const wrong = [
        forged,
        text.slice(0, -1),
        `${text}a`,
        text.toUpperCase(),
        "wg-",
        "x".repeat(10_000),
        text.slice(0, 11)
      ]
      assert.strictEqual(why(keys, ""), "missing")
      for (const key of wrong) assert.strictEqual(why(keys, key), "unknown")
      assert.strictEqual(admitted(keys, text).expiresAt, 1_000)
      yield* TestClock.setTime(999)
      assert.strictEqual(why(keys, text), "admitted")
      yield* TestClock.setTime(1_000)
      assert.strictEqual(why(keys, text), "expired")
      yield* keys.revoke("ada")
      assert.strictEqual(why(keys, text), "revoked")
      for (const key of wrong) assert.strictEqual(why(keys, key), "unknown")
    }).pipe(inMemory)
  )

  it.effect("gives a name to one live key only, whatever its case, and not that of a configured client", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const keys = yield* on(store, () => [written("Grace", "synthetic-key")])
      const refusalOf = (name: string) =>
        Effect.map(Effect.flip(keys.create({ name, role: "token" })), (error) =>
          error instanceof KeyNameRefused ? error.reason : assert.fail(error.message)
        )
      const { view } = yield* keys.create({ name: "Ada", role: "token", expiresAt: 1_000 })
      for (const name of ["Ada", "ada", "ADA", "grace"]) assert.strictEqual(yield* refusalOf(name), "taken")
      for (const name of [
        "",
        " ada",
        "a b",
        "-a",
        "ada/b",
        "local",
        "Console",
        "weirgate",
        "key-1",
        "Key-22",
        view.id,
        "a\n",
        "ä",
        "a".repeat(65)
      ]) {
        assert.strictEqual(yield* refusalOf(name), "malformed", name)
      }
      for (const name of ["a".repeat(64), "key-1a", "ada@example.org", "locals"]) {
        yield* keys.create({ name, role: "token" })
      }
      yield* TestClock.setTime(1_000)
      yield* keys.create({ name: "ada", role: "token" })
      assert.strictEqual(yield* refusalOf("Ada"), "taken")
      yield* keys.revoke("ada")
      yield* keys.create({ name: "aDa", role: "token" })
      const named = (yield* keys.list).filter(({ name }) => name.toLowerCase() === "ada")
      assert.deepStrictEqual(named.map(({ state }) => state).toSorted(), ["expired", "live", "revoked"])
    }).pipe(inMemory)
  )

  it.effect("gives a name that several ask for at once to one of them", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const [a, b] = [yield* on(store), yield* on(store)]
      const asked = [a, b, a, b].map((keys, i) =>
        Effect.exit(keys.create({ name: i < 2 ? "ada" : "ADA", role: "token" }))
      )
      const exits = yield* Effect.all(asked, { concurrency: "unbounded" })
      assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
      assert.strictEqual((yield* a.list).length, 1)
    }).pipe(inMemory)
  )

  it.effect("is known to another process after 200 milliseconds, or at once to who looks afresh", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const [a, b, c] = [yield* on(store), yield* on(store), yield* on(store)]
      yield* TestClock.adjust("1 second")
      assert.isTrue(b.isOpen())
      const { key } = yield* a.create({ name: "ada", role: "token" })
      const text = Redacted.value(key)
      assert.strictEqual(why(a, text), "admitted")
      assert.strictEqual(why(b, text), "unknown")
      assert.strictEqual((yield* b.judgeAfresh(text))._tag, "Admitted")
      assert.strictEqual(why(c, text), "unknown")
      const before = c.version()
      yield* TestClock.adjust("200 millis")
      assert.strictEqual(why(c, text), "admitted")
      assert.notStrictEqual(c.version(), before)
      assert.isFalse(c.isOpen())

      const versions = [a.version(), b.version(), c.version()]
      yield* b.revoke("ada")
      assert.strictEqual(why(b, text), "revoked")
      yield* TestClock.adjust("200 millis")
      for (const [i, each] of [a, b, c].entries()) {
        assert.strictEqual(why(each, text), "revoked")
        assert.notStrictEqual(each.version(), versions[i])
      }
    }).pipe(inMemory)
  )

  it.effect("reads all keys again only when one was made or revoked", () =>
    Effect.gen(function* () {
      const seen = yield* watched
      const keys = yield* on(seen.store)
      const other = yield* Effect.flatMap(Store, (store) => on(store))
      yield* TestClock.adjust("1 second")
      seen.calls.length = 0
      yield* TestClock.adjust("9 seconds")
      assert.isAbove(seen.calls.length, 40)
      assert.notInclude(seen.calls, "all client-keys")
      const version = keys.version()
      yield* other.create({ name: "ada", role: "token" })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(seen.calls.filter((call) => call === "all client-keys").length, 1)
      assert.strictEqual(keys.version(), version + 1)
    }).pipe(inMemory)
  )

  it.effect("looks into the store at most once in 100 milliseconds, however many strange keys are shown", () =>
    Effect.gen(function* () {
      const seen = yield* watched
      const keys = yield* on(seen.store)
      // Between two of the looks in the background.
      yield* TestClock.adjust("1001 millis")
      const looks = () => seen.calls.splice(0).filter((call) => call.startsWith("get")).length
      const show = (n: number) =>
        Effect.forkChild(
          Effect.forEach(
            Array.from({ length: n }, (_, i) => `wg-${String(i).padStart(8, "0")}${"x".repeat(40)}`),
            keys.judgeAfresh,
            { concurrency: "unbounded" }
          ),
          { startImmediately: true }
        )
      looks()
      const first = yield* Effect.forkChild(keys.judgeAfresh(stranger), { startImmediately: true })
      yield* Fiber.join(first)
      assert.strictEqual(looks(), 1)
      const crowd = yield* show(1_000)
      assert.strictEqual(looks(), 0)
      yield* TestClock.adjust("99 millis")
      assert.strictEqual(looks(), 0)
      const late = yield* show(10)
      yield* TestClock.adjust("1 millis")
      assert.isTrue((yield* Fiber.join(crowd)).every(({ _tag }) => _tag === "Refused"))
      yield* Fiber.join(late)
      assert.strictEqual(looks(), 1)
      assert.deepStrictEqual(yield* keys.judgeAfresh(""), { _tag: "Refused", why: "missing" })
      assert.deepStrictEqual(yield* keys.judgeAfresh("sk-of-someone-else"), { _tag: "Refused", why: "unknown" })
      assert.strictEqual(looks(), 0)
    }).pipe(inMemory)
  )

  it.effect(
    "looks again for a key that was made while a look was being waited for, also when who came first has left",
    () =>
      Effect.gen(function* () {
        const store = yield* Store
        const [a, b] = [yield* on(store), yield* on(store)]
        yield* b.judgeAfresh(stranger)
        const first = yield* Effect.forkChild(b.judgeAfresh(stranger), { startImmediately: true })
        const text = Redacted.value((yield* a.create({ name: "ada", role: "token" })).key)
        const second = yield* Effect.forkChild(b.judgeAfresh(text), { startImmediately: true })
        yield* Fiber.interrupt(first)
        yield* TestClock.adjust("100 millis")
        assert.strictEqual((yield* Fiber.join(second))._tag, "Admitted")
      }).pipe(inMemory)
  )

  it.effect("lets each key make its requests in any 60 seconds, and says when the next may come", () =>
    Effect.gen(function* () {
      const keys = yield* alone
      const key = (yield* keys.create({ name: "ada", role: "token", rpm: 3 })).key
      const ada = admitted(keys, Redacted.value(key))
      const bob = admitted(keys, Redacted.value((yield* keys.create({ name: "bob", role: "token", rpm: 1 })).key))
      const free = admitted(keys, Redacted.value((yield* keys.create({ name: "eve", role: "token" })).key))
      const spentAt = (at: number) =>
        Effect.andThen(
          TestClock.setTime(at),
          Effect.sync(() => keys.spend(ada))
        )
      assert.isUndefined(yield* spentAt(0))
      assert.isUndefined(yield* spentAt(30 * second))
      assert.isUndefined(yield* spentAt(50 * second))
      assert.strictEqual(yield* spentAt(59 * second), second)
      assert.strictEqual(yield* spentAt(60 * second - 1), 1)
      assert.isUndefined(yield* spentAt(60 * second))
      assert.strictEqual(yield* spentAt(60 * second), 30 * second)
      assert.isUndefined(keys.spend(bob))
      assert.strictEqual(keys.spend(bob), 60 * second)
      for (let n = 0; n < 1_000; n++) assert.isUndefined(keys.spend(free))
      assert.isUndefined(yield* spentAt(90 * second))
    }).pipe(inMemory)
  )

  it.effect("is open until there is a key, and shut for good once one was made", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const first = yield* on(store)
      let configured: ReadonlyArray<ConfiguredKey> = []
      const other = yield* on(store, () => configured)
      assert.isTrue(first.isOpen())
      configured = [written("grace", "synthetic-key")]
      assert.isFalse(other.isOpen())
      configured = []
      assert.isTrue(other.isOpen())
      yield* first.create({ name: "ada", role: "token", expiresAt: second })
      assert.isFalse(first.isOpen())
      yield* TestClock.adjust("2 seconds")
      assert.isFalse(first.isOpen())
      assert.isFalse(other.isOpen())
      yield* first.revoke("ada")
      assert.isFalse(first.isOpen())
      assert.isFalse((yield* on(store)).isOpen())
    }).pipe(inMemory)
  )

  it.effect("admits the keys of the configuration as it is now", () =>
    Effect.gen(function* () {
      const store = yield* Store
      let configured = [written("grace", "synthetic-one", { role: "admin", rpm: 1 }), written("grace", "synthetic-two")]
      const keys = yield* on(store, () => configured)
      const version = keys.version()
      const one = admitted(keys, "synthetic-one")
      assert.deepStrictEqual([one.client.role, one.client.name], ["admin", "grace"])
      assert.isUndefined(keys.spend(one))
      assert.isNumber(keys.spend(one))
      assert.isUndefined(keys.spend(admitted(keys, "synthetic-two")))
      assert.strictEqual(why(keys, "synthetic"), "unknown")
      assert.deepStrictEqual(
        (yield* keys.list).map(({ id, name, role, source, state }) => [id, name, role, source, state]),
        [
          ["configured:grace", "grace", "admin", "configuration", "live"],
          ["configured:grace#2", "grace", "inference", "configuration", "live"]
        ]
      )
      configured = [...configured]
      assert.strictEqual(keys.version(), version)
      configured = [written("grace", "synthetic-three", { role: "token" })]
      assert.notStrictEqual(keys.version(), version)
      assert.strictEqual(why(keys, "synthetic-one"), "unknown")
      assert.strictEqual(admitted(keys, "synthetic-three").client.role, "token")
      const refused = yield* Effect.flip(keys.revoke("grace"))
      assert.deepStrictEqual(refused, new KeyUnknown({ key: "grace", isConfigured: true }))
      const shown = yield* Effect.flip(keys.revoke("synthetic-three"))
      assert.deepStrictEqual(shown, new KeyUnknown({ key: "configured:grace", isConfigured: true }))
    }).pipe(inMemory)
  )

  it.effect("revokes by id, by name and by the key itself, twice as once, and never repeats a secret", () =>
    Effect.gen(function* () {
      const keys = yield* alone
      const made = (name: string) =>
        Effect.map(keys.create({ name, role: "token" }), ({ key, view }) => ({
          text: Redacted.value(key),
          id: view.id
        }))
      const [ada, bob, eve] = [yield* made("ada"), yield* made("bob"), yield* made("eve")]
      yield* TestClock.setTime(7)
      assert.deepInclude(yield* keys.revoke(ada.id), { id: ada.id, state: "revoked", revokedAt: 7 })
      assert.strictEqual((yield* keys.revoke("BOB")).id, bob.id)
      assert.strictEqual((yield* keys.revoke(eve.text)).id, eve.id)
      yield* TestClock.setTime(9)
      assert.strictEqual((yield* keys.revoke(ada.id)).revokedAt, 7)
      for (const { text } of [ada, bob, eve]) assert.strictEqual(why(keys, text), "revoked")
      const strange = `wg-00000000${"x".repeat(40)}`
      const error = yield* Effect.flip(keys.revoke(strange))
      assert.strictEqual(error.message, "there is no key wg-00000000")
      const again = yield* made("ada")
      assert.strictEqual((yield* keys.revoke("ada")).id, again.id)
    }).pipe(inMemory)
  )

  it.effect("goes on with what it knows while the store is away, and takes over what it has missed", () =>
    Effect.gen(function* () {
      const seen = yield* watched
      const keys = yield* on(seen.store)
      const other = yield* Effect.flatMap(Store, (store) => on(store))
      const text = Redacted.value((yield* keys.create({ name: "ada", role: "token", rpm: 1 })).key)
      yield* TestClock.adjust("1 second")
      seen.isAway = true
      yield* other.revoke("ada")
      yield* TestClock.adjust("20 seconds")
      assert.isUndefined(keys.spend(admitted(keys, text)))
      assert.strictEqual((yield* keys.judgeAfresh(stranger))._tag, "Refused")
      assert.strictEqual((yield* Effect.flip(keys.create({ name: "bob", role: "token" })))._tag, "StoreUnavailable")
      assert.strictEqual((yield* Effect.flip(keys.revoke("ada")))._tag, "StoreUnavailable")
      assert.strictEqual((yield* keys.list).length, 1)
      seen.isAway = false
      yield* TestClock.adjust("200 millis")
      assert.strictEqual(why(keys, text), "revoked")
    }).pipe(inMemory)
  )

  it.effect(
    "stores when a key was used within ten seconds and at the end, and never an earlier time over a later",
    () =>
      Effect.gen(function* () {
        const store = yield* Store
        const scope = yield* Scope.make()
        const ours = yield* Scope.provide(on(store), scope)
        const { key, view } = yield* ours.create({ name: "ada", role: "token" })
        const theirScope = yield* Scope.make()
        const theirs = yield* Scope.provide(on(store), theirScope)
        const third = yield* on(store)
        const lastUsed = Effect.map(third.list, (views) => views[0]?.lastUsedAt)
        assert.isUndefined(yield* lastUsed)
        yield* TestClock.adjust("1 second")
        admitted(ours, Redacted.value(key))
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* lastUsed, second)
        // The one that saw it later stores it earlier.
        ours.spend(admitted(ours, Redacted.value(key)))
        yield* TestClock.adjust("1 second")
        admitted(theirs, Redacted.value(key))
        yield* Scope.close(theirScope, Exit.void)
        assert.strictEqual(yield* lastUsed, 12 * second)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* lastUsed, 12 * second)
        admitted(ours, Redacted.value(key))
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* lastUsed, 22 * second)
        assert.strictEqual((yield* third.list)[0]?.id, view.id)
      }).pipe(inMemory)
  )

  it.effect("keeps when a key was used until the store takes it", () =>
    Effect.gen(function* () {
      const seen = yield* watched
      const keys = yield* on(seen.store)
      const { key } = yield* keys.create({ name: "ada", role: "token" })
      yield* TestClock.setTime(5)
      admitted(keys, Redacted.value(key))
      seen.isAway = true
      yield* TestClock.adjust("30 seconds")
      seen.isAway = false
      yield* TestClock.adjust("10 seconds")
      const other = yield* Effect.flatMap(Store, (store) => on(store))
      assert.strictEqual((yield* other.list)[0]?.lastUsedAt, 5)
    }).pipe(inMemory)
  )

  it.effect("shows what has ended for 30 days, then forgets it, use and all, and stays shut", () =>
    Effect.gen(function* () {
      const store = yield* Store
      /** Processes come and go: one that stayed would look five times a second all those days. */
      const within = <A, E>(use: (keys: ClientKeys["Service"]) => Effect.Effect<A, E>) =>
        Effect.scoped(Effect.flatMap(on(store), (keys) => Effect.andThen(TestClock.adjust("1 second"), use(keys))))
      const all = within((keys) => Effect.map(keys.list, (views) => views.map(({ name, state }) => `${name} ${state}`)))
      yield* within((keys) =>
        Effect.gen(function* () {
          for (const [name, expiresAt] of [["ada", day], ["bob"], ["eve", 90 * day]] as const) {
            const { key } = yield* keys.create({ name, role: "token", expiresAt })
            admitted(keys, Redacted.value(key))
            yield* TestClock.adjust("1 second")
          }
          yield* keys.revoke("bob")
        })
      )
      yield* TestClock.setTime(30 * day)
      assert.deepStrictEqual(yield* all, ["eve live", "bob revoked", "ada expired"])
      yield* TestClock.setTime(30 * day + 10 * second)
      assert.deepStrictEqual(yield* all, ["eve live", "ada expired"])
      yield* TestClock.setTime(31 * day)
      assert.deepStrictEqual(yield* all, ["eve live"])
      const uses = yield* store.all({ name: "client-key-uses", schema: Schema.Json })
      assert.strictEqual(uses.size, 1)
      yield* TestClock.setTime(130 * day)
      assert.deepStrictEqual(yield* all, [])
      assert.isFalse(yield* within((keys) => Effect.sync(() => keys.isOpen())))
    }).pipe(inMemory)
  )

  it.effect("survives a restart, and the database file holds no key", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const file = join(folder, "weirgate.db")
      const made = yield* Effect.gen(function* () {
        const keys = yield* alone
        const ada = yield* keys.create({
          name: "ada",
          role: "token",
          rpm: 5,
          models: ["m"],
          priority: 2,
          expiresAt: day
        })
        const bob = yield* keys.create({ name: "bob", role: "inference" })
        yield* keys.revoke("bob")
        return {
          ada: Redacted.value(ada.key),
          bob: Redacted.value(bob.key),
          client: admitted(keys, Redacted.value(ada.key))
        }
      }).pipe(Effect.provide(Sqlite.layer(file)), Effect.scoped)
      yield* Effect.gen(function* () {
        const keys = yield* alone
        assert.deepStrictEqual(admitted(keys, made.ada), made.client)
        assert.strictEqual(why(keys, made.bob), "revoked")
        assert.strictEqual((yield* keys.list).length, 2)
        const bytes = bytesIn(folder)
        assert.include(bytes, made.ada.slice(0, 11))
        for (const key of [made.ada, made.bob]) assert.notInclude(bytes, key.slice(11))
      }).pipe(Effect.provide(Sqlite.layer(file)), Effect.scoped)
    })
  )
})
