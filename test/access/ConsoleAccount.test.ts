import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Fiber, Layer, Redacted, Result, Schema } from "effect"
import { TestClock } from "effect/testing"
import { createHash } from "node:crypto"
import { join } from "node:path"
import { ConsoleAccount, LoginRefused, LoginThrottled, type Session } from "../../src/access/ConsoleAccount.ts"
import { type Cost, defaultCost } from "../../src/access/password.ts"
import * as Sqlite from "../../src/store/Sqlite.ts"
import { Store } from "../../src/store/Store.ts"
import { bytesIn, temporaryFolder, watched } from "./stores.ts"

const cheap: Cost = { N: 1_024, r: 8, p: 1 }
const password = Redacted.make("synthetic password 1")
const wrong = Redacted.make("synthetic password 2")
const home = "192.0.2.1"
const second = 1_000
const minute = 60 * second
const hour = 60 * minute

/** As in a process of its own on that store. */
const on = (store: Store["Service"], cost = cheap) =>
  Layer.build(ConsoleAccount.layerWith({ cost }).pipe(Layer.provide(Layer.succeed(Store, store)))).pipe(
    Effect.map((context) => Context.get(context, ConsoleAccount))
  )
const withPassword = Effect.gen(function* () {
  const account = yield* on(yield* Store)
  yield* account.setPassword(password)
  return account
})
const inMemory = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, Store.layerMemory)

const shown = (account: ConsoleAccount["Service"], session: Session) => account.session(session.secret)
const isAlive = (account: ConsoleAccount["Service"], session: Session) =>
  Effect.map(shown(account, session), (found) => found !== undefined)
const refusal = (account: ConsoleAccount["Service"], from: string, given = wrong) =>
  Effect.map(Effect.flip(account.login(given, from)), (error) =>
    error instanceof LoginThrottled ? Duration.toMillis(error.retryAfter) : error._tag
  )

describe("the console's password", () => {
  it.effect("is made at the first start, by one of the processes that start at once, and told only then", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const [a, b] = [yield* on(store), yield* on(store)]
      const told = yield* Effect.all([a.ensure, b.ensure], { concurrency: "unbounded" })
      const [made, ...others] = told.filter((each) => each !== undefined)
      assert.isEmpty(others)
      const given = made ?? assert.fail("none was made")
      assert.match(Redacted.value(given), /^[A-Za-z0-9]{20,}$/)
      assert.isUndefined(yield* a.ensure)
      yield* b.login(given, home)
      assert.isUndefined(yield* (yield* on(store)).ensure)
    }).pipe(inMemory)
  )

  it.effect("opens the console, and no other does", () =>
    Effect.gen(function* () {
      const account = yield* on(yield* Store)
      assert.deepStrictEqual(yield* Effect.flip(account.login(password, home)), new LoginRefused())
      yield* account.setPassword(password)
      for (const given of ["", "synthetic password 1 ", "Synthetic password 1", "x".repeat(100_000)]) {
        assert.strictEqual(
          yield* refusal(account, `2001:db8:${given.length.toString(16)}::1`, Redacted.make(given)),
          "LoginRefused"
        )
      }
      assert.isTrue(yield* isAlive(account, yield* account.login(password, home)))
    }).pipe(inMemory)
  )

  it.effect("is the same however its characters were composed", () =>
    Effect.gen(function* () {
      const account = yield* on(yield* Store)
      yield* account.setPassword(Redacted.make("Gr\u00fc\u00dfe aus K\u00f6ln!"))
      yield* account.login(Redacted.make("Gru\u0308\u00dfe aus Ko\u0308ln!"), home)
    }).pipe(inMemory)
  )

  it.effect(
    "is refused with the reason when it is too short, too long or too simple, and then nothing has changed",
    () =>
      Effect.gen(function* () {
        const account = yield* withPassword
        const session = yield* account.login(password, home)
        for (const [given, reason] of [
          ["elevenchars", "password: expected at least 12 characters"],
          ["\u{1f511}".repeat(11), "password: expected at least 12 characters"],
          ["ab".repeat(513), "password: expected at most 1024 characters"],
          ["aaaaaaaaaaaaaaaa", "password: expected more than three different characters"]
        ] as const) {
          assert.strictEqual((yield* Effect.flip(account.setPassword(Redacted.make(given)))).message, reason)
        }
        assert.isTrue(yield* isAlive(account, session))
        yield* account.setPassword(Redacted.make("abcdefgh".repeat(128)))
        yield* account.setPassword(Redacted.make("twelve chars"))
      }).pipe(inMemory)
  )

  it.effect(
    "costs what OWASP asks for unless it is told otherwise, and grows with what it is told at the next login",
    () =>
      Effect.gen(function* () {
        // Password Storage Cheat Sheet: N=2^15, r=8, p=3 is one of its minimums.
        assert.deepStrictEqual(defaultCost, { N: 2 ** 15, r: 8, p: 3 })
        const store = yield* Store
        const before = yield* withPassword
        const session = yield* before.login(password, home)
        const stored = Effect.map(
          store.get({ name: "console-account", schema: Schema.Json }, "console"),
          (record) => record as { readonly password: { readonly cost: Cost } }
        )
        assert.deepStrictEqual((yield* stored).password.cost, cheap)
        const dearer = { N: 2_048, r: 8, p: 1 }
        const after = yield* on(store, dearer)
        yield* Effect.flip(after.login(wrong, home))
        assert.deepStrictEqual((yield* stored).password.cost, cheap)
        yield* after.login(password, home)
        assert.deepStrictEqual((yield* stored).password.cost, dearer)
        yield* before.login(password, home)
        assert.deepStrictEqual((yield* stored).password.cost, dearer)
        assert.isTrue(yield* isAlive(after, session))
      }).pipe(inMemory)
  )

  it.effect("ends all sessions when it changes, in every process, also one whose login was under way", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const ours = yield* withPassword
      const theirs = yield* on(store)
      const sessions = [yield* ours.login(password, home), yield* theirs.login(password, home)]
      // Another password comes after the old one was compared and before its session begins.
      let between: Effect.Effect<Session, unknown> | undefined
      let newer: Session | undefined
      const third = yield* on(
        {
          ...store,
          all: (collection) =>
            Effect.suspend(() => {
              const first = between
              between = undefined
              return first === undefined
                ? Effect.void
                : Effect.map(Effect.orDie(first), (session) => void (newer = session))
            }).pipe(Effect.andThen(store.all(collection)))
        },
        { N: 2_048, r: 8, p: 1 }
      )
      between = Effect.andThen(theirs.setPassword(wrong), theirs.login(wrong, home))
      const late = yield* third.login(password, home)
      for (const account of [ours, theirs, third]) {
        for (const session of [...sessions, late]) assert.isFalse(yield* isAlive(account, session))
        assert.isTrue(yield* isAlive(account, newer ?? assert.fail("nothing came between")))
      }
      assert.strictEqual(yield* refusal(ours, home, password), "LoginRefused")
      yield* ours.setPassword(password)
      const records = yield* store.all({ name: "console-sessions", schema: Schema.Json })
      assert.strictEqual(records.size, 0)
    }).pipe(inMemory)
  )
})

describe("a console session", () => {
  it.effect("ends after 60 minutes without a request, not a millisecond before, and after 12 hours in any case", () =>
    Effect.gen(function* () {
      const account = yield* withPassword
      assert.strictEqual(Duration.toMillis(account.idleFor), hour)
      const session = yield* account.login(password, home)
      assert.deepInclude(session, { idleUntil: hour, until: 12 * hour })
      const idle = yield* account.login(password, home)
      yield* TestClock.setTime(hour - 1)
      let current = (yield* shown(account, session)) ?? assert.fail("ended")
      assert.isTrue(current.rotated)
      assert.strictEqual(current.session.idleUntil, 2 * hour - 1)
      yield* TestClock.setTime(hour)
      assert.isFalse(yield* isAlive(account, idle))
      for (let at = 80 * minute; at < 12 * hour; at += 20 * minute) {
        yield* TestClock.setTime(at)
        current = (yield* shown(account, current.session)) ?? assert.fail(`ended at ${at}`)
      }
      assert.strictEqual(current.session.idleUntil, 12 * hour)
      yield* TestClock.setTime(12 * hour - 1)
      assert.isTrue(yield* isAlive(account, current.session))
      yield* TestClock.setTime(12 * hour)
      assert.isFalse(yield* isAlive(account, current.session))
    }).pipe(inMemory)
  )

  it.effect(
    "gets another secret every 15 minutes; the old one is good for 30 seconds, and the page keeps its CSRF secret",
    () =>
      Effect.gen(function* () {
        const store = yield* Store
        yield* withPassword
        // Both have read before either writes.
        const hesitant: Store["Service"] = {
          ...store,
          get: (...args) => Effect.tap(store.get(...args), Effect.yieldNow)
        }
        const [account, other] = [yield* on(hesitant), yield* on(hesitant)]
        const first = yield* account.login(password, home)
        yield* TestClock.setTime(15 * minute - 1)
        const early = (yield* shown(account, first)) ?? assert.fail("ended")
        assert.isFalse(early.rotated)
        assert.strictEqual(Redacted.value(early.session.secret), Redacted.value(first.secret))
        yield* TestClock.setTime(15 * minute)
        const both = yield* Effect.all([shown(account, first), shown(other, first)], { concurrency: "unbounded" })
        assert.deepStrictEqual(both.map((each) => each?.rotated).toSorted(), [false, true])
        const next = both.find((each) => each?.rotated)?.session ?? assert.fail("not rotated")
        assert.notStrictEqual(Redacted.value(next.secret), Redacted.value(first.secret))
        for (const each of both) {
          assert.strictEqual(Redacted.value(each?.session.csrf ?? assert.fail()), Redacted.value(first.csrf))
        }
        yield* TestClock.setTime(15 * minute + 30 * second - 1)
        assert.isFalse((yield* shown(account, first))?.rotated)
        assert.isTrue(yield* isAlive(other, next))
      }).pipe(inMemory)
  )

  it.effect("ends when its old secret is shown after that: one of the two who hold it should not", () =>
    Effect.gen(function* () {
      const account = yield* withPassword
      const first = yield* account.login(password, home)
      yield* TestClock.setTime(15 * minute)
      const next = (yield* shown(account, first))?.session ?? assert.fail("ended")
      yield* TestClock.setTime(15 * minute + 30 * second)
      assert.isTrue(yield* isAlive(account, next))
      assert.isFalse(yield* isAlive(account, first))
      assert.isFalse(yield* isAlive(account, next))
    }).pipe(inMemory)
  )

  it.effect("is found by its whole secret only, and each has a CSRF secret of its own", () =>
    Effect.gen(function* () {
      const account = yield* withPassword
      const [a, b] = [yield* account.login(password, home), yield* account.login(password, home)]
      assert.notStrictEqual(Redacted.value(a.csrf), Redacted.value(b.csrf))
      const [id = "", seed = "", nonce = ""] = Redacted.value(a.secret).split(".")
      const [, otherSeed = "", otherNonce = ""] = Redacted.value(b.secret).split(".")
      assert.isAtLeast(Buffer.from(nonce, "base64url").length, 32)
      for (const forged of [
        "",
        id,
        `${id}.${seed}`,
        `${id}.${otherSeed}.${nonce}`,
        `${id}.${seed}.${otherNonce}`,
        `${id}.${otherSeed}.${otherNonce}`,
        `${Redacted.value(a.secret)}x`,
        `${Redacted.value(a.secret)}\n`,
        Redacted.value(a.csrf)
      ]) {
        assert.isUndefined(yield* account.session(Redacted.make(forged)), forged)
        yield* account.logout(Redacted.make(forged))
      }
      assert.isTrue(yield* isAlive(account, a))
    }).pipe(inMemory)
  )

  it.effect("ends with its logout, in every process, and no other does", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const account = yield* withPassword
      const other = yield* on(store)
      const [a, b] = [yield* account.login(password, home), yield* account.login(password, home)]
      yield* account.logout(a.secret)
      assert.isFalse(yield* isAlive(other, a))
      assert.isTrue(yield* isAlive(other, b))
    }).pipe(inMemory)
  )

  it.effect(
    "goes on for what it has let in, however often its secret changes, and is not prolonged by the question",
    () =>
      Effect.gen(function* () {
        const account = yield* withPassword
        const first = yield* account.login(password, home)
        yield* TestClock.setTime(15 * minute)
        const next = (yield* shown(account, first))?.session ?? assert.fail("ended")
        yield* TestClock.setTime(75 * minute - 1)
        assert.isTrue(yield* account.goesOn(first.secret))
        assert.isTrue(yield* account.goesOn(next.secret))
        yield* TestClock.setTime(75 * minute)
        assert.isFalse(yield* account.goesOn(first.secret))
        const [left, other] = [yield* account.login(password, home), yield* account.login(password, home)]
        yield* account.logout(left.secret)
        assert.isFalse(yield* account.goesOn(left.secret))
        assert.isTrue(yield* account.goesOn(other.secret))
        yield* account.setPassword(wrong)
        assert.isFalse(yield* account.goesOn(other.secret))
        assert.isFalse(yield* account.goesOn(Redacted.make("synthetic")))
      }).pipe(inMemory)
  )

  it.effect("gives way when fifty have begun after it", () =>
    Effect.gen(function* () {
      const account = yield* withPassword
      const sessions: Array<Session> = []
      for (let n = 0; n < 51; n++) {
        yield* TestClock.adjust("1 second")
        sessions.push(yield* account.login(password, home))
      }
      const alive = yield* Effect.forEach(sessions, (session) => isAlive(account, session))
      assert.deepStrictEqual(alive, [false, ...Array.from({ length: 50 }, () => true)])
    }).pipe(inMemory)
  )

  it.effect("is stored at most once a minute, however many requests it makes", () =>
    Effect.gen(function* () {
      const seen = yield* watched
      const account = yield* on(seen.store)
      yield* account.setPassword(password)
      const session = yield* account.login(password, home)
      seen.calls.length = 0
      for (let n = 0; n < 600; n++) {
        yield* TestClock.adjust("1 second")
        assert.isTrue(yield* isAlive(account, session))
      }
      assert.strictEqual(seen.calls.filter((call) => call.startsWith("modify")).length, 10)
    }).pipe(inMemory)
  )

  it.effect("stays good when the store will not take that it is in use", () =>
    Effect.gen(function* () {
      const seen = yield* watched
      const account = yield* on(seen.store)
      yield* account.setPassword(password)
      const session = yield* account.login(password, home)
      yield* TestClock.setTime(20 * minute)
      Object.assign(seen, { isAway: true, refused: /^modify/ })
      const found = (yield* shown(account, session)) ?? assert.fail("ended")
      assert.isFalse(found.rotated)
      seen.isAway = false
      assert.isTrue((yield* shown(account, session))?.rotated)
    }).pipe(inMemory)
  )

  it.effect("survives a restart, and the database file holds neither password nor secrets", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const database = Sqlite.layer(join(folder, "weirgate.db"))
      const session = yield* Effect.gen(function* () {
        return yield* (yield* withPassword).login(password, home)
      }).pipe(Effect.provide(database), Effect.scoped)
      yield* Effect.gen(function* () {
        const account = yield* on(yield* Store)
        const found = (yield* shown(account, session)) ?? assert.fail("ended")
        assert.strictEqual(Redacted.value(found.session.csrf), Redacted.value(session.csrf))
        yield* account.login(password, home)
        const bytes = bytesIn(folder)
        const [id = "", seed = "", nonce = ""] = Redacted.value(session.secret).split(".")
        assert.include(bytes, id)
        const plain = createHash("sha256").update(Redacted.value(password)).digest("base64url")
        for (const secret of [Redacted.value(password), plain, seed, nonce, Redacted.value(session.csrf)]) {
          assert.notInclude(bytes, secret)
        }
      }).pipe(Effect.provide(Sqlite.layer(join(folder, "weirgate.db"))), Effect.scoped)
    })
  )
})

describe("the login", () => {
  it.effect(
    "is throttled after five wrong passwords from an address, and then the right one is not even compared",
    () =>
      Effect.gen(function* () {
        const account = yield* withPassword
        for (let n = 0; n < 5; n++) assert.strictEqual(yield* refusal(account, home), "LoginRefused")
        assert.strictEqual(yield* refusal(account, home, password), second)
        yield* TestClock.adjust("999 millis")
        assert.strictEqual(yield* refusal(account, home, password), 1)
        yield* TestClock.adjust("1 millis")
        yield* account.login(password, home)
        assert.strictEqual(yield* refusal(account, home), "LoginRefused")
        assert.strictEqual(yield* refusal(account, home), 2 * second)
      }).pipe(inMemory)
  )

  it.effect("counts attempts that come at once", () =>
    Effect.gen(function* () {
      const account = yield* withPassword
      const all = yield* Effect.all(
        Array.from({ length: 30 }, () => refusal(account, home)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(all.filter((each) => each === "LoginRefused").length, 5)
    }).pipe(inMemory)
  )

  it.effect("counts an attempt that left before its answer", () =>
    Effect.gen(function* () {
      const account = yield* withPassword
      for (let n = 0; n < 5; n++) {
        const attempt = yield* Effect.forkChild(account.login(wrong, home), { startImmediately: true })
        yield* Fiber.interrupt(attempt)
      }
      assert.strictEqual(yield* refusal(account, home, password), second)
    }).pipe(inMemory)
  )

  it.effect("lets its owner in from where they were before, whatever strangers try, also after a restart", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const before = yield* withPassword
      yield* before.login(password, home)
      for (const account of [before, yield* on(store)]) {
        for (let n = 0; n < 20; n++) assert.strictEqual(yield* refusal(account, `198.51.100.${n}`), "LoginRefused")
        assert.strictEqual(yield* refusal(account, "203.0.113.1", password), 5 * second)
        yield* account.login(password, home)
      }
    }).pipe(inMemory)
  )

  it.effect("lets twenty wait for the hash and tells the others to come again, without counting them", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const first = yield* withPassword
      const owners = Array.from({ length: 8 }, (_, i) => `192.0.2.${i}`)
      for (const owner of owners) yield* first.login(password, owner)
      // They all are known to it, so that the account's limit is not asked.
      const account = yield* on(store)
      const attempts = owners.flatMap((owner) =>
        Array.from({ length: 4 }, () => Effect.result(account.login(password, owner)))
      )
      const results = yield* Effect.all(attempts, { concurrency: "unbounded" })
      const busy = results.flatMap((result) => (Result.isFailure(result) ? [result.failure] : []))
      assert.strictEqual(busy.length, 10)
      for (const each of busy) assert.deepStrictEqual(each, new LoginThrottled({ retryAfter: Duration.seconds(1) }))
      for (const owner of owners)
        for (let n = 0; n < 5; n++) assert.strictEqual(yield* refusal(account, owner), "LoginRefused")
    }).pipe(inMemory)
  )

  it.effect("counts nothing while the store is away", () =>
    Effect.gen(function* () {
      const seen = yield* watched
      const account = yield* on(seen.store)
      yield* account.setPassword(password)
      seen.isAway = true
      for (let n = 0; n < 9; n++) assert.strictEqual(yield* refusal(account, home), "StoreUnavailable")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(account.ensure)))
      seen.isAway = false
      yield* account.login(password, home)
    }).pipe(inMemory)
  )
})
