import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Sqlite from "../../src/store/Sqlite.ts"
import { Store } from "../../src/store/Store.ts"
import { Sealed, Vault } from "../../src/store/Vault.ts"

const secret = Redacted.make("synthetic-secret")
const keyOf = (digit: string) => Redacted.make(digit.repeat(64))
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "weirgate-test-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true }))
)

describe("Vault", () => {
  it.effect("opens what it sealed, for the same purpose only", () =>
    Effect.gen(function* () {
      const vault = yield* Vault
      const sealed = yield* vault.seal(secret, "token a")
      assert.notInclude(sealed, "synthetic")
      assert.strictEqual(Redacted.value(yield* vault.open(sealed, "token a")), "synthetic-secret")
      assert.strictEqual((yield* Effect.flip(vault.open(sealed, "token b")))._tag, "VaultLocked")
    }).pipe(Effect.provide(Vault.layerEphemeral))
  )

  it.effect("never seals twice alike, and refuses what was altered", () =>
    Effect.gen(function* () {
      const vault = yield* Vault
      const [one, two] = [yield* vault.seal(secret, "t"), yield* vault.seal(secret, "t")]
      assert.notStrictEqual(one, two)
      const altered = one.slice(0, -9) + (one.at(-9) === "A" ? "B" : "A") + one.slice(-8)
      const other = [`${one}x`, `${one}=`, `${one}.x`, one.replace(".", ". ")]
      for (const bad of [altered, ...other, "v1.x.y", "v2" + one.slice(2), "nonsense"]) {
        assert.strictEqual((yield* Effect.flip(vault.open(Sealed.make(bad), "t")))._tag, "VaultLocked")
      }
    }).pipe(Effect.provide(Vault.layerEphemeral))
  )

  it.effect("refuses a store that was sealed with another key", () =>
    Effect.gen(function* () {
      const store = yield* Store
      const given = (digit: string) =>
        Vault.layerKey(keyOf(digit), "KEY").pipe(Layer.provide(Layer.succeed(Store, store)))
      const sealed = yield* Vault.use((vault) => vault.seal(secret, "t")).pipe(Effect.provide(given("a")))
      const opened = yield* Vault.use((vault) => vault.open(sealed, "t")).pipe(Effect.provide(given("a")))
      assert.strictEqual(Redacted.value(opened), "synthetic-secret")
      const error = yield* Effect.flip(Vault.use((vault) => vault.open(sealed, "t")).pipe(Effect.provide(given("b"))))
      assert.strictEqual(error._tag, "VaultLocked")
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("names where a malformed key came from and does not repeat it", () =>
    Effect.gen(function* () {
      for (const key of ["too-short", `${"A".repeat(43)}!!`]) {
        const layer = Vault.layerKey(Redacted.make(key), "WEIRGATE_MASTER_KEY")
        const error = yield* Effect.flip(Effect.provide(Effect.asVoid(Vault), layer))
        assert.strictEqual(error._tag, "MasterKeyInvalid")
        assert.include(error.message, "WEIRGATE_MASTER_KEY")
        assert.notInclude(error.message, key)
      }
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("makes a key file for its owner only, keeps to it, and refuses one that others can read", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const filename = join(dir, "data", "master.key")
      const layer = Vault.layerFile(filename).pipe(
        Layer.provideMerge(Sqlite.layer(join(dir, "data", "weirgate.db"))),
        Layer.provide(NodeServices.layer)
      )
      const sealed = yield* Vault.use((vault) => vault.seal(secret, "t")).pipe(Effect.provide(layer))
      assert.strictEqual(statSync(filename).mode & 0o777, 0o600)
      const key = readFileSync(filename, "utf8")
      const opened = yield* Vault.use((vault) => vault.open(sealed, "t")).pipe(Effect.provide(layer))
      assert.strictEqual(Redacted.value(opened), "synthetic-secret")
      assert.strictEqual(readFileSync(filename, "utf8"), key)
      rmSync(filename)
      const lost = yield* Effect.flip(
        Effect.provide(
          Vault.use(() => Effect.void),
          layer
        )
      )
      assert.strictEqual(lost._tag, "MasterKeyInvalid")
      assert.isFalse(existsSync(filename))
      writeFileSync(filename, key)
      chmodSync(filename, 0o644)
      const error = yield* Effect.flip(
        Effect.provide(
          Vault.use(() => Effect.void),
          layer
        )
      )
      assert.strictEqual(error._tag, "MasterKeyInvalid")
    })
  )
})
