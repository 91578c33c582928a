import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { AccessRejected, RefreshRejected, RequestRejected, UpstreamUnavailable } from "../../src/domain/Failure.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { ScriptedWopan, scriptedPageSize } from "../../src/testing/ScriptedWopan.ts"
import { rootFolder, WopanClient } from "../../src/upstream/WopanClient.ts"

const provider = "wopan"
const id = TokenId.make("token-1")
const rejected = new AccessRejected({ provider })
const unavailable = new UpstreamUnavailable({ provider, reason: "connection", detail: "synthetic" })

const tokenOf = (account: string) =>
  Effect.flatMap(ScriptedWopan, ({ secrets }) => Effect.map(secrets(account), ({ access }) => ({ id, access })))
const layer = ScriptedWopan.layer({
  accounts: { alice: { "a.jpg": 1, photos: { "2026": { "b.mp4": 2 } } }, bob: { "c.txt": 3 } },
  accessLifetime: "1 hour"
})

describe("ScriptedWopan", () => {
  it.effect("lists folders within folders, and gives the addresses of files", () =>
    Effect.gen(function* () {
      const client = yield* WopanClient
      const token = yield* tokenOf("alice")
      const root = yield* client.list(token, rootFolder, 0)
      assert.isTrue(root.isLast)
      assert.deepStrictEqual(
        root.entries.map(({ fileType, name, size, type }) => ({ fileType, name, size, type })),
        [
          { fileType: "image", name: "a.jpg", size: 1, type: "file" },
          { fileType: "folder", name: "photos", size: 0, type: "folder" }
        ]
      )
      const photos = yield* client.list(token, root.entries[1]?.id ?? "", 0)
      const year = yield* client.list(token, photos.entries[0]?.id ?? "", 0)
      const url = yield* client.downloadUrl(token, year.entries[0]?.fid ?? "")
      assert.include(Redacted.value(url), encodeURIComponent("photos/2026/b.mp4"))
      assert.deepStrictEqual(
        (yield* (yield* ScriptedWopan).asked).map(({ account, call, page, path, token }) => [
          call,
          account,
          token,
          path,
          page
        ]),
        [
          ["list", "alice", id, "", 0],
          ["list", "alice", id, "photos", 0],
          ["list", "alice", id, "photos/2026", 0],
          ["downloadUrl", "alice", id, undefined, undefined]
        ]
      )
    }).pipe(Effect.provide(layer))
  )

  it.effect("lists in pages, of which the one that is not full is the last", () =>
    Effect.gen(function* () {
      const client = yield* WopanClient
      const token = yield* tokenOf("bob")
      const files = Object.fromEntries(Array.from({ length: 2 * scriptedPageSize }, (_, i) => [`${i}.txt`, i]))
      yield* (yield* ScriptedWopan).hold("bob", files)
      const pages = yield* Effect.forEach([0, 1, 2], (page) => client.list(token, rootFolder, page))
      assert.deepStrictEqual(
        pages.map(({ entries, isLast }) => [entries.length, isLast]),
        [
          [100, false],
          [100, false],
          [0, true]
        ]
      )
    }).pipe(Effect.provide(layer))
  )

  it.effect("what is of one account is nothing to another's token", () =>
    Effect.gen(function* () {
      const client = yield* WopanClient
      const [alice, bob] = [yield* tokenOf("alice"), yield* tokenOf("bob")]
      const { entries } = yield* client.list(alice, rootFolder, 0)
      for (const call of [
        client.downloadUrl(bob, entries[0]?.fid ?? ""),
        client.list(bob, entries[1]?.id ?? "", 0),
        client.downloadUrl(alice, "fid:alice:constructor")
      ]) {
        assert.instanceOf(yield* Effect.flip<unknown, unknown, never>(call), RequestRejected)
      }
      assert.deepStrictEqual(yield* Effect.flip(client.check({ id, access: Redacted.make("unknown") })), rejected)
    }).pipe(Effect.provide(layer))
  )

  it.effect("a renewal ends the old refresh secret, and an access secret ends with its time", () =>
    Effect.gen(function* () {
      const client = yield* WopanClient
      const wopan = yield* ScriptedWopan
      const { access, refresh } = yield* wopan.secrets("alice")
      yield* TestClock.adjust("59 minutes")
      yield* client.check({ id, access })
      const renewed = yield* client.refresh(refresh)
      assert.strictEqual(renewed.expiresAt, (59 + 60) * 60_000)
      assert.deepStrictEqual(
        yield* Effect.flip(client.refresh(refresh)),
        new RefreshRejected({ provider, code: "8005" })
      )
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Effect.flip(client.check({ id, access })), rejected)
      yield* client.check({ id, access: renewed.access })
    }).pipe(Effect.provide(layer))
  )

  it.effect("an account can be expired, revoked and shut off, and another is none the worse for it", () =>
    Effect.gen(function* () {
      const client = yield* WopanClient
      const wopan = yield* ScriptedWopan
      const bob = yield* tokenOf("bob")
      yield* wopan.expire("alice")
      assert.deepStrictEqual(yield* Effect.flip(client.check(yield* tokenOf("alice"))), rejected)
      yield* client.refresh((yield* wopan.secrets("alice")).refresh)
      yield* client.check(yield* tokenOf("alice"))
      yield* wopan.outage(unavailable, "alice")
      assert.deepStrictEqual(yield* Effect.flip(client.check(yield* tokenOf("alice"))), unavailable)
      yield* client.check(bob)
      yield* wopan.outage(undefined, "alice")
      const { refresh } = yield* wopan.secrets("alice")
      yield* wopan.revoke("alice")
      assert.instanceOf(yield* Effect.flip(client.refresh(refresh)), RefreshRejected)
      yield* wopan.outage(unavailable)
      assert.deepStrictEqual(yield* Effect.flip(client.check(bob)), unavailable)
    }).pipe(Effect.provide(layer))
  )

  it.effect("fails, delays and loses answers as it is told", () =>
    Effect.gen(function* () {
      const client = yield* WopanClient
      const wopan = yield* ScriptedWopan
      const token = yield* tokenOf("alice")
      yield* wopan.fail("check", unavailable, 2)
      yield* Effect.flip(client.check(token))
      yield* Effect.flip(client.check(token))
      yield* wopan.delay("check", "1 second")
      const checking = yield* Effect.forkChild(client.check(token), { startImmediately: true })
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(checking.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(checking)
      yield* wopan.loseRefresh(unavailable)
      const { refresh } = yield* wopan.secrets("alice")
      assert.deepStrictEqual(yield* Effect.flip(client.refresh(refresh)), unavailable)
      assert.instanceOf(yield* Effect.flip(client.refresh(refresh)), RefreshRejected)
      assert.deepStrictEqual(yield* wopan.calls, { list: 0, downloadUrl: 0, check: 3, refresh: 2 })
    }).pipe(Effect.provide(layer))
  )
})
