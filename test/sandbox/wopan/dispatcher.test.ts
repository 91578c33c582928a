import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { keyOf, readEnvelope, readParams, written } from "../../../src/sandbox/wopan/dispatcher.ts"
import { decrypt, encrypt, signatureOf } from "../../../src/upstream/wopan/cipher.ts"

const constants = { clientId: "1000000000", clientSecret: "synthetic-client", iv: "synthetic-vector" }
const access = "0a1b2c3d-synthetic-access-secret-0001"
const now = 1_700_000_000_000
const circumstances = { now, clockSkew: 600_000 }

const Channel = Schema.Literals(["api-user", "wohome"])
const Sequence = Schema.Int.check(Schema.isBetween({ minimum: 100_000, maximum: 189_998 }))
const Late = Schema.Int.check(Schema.isBetween({ minimum: -600_000, maximum: 600_000 }))
const Operation = Schema.NonEmptyString.check(Schema.isPattern(/^[\u0020-\ud7ff]+$/u))
const Params = Schema.Record(Schema.String, Schema.Json)

type Channel = typeof Channel.Type

const keyFor = (channel: Channel) => keyOf(channel, access, constants) ?? ""

const bodyOf = (channel: Channel, operation: string, params: object, late: number, reqSeq: number) => {
  const signed = { key: operation, resTime: now + late, reqSeq, channel, version: "" }
  const param = encrypt(JSON.stringify({ ...params, clientId: constants.clientId }), keyFor(channel), constants.iv)
  const { clientId } = constants
  return { header: { ...signed, sign: signatureOf(signed) }, body: { param, secret: true, clientId } }
}

/** Reads the whole call. */
const read = (text: string, channel: Channel) => {
  const envelope = readEnvelope(text, { ...circumstances, channel })
  return "code" in envelope ? envelope : readParams(envelope, channel, keyFor(channel), constants)
}

describe("the emulated dispatcher", () => {
  it.effect.prop(
    "reads what is signed and encrypted right",
    [Channel, Operation, Params, Late, Sequence],
    ([channel, operation, params, late, reqSeq]) =>
      Effect.sync(() => {
        const body = bodyOf(channel, operation, params, late, reqSeq)
        // As JSON keeps it: without the sign of a zero.
        const sent = JSON.parse(JSON.stringify({ ...params, clientId: constants.clientId }))
        assert.deepStrictEqual(read(JSON.stringify(body), channel), { operation, params: sent })
      })
  )

  it.effect.prop(
    "refuses what has been changed after it was signed",
    [Channel, Schema.Literals(["key", "resTime", "reqSeq", "channel", "sign", "version"]), Schema.Json],
    ([channel, field, value]) =>
      Effect.sync(() => {
        const body = bodyOf(channel, "QueryAllFiles", {}, 0, 100_000)
        if (body.header[field] === value) return
        const changed = JSON.stringify({ ...body, header: { ...body.header, [field]: value } })
        assert.propertyVal(read(changed, channel), "code", "1000")
      })
  )

  it.effect.prop(
    "refuses any other text and any other JSON",
    [Channel, Schema.String, Schema.Json],
    ([channel, text, json]) =>
      Effect.sync(() => {
        for (const body of [text, JSON.stringify(json), JSON.stringify({ header: json, body: json })]) {
          assert.propertyVal(read(body, channel), "code", "1000")
        }
      })
  )

  it.effect.prop("refuses parameters that are not encrypted", [Channel, Schema.String], ([channel, param]) =>
    Effect.sync(() => {
      const { body, header } = bodyOf(channel, "QueryAllFiles", {}, 0, 100_000)
      const result = read(JSON.stringify({ header, body: { ...body, param } }), channel)
      assert.isTrue("code" in result && ["9002", "1000"].includes(result.code))
    })
  )

  it("writes data in clear, encrypted, or not at all", () => {
    const value = { name: "家庭 电影.mkv" }
    const key = keyFor("wohome")
    assert.strictEqual(written({ _tag: "Clear", value }, key, constants.iv), value)
    const sealed = String(written({ _tag: "Sealed", value }, key, constants.iv))
    assert.deepStrictEqual(JSON.parse(decrypt(sealed, key, constants.iv) ?? ""), value)
    assert.strictEqual(written({ _tag: "Nothing" }, key, constants.iv), "")
  })
})
