/** Seals secrets so that the store never holds one in clear (AES-256-GCM, a fresh nonce each time). */
import { Context, Effect, FileSystem, Layer, Path, Redacted, Schema } from "effect"
import type { PlatformError } from "effect"
import { SecureRandom } from "effect/crypto"
import { createCipheriv, createDecipheriv } from "node:crypto"
import { type Collection, Store, type StoreUnavailable } from "./Store.ts"

/** A secret as it may lie on disk. Opaque, and only good for the purpose it was sealed for. */
export const Sealed = Schema.NonEmptyString.pipe(Schema.brand("Sealed"))
export type Sealed = typeof Sealed.Type

/** The secret was sealed with another key, for another purpose, or is damaged. */
export class VaultLocked extends Schema.TaggedError<VaultLocked>()("VaultLocked", { purpose: Schema.String }) {
  override get message() {
    return `the secret for ${this.purpose} cannot be opened: it was sealed with another master key, or is damaged`
  }
}

/** What was given as the master key is not one. Never holds the key. */
export class MasterKeyInvalid extends Schema.TaggedError<MasterKeyInvalid>()("MasterKeyInvalid", {
  source: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.source}: ${this.reason}`
  }
}

export class Vault extends Context.Service<
  Vault,
  {
    /** `purpose` is bound into the seal: what was sealed for one token cannot be opened as another's. */
    seal(secret: Redacted.Redacted, purpose: string): Effect.Effect<Sealed>
    open(sealed: Sealed, purpose: string): Effect.Effect<Redacted.Redacted, VaultLocked>
  }
>()("weirgate/store/Vault") {
  /** A key that is gone with the layer. For tests, and beside a store that is gone with it too. */
  static readonly layerEphemeral: Layer.Layer<Vault> = Layer.suspend(() =>
    Layer.effect(Vault, Effect.flatMap(randomKey, make)).pipe(Layer.provide(SecureRandom.layerWebCrypto))
  )

  /** With the given key: 64 hexadecimal digits or base64 of 32 bytes. Refused when the store was sealed with another. */
  static readonly layerKey = (
    key: Redacted.Redacted,
    source: string
  ): Layer.Layer<Vault, MasterKeyInvalid | VaultLocked | StoreUnavailable, Store> =>
    Layer.effect(
      Vault,
      Effect.flatMap(parseKey(key, source), (bytes) => fitting(bytes))
    ).pipe(Layer.provide(SecureRandom.layerWebCrypto))

  /** With the key in a file that only its owner can read; makes one at the first start. */
  static readonly layerFile = (
    filename: string
  ): Layer.Layer<
    Vault,
    MasterKeyInvalid | VaultLocked | StoreUnavailable | PlatformError.PlatformError,
    Store | FileSystem.FileSystem | Path.Path
  > =>
    Layer.effect(
      Vault,
      Effect.gen(function* () {
        const key = yield* keyFile(filename)
        return yield* fitting(yield* parseKey(key, filename))
      })
    ).pipe(Layer.provide(SecureRandom.layerWebCrypto))
}

const algorithm = "aes-256-gcm"
const keyLength = 32
const nonceLength = 12
const tagLength = 16

const written = (nonce: Buffer, body: Buffer) => `v1.${nonce.toString("base64url")}.${body.toString("base64url")}`

/** On `node:crypto`, which answers at once: a lease that waited for WebCrypto would wait on a clock no test can drive. */
const make = Effect.fnUntraced(function* (key: Uint8Array) {
  const random = yield* SecureRandom.SecureRandom

  return Vault.of({
    seal: (secret, purpose) =>
      Effect.map(random.randomBytes(nonceLength), (nonce) => {
        const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagLength }).setAAD(Buffer.from(purpose))
        const body = Buffer.concat([cipher.update(Redacted.value(secret), "utf8"), cipher.final(), cipher.getAuthTag()])
        return Sealed.make(written(Buffer.from(nonce), body))
      }),
    open: (sealed, purpose) =>
      Effect.try({
        try: () => {
          const [, nonce, body] = sealed.split(".").map((part) => Buffer.from(part, "base64url"))
          // Node's decoder passes over what is not base64: one text alone is what was sealed.
          if (nonce === undefined || body === undefined || written(nonce, body) !== sealed) throw new Error("malformed")
          const decipher = createDecipheriv(algorithm, key, nonce, { authTagLength: tagLength })
          decipher.setAAD(Buffer.from(purpose)).setAuthTag(body.subarray(-tagLength))
          return Redacted.make(
            Buffer.concat([decipher.update(body.subarray(0, -tagLength)), decipher.final()]).toString("utf8")
          )
        },
        catch: () => new VaultLocked({ purpose })
      })
  })
})

const checks: Collection<{ readonly sealed: Sealed }> = {
  name: "vault",
  schema: Schema.Struct({ sealed: Sealed })
}

/** A vault whose key is the one this store was sealed with, or the first to seal it. */
const fitting = Effect.fnUntraced(function* (bytes: Uint8Array) {
  const store = yield* Store
  const vault = yield* make(bytes)
  const mine = yield* vault.seal(Redacted.make("weirgate"), "this database")
  const kept = yield* store.modify(checks, "check", (current) => {
    const check = current ?? { sealed: mine }
    return [check, check]
  })
  yield* vault.open(kept.sealed, "this database")
  return vault
})

const parseKey = (key: Redacted.Redacted, source: string) =>
  Effect.suspend(() => {
    const text = Redacted.value(key).trim()
    const bytes = Buffer.from(text, /^[0-9a-f]{64}$/i.test(text) ? "hex" : "base64")
    // Node's decoder passes over what is not base64.
    return bytes.length === keyLength && /^[\w+/-]+=*$/.test(text)
      ? Effect.succeed(bytes)
      : Effect.fail(new MasterKeyInvalid({ source, reason: "expected 64 hexadecimal digits or base64 of 32 bytes" }))
  })

const randomKey = SecureRandom.SecureRandom.use((random) => random.randomBytes(keyLength))

const keyFile = Effect.fnUntraced(function* (filename: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  if (!(yield* fs.exists(filename))) {
    // A new key could open nothing of what is there, and would lie in the way of the right one.
    if ((yield* Store.use((store) => store.get(checks, "check"))) !== undefined) {
      return yield* new MasterKeyInvalid({
        source: filename,
        reason: "the file is missing, and the database was sealed with the key it held"
      })
    }
    yield* fs.makeDirectory(path.dirname(filename), { recursive: true, mode: 0o700 })
    const key = Buffer.from(yield* randomKey).toString("base64url")
    const draft = `${filename}.${Buffer.from(yield* randomKey)
      .toString("hex")
      .slice(0, 12)}`
    // Linked into place whole: of two processes that start at once one wins, and neither reads half a key.
    yield* fs.writeFileString(draft, key, { mode: 0o600, flag: "wx" })
    yield* fs.link(draft, filename).pipe(
      Effect.catchIf(
        (error) => error.reason._tag === "AlreadyExists",
        () => Effect.void
      ),
      Effect.ensuring(Effect.ignore(fs.remove(draft)))
    )
  }
  const { mode } = yield* fs.stat(filename)
  if ((mode & 0o077) !== 0) {
    return yield* new MasterKeyInvalid({
      source: filename,
      reason: "other users can read this file; set its mode to 0600"
    })
  }
  return Redacted.make(yield* fs.readFileString(filename))
})
