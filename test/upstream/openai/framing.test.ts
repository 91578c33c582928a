import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type Fate, Framing, type ServerSentEvent } from "../../../src/upstream/openai/framing.ts"

/** What becomes of a stream in these pieces: its events, the bytes that went on, and of how many events they were at each time. */
const run = (pieces: ReadonlyArray<Uint8Array>, fateOf: (event: ServerSentEvent) => Fate = () => "pass") => {
  const events: Array<ServerSentEvent> = []
  const passed: Array<Buffer> = []
  const framing = new Framing({
    judge: (event) => {
      if (event.data !== undefined) events.push(event)
      return fateOf(event)
    },
    pass: (bytes) => passed.push(bytes)
  })
  for (const piece of pieces) framing.take(Buffer.from(piece))
  const before = Buffer.concat(passed).toString()
  const isWhole = framing.end()
  return { events, before, passed: Buffer.concat(passed).toString(), isWhole, held: framing.held }
}

const bytesOf = (text: string) => new TextEncoder().encode(text)
const data = (text: string): ServerSentEvent => ({ name: "", data: text })

const cutAt = (bytes: Uint8Array, cuts: ReadonlyArray<number>): Array<Uint8Array> => {
  const points = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b)
  return [...points, bytes.length].map((end, index) => bytes.subarray(points[index - 1] ?? 0, end))
}

const rows: ReadonlyArray<readonly [why: string, text: string, events: ReadonlyArray<ServerSentEvent>]> = [
  ["line feeds", "data: a\n\ndata: b\n\n", [data("a"), data("b")]],
  ["returns with line feeds", "data: a\r\n\r\ndata: b\r\n\r\n", [data("a"), data("b")]],
  ["returns alone", "data: a\r\rdata: b\r\r", [data("a"), data("b")]],
  ["no space after the colon", "data:a\n\n", [data("a")]],
  ["one space only to take away", "data:  a \n\n", [data(" a ")]],
  ["several lines of data", "data: a\ndata:b\ndata\n\n", [data("a\nb\n")]],
  [
    "a name before and after",
    "event: x\ndata: a\n\ndata: b\nevent: y\n\n",
    [
      { name: "x", data: "a" },
      { name: "y", data: "b" }
    ]
  ],
  ["comments, and other fields", ": ping\n\nid: 1\nretry: 5\ndata: a\n: later\n\n:\n\n", [data("a")]],
  ["empty lines between", "\n\r\n\rdata: a\n\n\n\n", [data("a")]],
  ["a byte order mark", "\uFEFFdata: a\n\ndata: \uFEFFb\n\n", [data("a"), data("\uFEFFb")]],
  ["characters of several bytes", "data: grüße, 世界 🌍\n\n", [data("grüße, 世界 🌍")]],
  ["data that is empty", "data:\n\n", [data("")]],
  ["the error line of llama.cpp", 'error: {"code":500}\n\n', [{ name: "error", data: '{"code":500}' }]]
]

describe("framing", () => {
  for (const [why, text, events] of rows) {
    it(`reads ${why}, whole or byte by byte, and passes the same bytes on`, () => {
      const bytes = bytesOf(text)
      for (const pieces of [[bytes], [...bytes.keys()].map((at) => bytes.subarray(at, at + 1))]) {
        const seen = run(pieces)
        assert.deepStrictEqual(seen.events, events)
        assert.strictEqual(seen.passed, text)
        assert.strictEqual(seen.held, 0)
      }
    })
  }

  it("passes an event on with the byte that ends it, and holds the next one back", () => {
    const passed: Array<string> = []
    const framing = new Framing({ judge: () => "pass", pass: (bytes) => passed.push(bytes.toString()) })
    framing.take(Buffer.from("data: a\n"))
    assert.deepStrictEqual(passed, [])
    assert.strictEqual(framing.held, 8)
    framing.take(Buffer.from("\ndata: b\n\nda"))
    assert.strictEqual(passed.join(""), "data: a\n\ndata: b\n\n")
    assert.strictEqual(framing.held, 2)
  })

  it("does not copy what comes in whole events", () => {
    const piece = Buffer.from("data: a\n\ndata: b\n\n")
    const passed: Array<Buffer> = []
    new Framing({ judge: () => "pass", pass: (bytes) => passed.push(bytes) }).take(piece)
    assert.strictEqual(passed.length, 1)
    assert.strictEqual(passed[0], piece)
  })

  it("passes neither an event that is stopped on, nor what comes after it", () => {
    const text = "data: a\n\ndata: bad\n\ndata: c\n\n"
    for (const cuts of [[], [3], [12], [18], [25]]) {
      const seen = run(cutAt(bytesOf(text), cuts), (event) => (event.data === "bad" ? "stop" : "pass"))
      assert.strictEqual(seen.passed, "data: a\n\n")
      assert.deepStrictEqual(
        seen.events.map((event) => event.data),
        ["a", "bad"]
      )
    }
  })

  it("passes the last event on, and nothing after it", () => {
    const text = "data: a\n\ndata: [DONE]\n\ndata: c\n\ngarbage"
    for (const cuts of [[], [3], [12], [22], [25]]) {
      const seen = run(cutAt(bytesOf(text), cuts), (event) => (event.data === "[DONE]" ? "last" : "pass"))
      assert.strictEqual(seen.passed, "data: a\n\ndata: [DONE]\n\n")
    }
  })

  it("passes the last event on with the whole of the line that ends it", () => {
    const text = "data: [DONE]\r\n\r\n"
    assert.strictEqual(run([bytesOf(`${text}data: c`)], () => "last").passed, text)
  })

  it("completes at the end an event that only lacks the line that ends it", () => {
    for (const [text, completed] of [
      ["data: a\n\ndata: b\n", "data: a\n\ndata: b\n\n"],
      ["data: a\n\ndata: b", "data: a\n\ndata: b\n\n"]
    ] as const) {
      const seen = run([bytesOf(text)])
      assert.strictEqual(seen.before, "data: a\n\n")
      assert.strictEqual(seen.passed, completed)
      assert.isTrue(seen.isWhole)
    }
  })

  it("drops what is left at the end when it is no event that will do", () => {
    const seen = run([bytesOf("data: a\n\ndata: {ha")], (event) => (event.data === "a" ? "pass" : "stop"))
    assert.strictEqual(seen.passed, "data: a\n\n")
    assert.isFalse(seen.isWhole)
  })

  const Line = Schema.Literals(["data: a", "data:世界🌍", "data:", "data", ": c", "event: x", "id", "error: z", "", ""])
  const End = Schema.Literals(["\n", "\r\n", "\r"])
  const Stream = Schema.Array(Schema.Tuple([Line, End]))

  /** The format as its standard tells it: the text in lines, an empty one ends an event. */
  const naive = (text: string): Array<ServerSentEvent> => {
    const lines = text.split(/\r\n|\n|\r/)
    const events: Array<ServerSentEvent> = []
    let name = ""
    let all: Array<string> = []
    for (const line of lines.slice(0, -1)) {
      if (line === "") {
        if (all.length > 0) events.push({ name, data: all.join("\n") })
        name = ""
        all = []
      }
      const [, field, value = ""] = /^([^:]+)(?:: ?(.*))?$/u.exec(line) ?? []
      if (field === "data") all.push(value)
      if (field === "event") name = value
      if (field === "error") [name, all] = ["error", [value]]
    }
    return events
  }

  it.effect.prop(
    "reads any stream in any pieces as its text would be read, and passes every byte of its whole events on",
    [Stream, Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 })))],
    ([lines, cuts]) =>
      Effect.sync(() => {
        const text = lines.map(([line, end]) => line + end).join("")
        const seen = run(cutAt(bytesOf(text), cuts))
        const expected = naive(text)
        assert.deepStrictEqual(seen.events.slice(0, expected.length), expected)
        assert.isTrue(text.startsWith(seen.before))
        assert.deepStrictEqual(naive(seen.before), expected)
      }),
    { arbitrary: { runs: 2_000, size: 20 } }
  )
})
