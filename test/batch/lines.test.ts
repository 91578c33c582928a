import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Lines from "../../src/batch/lines.ts"

const split = (chunks: ReadonlyArray<Uint8Array>, longest = 1_000, shown?: number) => {
  const splitter = Lines.make(longest, shown)
  const lines = chunks.flatMap((chunk) => splitter.push(chunk))
  const last = splitter.end()
  return last === undefined ? lines : [...lines, last]
}
const textOf = ({ bytes }: Lines.Line) => Buffer.from(bytes).toString()
const texts = (text: string) => split([Buffer.from(text)]).map(textOf)

/** Cuts at these places, wherever that is. */
const cutAt = (bytes: Uint8Array, places: ReadonlyArray<number>) => {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  return at.slice(1).map((to, i) => bytes.subarray(at[i] ?? 0, to))
}

const Place = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 500 }))

describe("a line splitter", () => {
  it("ends lines at a line feed, with or without a carriage return before it, and the last one without any", () => {
    assert.deepStrictEqual(texts("a\nb\r\nc"), ["a", "b", "c"])
    assert.deepStrictEqual(texts("a\n\nb\n"), ["a", "", "b"])
    assert.deepStrictEqual(texts("a\rb\n"), ["a\rb"])
    assert.deepStrictEqual(texts(""), [])
  })

  it.prop(
    "finds the same lines, at the same places, however the bytes are cut",
    [Schema.Array(Schema.Literals(["a", "é", "\n", "\r\n", "𝄞", "\0"])), Schema.Array(Place)],
    ([parts, places]) => {
      const bytes = Buffer.from(parts.join(""))
      const lines = split(cutAt(bytes, places))
      const naive = bytes.toString().split("\n")
      if (naive.at(-1) === "") naive.pop()
      assert.deepStrictEqual(
        lines.map(textOf),
        naive.map((text) => (text.endsWith("\r") ? text.slice(0, -1) : text))
      )
      assert.deepStrictEqual(
        lines.map(({ number }) => number),
        naive.map((_, i) => i + 1)
      )
      for (const { bytes: line, isEnded, start } of lines) {
        assert.deepStrictEqual(Buffer.from(bytes.subarray(start, start + line.length)), Buffer.from(line))
        assert.strictEqual(isEnded, bytes.indexOf("\n", start) !== -1)
      }
    }
  )

  it.prop(
    "keeps only the beginning of a line that is too long, and all of the next",
    [Schema.Array(Place)],
    ([places]) => {
      const bytes = Buffer.from(`${"x".repeat(100)}\n${"y".repeat(99)}\n`)
      const [long, short] = split(cutAt(bytes, places), 99, 10)
      assert.deepInclude(long, { number: 1, isTooLong: true, start: 0, isEnded: true })
      assert.strictEqual(long && textOf(long), "x".repeat(10))
      assert.deepInclude(short, { number: 2, isTooLong: false, start: 101 })
      assert.strictEqual(short && textOf(short), "y".repeat(99))
    }
  )
})
