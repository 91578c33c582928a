import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { decrypt, encrypt, signatureOf } from "../../../src/upstream/wopan/cipher.ts"
import { dataOf, envelopeOf, requestOf } from "../../../src/upstream/wopan/envelope.ts"

const keys = { key: "synthetic-key-01", iv: "synthetic-iv-001" }
const stamp = { at: 1_760_000_000_000, sequence: 100_042 }
const params = { parentDirectoryId: "0", name: "照片" }
const hidden = (text: string) => encrypt(text, keys.key, keys.iv)

describe("a request", () => {
  it("is signed, and tells its parameters only to who has the key", () => {
    const { body, header } = requestOf(
      { operation: "QueryAllFiles", channel: "wohome", params },
      keys,
      "client-1",
      stamp
    )
    const signed = { key: "QueryAllFiles", resTime: stamp.at, reqSeq: 100_042, channel: "wohome", version: "" }
    assert.deepStrictEqual(header, { ...signed, channel: "wohome", sign: signatureOf(signed) })
    assert.deepStrictEqual(body, { param: hidden(JSON.stringify(params)), secret: true })
    assert.deepStrictEqual(JSON.parse(decrypt(body.param, keys.key, keys.iv) ?? ""), params)
  })

  it("of the account tells the client in clear as well", () => {
    const call = { operation: "AppQueryUser", channel: "api-user", params: { accessToken: "a" } } as const
    assert.strictEqual(requestOf(call, keys, "client-1", stamp).body.clientId, "client-1")
  })
})

describe("an answer", () => {
  const answer = (rsp: unknown) => JSON.stringify({ STATUS: "200", MSG: "ok", LOGID: "0".repeat(32), RSP: rsp })

  it("tells its code, its words and its data", () => {
    assert.deepStrictEqual(envelopeOf(answer({ RSP_CODE: "0000", RSP_DESC: "成功", DATA: { a: 1 } })), {
      code: "0000",
      description: "成功",
      data: { a: 1 }
    })
    assert.strictEqual(envelopeOf(answer({ RSP_CODE: 0, DATA: "" }))?.code, "0000")
    assert.strictEqual(envelopeOf(answer({ RSP_CODE: 9999, RSP_DESC: null }))?.description, "ok")
  })

  it("has no code when what stands there could be anything", () => {
    for (const code of ["", "<b>9999</b>", "a-secret-of-some-length", "9999 9999"]) {
      const envelope = envelopeOf(answer({ RSP_CODE: code, DATA: "" }))
      assert.isDefined(envelope)
      assert.isUndefined(envelope?.code)
    }
    assert.deepStrictEqual(envelopeOf('{"STATUS":"500","MSG":"busy"}'), {
      code: undefined,
      description: "busy",
      data: undefined
    })
  })

  it.prop("that is something else is no envelope, and never throws", [Schema.Json], ([value]) => {
    assert.isUndefined(envelopeOf(JSON.stringify({ value })))
    assert.isUndefined(envelopeOf(`<!doctype html>${JSON.stringify(value)}`))
    assert.isUndefined(envelopeOf(JSON.stringify({ RSP: { DATA: value } })))
  })

  it.prop(
    "holds data in clear or encrypted, and means the same by both",
    [Schema.Record(Schema.String, Schema.Json)],
    ([v]) => {
      const value: unknown = JSON.parse(JSON.stringify(v))
      assert.deepStrictEqual(dataOf(value, keys), { _tag: "Value", value })
      assert.deepStrictEqual(dataOf(hidden(JSON.stringify(value)), keys), { _tag: "Value", value })
    }
  )

  it("holds nothing when it is empty, in clear or encrypted", () => {
    for (const data of ["", null, undefined, hidden("")]) assert.deepStrictEqual(dataOf(data, keys), { _tag: "None" })
  })

  it("that another key encrypted cannot be read, nor can text that is neither", () => {
    const foreign = encrypt(JSON.stringify(params), "synthetic-key-02", keys.iv)
    for (const data of [foreign, "AAAA", "plain words", hidden("no json"), `${hidden("{}")}\n<b>`]) {
      assert.deepStrictEqual(dataOf(data, keys), { _tag: "Unreadable" })
    }
  })
})
