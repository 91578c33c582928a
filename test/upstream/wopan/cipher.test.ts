import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { decrypt, encrypt, keyOfAccess, signatureOf, whyNotKey } from "../../../src/upstream/wopan/cipher.ts"

const key = "synthetic-key-01"
const otherKey = "synthetic-key-02"
const iv = "synthetic-iv-001"

/** By `openssl enc -aes-128-cbc`. */
const clear = '{"parentDirectoryId":"0","name":"照片"}'
const hidden = "x2Xwxu72GTQKn/mjimjaO1aJ9ldoqIuL2h1esJJcaEwH+WPKVLe9BArZM/nVxFIk"

const WellFormed = Schema.String.check(Schema.makeFilter((text: string) => text.isWellFormed()))
const AsciiKey = Schema.String.check(Schema.isPattern(/^[!-~]{16}$/))

describe("the signature", () => {
  for (const [key, resTime, reqSeq, channel, signature] of [
    ["PcWebLogin", 1_686_118_416_490, 178_232, "api-user", "2df72fb5b35f9b5535e06b786a5810c0"],
    ["QueryAllFiles", 1_686_118_435_506, 125_620, "wohome", "59ffab70dcb5eb7f56bd656940fb801a"]
  ] as const) {
    it(`of a captured ${key} is the one that was captured with it`, () => {
      assert.strictEqual(signatureOf({ key, resTime, reqSeq, channel, version: "" }), signature)
    })
  }

  it("covers each of its fields", () => {
    const signed = { key: "QueryAllFiles", resTime: 1, reqSeq: 100_000, channel: "wohome", version: "" }
    const changed = [{ key: "x" }, { resTime: 2 }, { reqSeq: 100_001 }, { channel: "api-user" }, { version: "1" }]
    const all = [{}, ...changed].map((change) => signatureOf({ ...signed, ...change }))
    assert.strictEqual(new Set(all).size, all.length)
  })
})

describe("the cipher", () => {
  it("is AES-128-CBC with PKCS#7 over UTF-8, in padded base64", () => {
    assert.strictEqual(encrypt(clear, key, iv), hidden)
    assert.strictEqual(decrypt(hidden, key, iv), clear)
  })

  it.prop(
    "what is encrypted is read with the same key and vector",
    [WellFormed, AsciiKey, AsciiKey],
    ([text, k, v]) => {
      assert.strictEqual(decrypt(encrypt(text, k, v), k, v), text)
    }
  )

  it("keeps a byte order mark, an empty text and a whole block", () => {
    for (const text of ["\uFEFF{}", "", "0123456789abcdef"]) {
      assert.strictEqual(decrypt(encrypt(text, key, iv), key, iv), text)
    }
  })

  it.prop("what another key encrypted is never read as what it was", [WellFormed], ([text]) => {
    assert.notStrictEqual(decrypt(encrypt(text, otherKey, iv), key, iv), text)
    assert.isUndefined(decrypt(encrypt(clear, otherKey, iv), key, iv))
  })

  it("reads nothing out of what is no ciphertext", () => {
    for (const text of ["", "AAAA", "not base64 at all", `${hidden}AAAA`, hidden.slice(4)]) {
      assert.isUndefined(decrypt(text, key, iv), text)
    }
  })
})

describe("keys", () => {
  it.prop("of a call on the files are the first 16 characters of the access token", [AsciiKey, AsciiKey], ([a, b]) => {
    assert.strictEqual(keyOfAccess(a), a)
    assert.strictEqual(keyOfAccess(a + b), a)
  })

  it("are not made of what is too short or could not stand in a header", () => {
    for (const access of ["", "a".repeat(15), `${"a".repeat(15)}é`, `${"a".repeat(20)}\r\nx: y`, " ".repeat(16)]) {
      assert.isUndefined(keyOfAccess(access))
    }
  })

  it("from the configuration are of 16 ASCII characters, and a wrong one is not repeated", () => {
    assert.isUndefined(whyNotKey(key))
    for (const wrong of ["", "short", `${key}x`, "sixteen-bytes-né", "sixteen with one", `${key}\n`]) {
      assert.strictEqual(whyNotKey(wrong), "it must be of 16 printable ASCII characters")
    }
  })
})
