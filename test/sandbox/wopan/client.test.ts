/** Our own client against the emulated drive: what one writes the other reads. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted } from "effect"
import { FetchHttpClient, type HttpClient } from "effect/http"
import { TokenId } from "../../../src/domain/Token.ts"
import { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { rootFolder, WopanClient, type WopanEntry } from "../../../src/upstream/WopanClient.ts"
import { get, postJson, withSandbox } from "../warpCaller.ts"
import { tokenOf } from "./wopanCaller.ts"

const clientOf = ({ wopan }: Sandbox["Service"]) =>
  WopanClient.layerWith(wopan).pipe(Layer.provide(FetchHttpClient.layer))

const withClient = <A, E>(test: Effect.Effect<A, E, WopanClient | Sandbox | HttpClient.HttpClient>) =>
  Effect.flatMap(Sandbox, (sandbox) => Effect.provide(test, clientOf(sandbox))).pipe(
    Effect.provide(Logger.layer([])),
    withSandbox()
  )

const token = (access: string) => ({ id: TokenId.make("token-1"), access: Redacted.make(access) })

const all = (access: string, folder: string): Effect.Effect<ReadonlyArray<WopanEntry>, unknown, WopanClient> =>
  Effect.gen(function* () {
    const client = yield* WopanClient
    const found: Array<WopanEntry> = []
    for (let page = 0; ; page++) {
      const { entries, isLast } = yield* client.list(token(access), folder, page)
      for (const entry of entries) {
        found.push(entry)
        if (entry.type === "folder") found.push(...(yield* all(access, entry.id)))
      }
      if (isLast) return found
    }
  })

describe("WopanClient and the sandbox", () => {
  it.effect("agree on a listing of over 1,000 files in nested folders", () =>
    Effect.gen(function* () {
      const { access } = yield* tokenOf(0)
      const found = yield* all(access, rootFolder)
      const files = found.filter(({ type }) => type === "file")
      assert.strictEqual(files.length, 1_005)
      assert.isTrue(files.every(({ createdAt, size }) => Number.isInteger(size) && createdAt.length === 19))
      assert.strictEqual(new Set(files.map(({ fid }) => fid)).size, files.length)
      assert.lengthOf(
        found.filter(({ type }) => type === "folder"),
        7
      )
    }).pipe(withClient)
  )

  it.effect("agree on an address, on a token that is asked about, and on the code of each refusal", () =>
    Effect.gen(function* () {
      const client = yield* WopanClient
      const [mine, other] = [yield* tokenOf(0), yield* tokenOf(1)]
      yield* client.check(token(mine.access))
      const { entries } = yield* client.list(token(mine.access), rootFolder, 0)
      const fid = entries.find(({ name }) => name === "readme.txt")?.fid ?? "none"
      const url = Redacted.value(yield* client.downloadUrl(token(mine.access), fid))
      const { url: base } = yield* Sandbox
      assert.strictEqual((yield* get(url.slice(base.length))).status, 200)
      const refused = yield* Effect.flip(client.downloadUrl(token(other.access), fid))
      assert.strictEqual(refused._tag, "RequestRejected")
      yield* postJson("/_sandbox/wopan/expire", { account: "account-1" })
      for (const access of [mine.access, mine.refresh]) {
        assert.strictEqual((yield* Effect.flip(client.check(token(access))))._tag, "AccessRejected")
        assert.strictEqual((yield* Effect.flip(client.list(token(access), rootFolder, 0)))._tag, "AccessRejected")
      }
    }).pipe(withClient)
  )

  it.effect("agree on a renewal, which is by rotation", () =>
    Effect.gen(function* () {
      const client = yield* WopanClient
      const old = yield* tokenOf(0)
      const renewed = yield* client.refresh(Redacted.make(old.refresh))
      assert.strictEqual(renewed.expiresAt, 604_799_000)
      assert.isDefined(renewed.access)
      assert.isDefined(renewed.refresh)
      yield* client.check(token(renewed.access === undefined ? "" : Redacted.value(renewed.access)))
      assert.strictEqual((yield* Effect.flip(client.check(token(old.access))))._tag, "AccessRejected")
      assert.strictEqual((yield* Effect.flip(client.refresh(Redacted.make(old.refresh))))._tag, "RefreshRejected")
    }).pipe(withClient)
  )

  it.effect("agree after a restart of the sandbox on what was issued before", () =>
    Effect.gen(function* () {
      const kept = yield* withClient(
        Effect.gen(function* () {
          const { refresh } = yield* tokenOf(0)
          return yield* WopanClient.use((client) => client.refresh(Redacted.make(refresh)))
        })
      )
      yield* withClient(
        Effect.gen(function* () {
          const client = yield* WopanClient
          yield* client.check({ id: TokenId.make("token-1"), access: kept.access ?? Redacted.make("") })
          const { refresh } = yield* tokenOf(0)
          assert.strictEqual((yield* Effect.flip(client.refresh(Redacted.make(refresh))))._tag, "RefreshRejected")
          yield* client.refresh(kept.refresh ?? Redacted.make(""))
        })
      )
    })
  )
})
