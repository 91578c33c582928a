import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as AnswerLine from "../../src/batch/answerLine.ts"

const question = {
  customId: 'a "name"\n',
  endpoint: "/chat/completions" as const,
  model: "small",
  body: { bytes: new Uint8Array(), json: {} },
  digest: "0123456789abcdef01234567"
}
const response = (body: string) =>
  AnswerLine.written(question, { _tag: "Response", status: 200, requestId: "req-1", body })

describe("an answer's line", () => {
  it("is OpenAI's, for an answer and for a request that got none", () => {
    assert.deepStrictEqual(JSON.parse(response('{"id":"x"}')), {
      id: "batch_req_0123456789abcdef01234567",
      custom_id: question.customId,
      response: { status_code: 200, request_id: "req-1", body: { id: "x" } },
      error: null
    })
    const failed = AnswerLine.written(question, { _tag: "Error", code: "batch_expired", message: "too late" })
    assert.deepStrictEqual(JSON.parse(failed), {
      id: "batch_req_0123456789abcdef01234567",
      custom_id: question.customId,
      response: null,
      error: { code: "batch_expired", message: "too late" }
    })
  })

  it.prop(
    "is one line for any answer, however that is spaced, and says what the answer says",
    [Schema.Record(Schema.String, Schema.Json), Schema.Literals(["", "  ", "\t"]), Schema.Literals(["\n", "\r\n"])],
    ([json, space, end]) => {
      const text = JSON.stringify(json, undefined, space).replaceAll("\n", end)
      const line = response(text)
      assert.strictEqual(line.indexOf("\n"), line.length - 1)
      assert.notInclude(line, "\r")
      assert.deepStrictEqual(JSON.parse(line).response.body, JSON.parse(text))
      assert.deepStrictEqual(AnswerLine.readAnswer(line), {
        customId: question.customId,
        print: AnswerLine.printOf(question.digest)
      })
    }
  )

  it.prop(
    "may be torn anywhere, and is known for one of ours",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 500 }))],
    ([at]) => {
      const line = response('{"id":"x"}').slice(0, -1)
      const torn = line.slice(0, at % line.length)
      assert.isUndefined(AnswerLine.readAnswer(torn))
      assert.isTrue(AnswerLine.mayBeTorn(torn))
    }
  )

  it("is read from another's file too, and nothing else is", () => {
    const others = '{"id": "batch_req_67", "custom_id": "q", "response": {"status_code": 200}, "error": null}'
    assert.deepStrictEqual(AnswerLine.readAnswer(others), { customId: "q", print: AnswerLine.unknownPrint })
    for (const text of ["", "hello", "[]", "{}", '{"custom_id":"q","method":"POST"}', '{"custom_id":7,"error":null}']) {
      assert.isUndefined(AnswerLine.readAnswer(text))
    }
    for (const text of ["hello", "{}", '{"custom_id":"q"']) assert.isFalse(AnswerLine.mayBeTorn(text))
    assert.isTrue(AnswerLine.mayBeTorn("\0\0\0"))
  })
})
