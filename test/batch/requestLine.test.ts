import { assert, describe, it } from "@effect/vitest"
import * as Lines from "../../src/batch/lines.ts"
import * as RequestLine from "../../src/batch/requestLine.ts"
import { line } from "./batches.ts"

const read = (text: string | Uint8Array) => {
  const splitter = Lines.make(RequestLine.longestLine)
  const [first] = splitter.push(Buffer.concat([Buffer.from(text), Buffer.from("\n")]))
  return RequestLine.read(first ?? assert.fail("no line"))
}

const questionOf = (text: string) => {
  const result = read(text)
  return result._tag === "Question" ? result.question : assert.fail(JSON.stringify(result))
}

/** The field that is named, and why. */
const badOf = (text: string | Uint8Array) => {
  const result = read(text)
  return result._tag === "Bad" ? [result.field, result.reason] : assert.fail(JSON.stringify(result))
}

describe("a line of a batch", () => {
  it("is a request for one of the four endpoints", () => {
    const question = questionOf(line("q1"))
    assert.deepInclude(question, { customId: "q1", endpoint: "/chat/completions", model: "small" })
    assert.deepStrictEqual(JSON.parse(Buffer.from(question.body.bytes).toString()), question.body.json)
    for (const endpoint of ["/completions", "/embeddings", "/responses"] as const) {
      assert.strictEqual(questionOf(line("q1", { url: `/v1${endpoint}` })).endpoint, endpoint)
    }
    assert.strictEqual(questionOf(line("q1", {}, { stream: false })).model, "small")
    assert.strictEqual(questionOf(line("q1", {}, { stream: null })).model, "small")
  })

  it("is named by the field that is wrong", () => {
    assert.deepStrictEqual(badOf("{"), ["(line)", "it is not JSON"])
    assert.deepStrictEqual(badOf("[1]"), ["(line)", "expected an object, got an array"])
    assert.deepStrictEqual(badOf(Uint8Array.of(0x22, 0xff, 0x22)), ["(line)", "it is not UTF-8"])
    assert.deepStrictEqual(badOf(line("q", { custom_id: undefined })), [
      "custom_id",
      "expected a non-empty string, got nothing"
    ])
    assert.deepStrictEqual(badOf(line("q", { custom_id: 7 })), ["custom_id", "expected a non-empty string, got 7"])
    assert.deepStrictEqual(badOf(line("")), ["custom_id", 'expected a non-empty string, got ""'])
    assert.strictEqual(badOf(line("q".repeat(513)))[0], "custom_id")
    assert.deepStrictEqual(badOf(line("q", { method: "GET" })), ["method", 'expected "POST", got "GET"'])
    assert.strictEqual(badOf(line("q", { url: "/v1/images" }))[0], "url")
    assert.strictEqual(badOf(line("q", { url: "/chat/completions" }))[0], "url")
    assert.deepStrictEqual(badOf(line("q", { body: "hi" })), ["body", 'expected an object, got "hi"'])
    assert.deepStrictEqual(badOf(line("q", { body: [] })), ["body", "expected an object, got an array"])
    assert.deepStrictEqual(badOf(line("q", {}, { model: undefined })), [
      "body.model",
      "expected a non-empty string, got nothing"
    ])
    assert.strictEqual(badOf(line("q", {}, { model: "" }))[0], "body.model")
    assert.deepStrictEqual(badOf(line("q", {}, { stream: true })), [
      "body.stream",
      "a batch is not streamed: expected false or nothing, got true"
    ])
    assert.strictEqual(badOf(line("q", {}, { stream: "false" }))[0], "body.stream")
  })

  it("is blank when there is nothing in it, or a byte order mark", () => {
    for (const text of ["", "  \t", "\r", "\uFEFF", "\uFEFF \r"]) assert.strictEqual(read(text)._tag, "Blank")
    assert.strictEqual(questionOf(`\uFEFF${line("q1")}\r`).customId, "q1")
  })

  it("is sent on as it is written", () => {
    const body = '{"model": "small", "seed": 12345678901234567890, "messages": []}'
    const { body: sent } = questionOf(`{"custom_id":"q","method":"POST","url":"/v1/chat/completions","body": ${body} }`)
    assert.strictEqual(Buffer.from(sent.bytes).toString(), body)
  })

  it("has one digest for what it asks, however it is spaced, and another for anything else", () => {
    const { digest } = questionOf(line("q1"))
    assert.match(digest, /^[0-9a-f]{24}$/)
    const spaced = JSON.stringify(JSON.parse(line("q1")), undefined, 2).replaceAll("\n", " ")
    assert.strictEqual(questionOf(spaced).digest, digest)
    for (const other of [line("q2"), line("q1", { url: "/v1/responses" }), line("q1", {}, { temperature: 0 })]) {
      assert.notStrictEqual(questionOf(other).digest, digest)
    }
  })
})
