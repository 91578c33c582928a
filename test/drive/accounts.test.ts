import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { AccessRejected, AccountBlocked, RequestRejected, Throttled } from "../../src/domain/Failure.ts"
import { type Listing, PathUnknown } from "../../src/drive/Drive.ts"
import { ScriptedWopan } from "../../src/testing/ScriptedWopan.ts"
import { calls, leased, listed, start, unavailable, world } from "./drives.ts"

const both = { one: { shared: { a: 1 }, mine: { x: 1 } }, two: { shared: { b: 1 }, other: { y: 1, deep: { z: 1 } } } }
const minute = 60_000
const summary = ({ account, entries, source }: Listing) => [account, source, entries.map(({ name }) => name).join()]
const disable = (pool: Effect.Success<ReturnType<typeof start>>["pool"], id: unknown) =>
  Effect.flatMap(pool.list("wopan"), (views) =>
    Effect.forEach(
      views.filter((view) => view.id === id),
      (view) => pool.disable(view.id, "a person did")
    )
  )

describe("whose drive is asked", () => {
  it.effect("the account that is named, and what is known of one is not answered for the other", () =>
    Effect.gen(function* () {
      const { drive } = yield* start(["one", "two"])
      for (let round = 0; round < 2; round += 1) {
        for (const [account, held] of [
          ["one", "a"],
          ["two", "b"]
        ] as const) {
          assert.deepStrictEqual(summary(yield* drive.list({ path: "shared", account })), [
            account,
            round === 0 ? "realtime" : "cache",
            held
          ])
        }
      }
      assert.instanceOf(yield* Effect.flip(drive.list({ path: "other", account: "one" })), PathUnknown)
      assert.strictEqual((yield* Effect.flip(drive.list({ path: "", account: "three" })))._tag, "NoTokenUsable")
    }).pipe(Effect.provide(world(both)))
  )

  it.effect("the one that answered last, over a restart, whatever the order of the tokens", () =>
    Effect.gen(function* () {
      const first = yield* start(["one", "two"], { strategy: "round_robin" })
      assert.strictEqual((yield* first.drive.list({ path: "shared" })).account, "one")
      assert.strictEqual((yield* first.drive.list({ path: "", realtime: true })).account, "one")
      yield* first.drive.list({ path: "shared", account: "two" })
      for (let i = 0; i < 3; i += 1)
        assert.strictEqual((yield* first.drive.list({ path: "", realtime: true })).account, "two")
      yield* first.stop
      const second = yield* start([], { strategy: "round_robin" })
      assert.strictEqual((yield* second.drive.list({ path: "", realtime: true })).account, "two")
    }).pipe(Effect.provide(world(both)))
  )

  it.effect("another when its token is out of use, which then stays", () =>
    Effect.gen(function* () {
      const { drive, ids, pool } = yield* start(["one", "two"])
      yield* drive.list({ path: "shared" })
      yield* disable(pool, ids["one"])
      assert.deepStrictEqual(summary(yield* drive.list({ path: "shared" })), ["two", "realtime", "b"])
      if (ids["one"] !== undefined) yield* pool.enable(ids["one"])
      assert.strictEqual((yield* drive.list({ path: "", realtime: true })).account, "two")
    }).pipe(Effect.provide(world(both)))
  )

  for (const failure of [
    new AccountBlocked({ provider: "wopan", reason: "synthetic" }),
    new Throttled({ provider: "wopan", signature: "synthetic" }),
    new AccessRejected({ provider: "wopan" })
  ]) {
    it.effect(`another when its token turns out to be of no use (${failure._tag})`, () =>
      Effect.gen(function* () {
        const { drive } = yield* start(["one", "two"])
        yield* ScriptedWopan.use((wopan) => wopan.fail("list", failure, failure._tag === "AccessRejected" ? 2 : 1))
        assert.deepStrictEqual(summary(yield* drive.list({ path: "shared" })), ["two", "realtime", "b"])
      }).pipe(Effect.provide(world(both)))
    )
  }

  it.effect("no other when the drive as a whole fails", () =>
    Effect.gen(function* () {
      const { drive } = yield* start(["one", "two"])
      yield* ScriptedWopan.use((wopan) => wopan.fail("list", unavailable()))
      assert.strictEqual((yield* Effect.flip(drive.list({ path: "shared" })))._tag, "UpstreamUnavailable")
      assert.strictEqual(yield* calls("list"), 1)
    }).pipe(Effect.provide(world(both)))
  )

  it.effect("every one that is of use, and the first failure tells why when none is", () =>
    Effect.gen(function* () {
      const { drive } = yield* start(["one", "two"])
      const wopan = yield* ScriptedWopan
      yield* wopan.fail("list", new Throttled({ provider: "wopan", signature: "synthetic" }))
      yield* wopan.fail("list", new AccountBlocked({ provider: "wopan", reason: "synthetic" }))
      assert.strictEqual((yield* Effect.flip(drive.list({ path: "shared" })))._tag, "Throttled")
      assert.strictEqual(yield* calls("list"), 2)
    }).pipe(Effect.provide(world(both)))
  )

  it.effect("another when its drive knows no such path, and that one does not take its place", () =>
    Effect.gen(function* () {
      const { drive } = yield* start(["one", "two"])
      yield* drive.list({ path: "" })
      assert.deepStrictEqual(summary(yield* drive.list({ path: "other" })), ["two", "realtime", "y,deep"])
      assert.strictEqual((yield* drive.list({ path: "", realtime: true })).account, "one")
    }).pipe(Effect.provide(world(both)))
  )

  it.effect("none: the newest that is known of any account, and of the named one when one is named", () =>
    Effect.gen(function* () {
      const { drive, ids, pool } = yield* start(["one", "two"])
      yield* drive.list({ path: "shared", account: "two" })
      yield* TestClock.adjust(minute)
      yield* drive.list({ path: "shared", account: "one" })
      yield* TestClock.adjust(10 * minute)
      for (const id of Object.values(ids)) yield* disable(pool, id)
      const newest = yield* drive.list({ path: "shared" })
      assert.deepStrictEqual([...summary(newest), newest.ageMs], ["one", "cache", "a", 10 * minute])
      assert.match(newest.failure ?? "", /2 disabled/)
      const named = yield* drive.list({ path: "shared", account: "two", realtime: true })
      assert.deepStrictEqual([...summary(named), named.ageMs], ["two", "cache", "b", 11 * minute])
      for (const account of [undefined, "one"]) {
        assert.strictEqual((yield* Effect.flip(drive.list({ path: "never", account })))._tag, "NoTokenUsable")
      }
    }).pipe(Effect.provide(world(both)))
  )

  it.effect("nobody when there is no token at all", () =>
    Effect.gen(function* () {
      const { drive } = yield* start([])
      assert.strictEqual((yield* Effect.flip(drive.list({ path: "" })))._tag, "NoTokenUsable")
      assert.strictEqual((yield* Effect.flip(drive.download({ path: "x" })))._tag, "NoTokenUsable")
    }).pipe(Effect.provide(world(both)))
  )

  it.effect("for at most 60 seconds, however many there are", () => {
    const accounts = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`t${i}`, {}]))
    return Effect.gen(function* () {
      const { drive, pool } = yield* start(Object.keys(accounts))
      yield* ScriptedWopan.use((wopan) => wopan.delay("list", "25 seconds", 100))
      const listing = yield* Effect.forkChild(drive.list({ path: "nowhere" }))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Effect.flip(Fiber.join(listing)))._tag, "UpstreamUnavailable")
      assert.deepStrictEqual([yield* calls("list"), yield* leased(pool)], [3, 0])
    }).pipe(Effect.provide(world(accounts)))
  })
})

describe("download addresses", () => {
  // Protocols 6: the fid of one account was asked for with the token of another.
  it.effect("are asked for with the token whose account lists the file, at any depth", () =>
    Effect.gen(function* () {
      const { drive } = yield* start(["one", "two"], { strategy: "round_robin" })
      for (let i = 0; i < 4; i += 1) {
        for (const [path, account] of [
          ["mine/x", "one"],
          ["other/deep/z", "two"],
          ["other/y", "two"],
          ["shared/a", "one"]
        ] as const) {
          const found = yield* drive.download({ path })
          assert.strictEqual(found.account, account)
          assert.strictEqual(
            Redacted.value(found.url),
            `https://drive.test/openapi/download?fid=${encodeURIComponent(`fid:${account}:${path}`)}`
          )
        }
      }
      for (const { account, call, token } of yield* ScriptedWopan.use((wopan) => wopan.asked)) {
        if (call !== "downloadUrl") continue
        assert.isDefined(account)
        assert.isDefined(token)
      }
      assert.strictEqual(yield* calls("downloadUrl"), 16)
    }).pipe(Effect.provide(world(both)))
  )

  it.effect("need no listing while a fresh one names the file, and show nothing when printed", () =>
    Effect.gen(function* () {
      const { drive } = yield* start(["one"])
      yield* drive.list({ path: "mine" })
      const before = yield* calls("list")
      const found = yield* drive.download({ path: "mine/x" })
      assert.strictEqual(yield* calls("list"), before)
      assert.notInclude(`${JSON.stringify(found)} ${String(found.url)}`, "fid")
      yield* drive.download({ path: "mine/x", realtime: true })
      assert.strictEqual(yield* calls("list"), before + 2)
      yield* TestClock.adjust("5 minutes")
      yield* drive.download({ path: "mine/x" })
      assert.strictEqual(yield* calls("list"), before + 4)
    }).pipe(Effect.provide(world(both)))
  )

  it.effect("of a file that came since the last listing, or has another fid now, cost one live listing", () =>
    Effect.gen(function* () {
      const { drive, pool } = yield* start(["one"])
      const wopan = yield* ScriptedWopan
      yield* drive.list({ path: "" })
      yield* drive.list({ path: "mine" })
      yield* wopan.hold("one", { mine: { x: 1, y: 2 } })
      const before = (yield* listed).length
      yield* drive.download({ path: "mine/y" })
      assert.deepStrictEqual((yield* listed).slice(before), ["one:mine#0"])
      yield* wopan.fail(
        "downloadUrl",
        new RequestRejected({ provider: "wopan", status: 404, code: null, reason: "synthetic" })
      )
      yield* drive.download({ path: "mine/x" })
      assert.deepStrictEqual((yield* listed).slice(before), ["one:mine#0", "one:mine#0"])
      yield* wopan.hold("one", { mine: { y: 2 } })
      assert.instanceOf(yield* Effect.flip(drive.download({ path: "mine/x" })), PathUnknown)
      assert.deepStrictEqual((yield* listed).length - before, 3)
      assert.strictEqual((yield* pool.list("wopan"))[0]?.failed, 0)
    }).pipe(Effect.provide(world(both)))
  )

  it.effect("do not cost the token anything when a known fid is refused as if the secret had ended", () =>
    Effect.gen(function* () {
      const { drive, pool } = yield* start(["one"])
      const wopan = yield* ScriptedWopan
      yield* drive.list({ path: "mine" })
      yield* wopan.fail("downloadUrl", new AccessRejected({ provider: "wopan" }), 2)
      assert.strictEqual((yield* drive.download({ path: "mine/x" })).account, "one")
      const [view] = yield* pool.list("wopan")
      // Two listings and the address; of the refused call it is not known whose fault it was.
      assert.deepStrictEqual([view?.succeeded, view?.failed, view?.usable], [3, 0, true])
      assert.strictEqual(yield* calls("refresh"), 1)
    }).pipe(Effect.provide(world(both)))
  )

  it.effect("are refused for a path that no account knows, after each was asked once, and for a folder", () =>
    Effect.gen(function* () {
      const { drive } = yield* start(["one", "two"])
      const failure = yield* Effect.flip(drive.download({ path: "nowhere/x" }))
      assert.deepStrictEqual(failure, new PathUnknown({ path: "nowhere/x" }))
      assert.deepStrictEqual(yield* listed, ["one:#0", "two:#0"])
      assert.instanceOf(yield* Effect.flip(drive.download({ path: "shared" })), PathUnknown)
      assert.instanceOf(yield* Effect.flip(drive.download({ path: "other/y", account: "one" })), PathUnknown)
      assert.strictEqual(yield* calls("downloadUrl"), 0)
    }).pipe(Effect.provide(world(both)))
  )

  it.effect("are of an unknown path where a drive says so, whatever another account's token has come to", () =>
    Effect.gen(function* () {
      const { drive, pool } = yield* start(["one"])
      yield* pool.add({
        provider: "wopan",
        name: "junk",
        kind: "shared",
        credential: { access: Redacted.make("synthetic-token-of-no-account") }
      })
      assert.instanceOf(yield* Effect.flip(drive.list({ path: "nowhere" })), PathUnknown)
      assert.instanceOf(yield* Effect.flip(drive.download({ path: "nowhere/x" })), PathUnknown)
    }).pipe(Effect.provide(world(both)))
  )

  it.effect("of a file that a drive held which cannot be asked now are no unknown path", () =>
    Effect.gen(function* () {
      const { drive, ids, pool } = yield* start(["one", "two"])
      yield* drive.list({ path: "mine", account: "one" })
      yield* disable(pool, ids["one"])
      assert.strictEqual((yield* Effect.flip(drive.download({ path: "mine/x" })))._tag, "NoTokenUsable")
      assert.instanceOf(yield* Effect.flip(drive.download({ path: "mine/none" })), PathUnknown)
    }).pipe(Effect.provide(world(both)))
  )

  it.effect("renew a secret that has ended once, and abort when nobody wants them any more", () =>
    Effect.gen(function* () {
      const { drive, pool } = yield* start(["one"])
      const wopan = yield* ScriptedWopan
      yield* drive.list({ path: "mine" })
      yield* wopan.expire("one")
      yield* drive.download({ path: "mine/x" })
      assert.deepStrictEqual([yield* calls("downloadUrl"), yield* calls("refresh")], [2, 1])
      yield* wopan.delay("downloadUrl", "10 seconds")
      const asking = yield* Effect.forkChild(drive.download({ path: "mine/x" }), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* leased(pool), 1)
      yield* Fiber.interrupt(asking)
      assert.strictEqual(yield* leased(pool), 0)
    }).pipe(Effect.provide(world(both)))
  )
})
