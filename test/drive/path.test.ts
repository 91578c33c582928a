import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { longestPath, parse, pathOf } from "../../src/drive/path.ts"

const Piece = Schema.Literals([
  "a",
  "B",
  "ü",
  "u\u0308",
  " ",
  ".",
  "..",
  "...",
  "/",
  "//",
  "\u0000",
  "\u007f",
  "\u0085",
  "\ud83c",
  "\udf88",
  "🎈",
  "%2f",
  "\\",
  "\u2028"
])

/** What a name may be, said in another way. */
const isName = (name: string) =>
  name !== "" &&
  name !== "." &&
  name !== ".." &&
  [...name].every((char) => {
    const code = char.codePointAt(0) ?? 0
    return code >= 0x20 && !(code >= 0x7f && code <= 0x9f) && !(code >= 0xd800 && code <= 0xdfff)
  })

describe("path", () => {
  it.effect.prop("is names that are as they were written, or is refused", [Schema.Array(Piece)], ([pieces]) =>
    Effect.sync(() => {
      const path = pieces.join("")
      const parsed = parse(path)
      const names = path === "" ? [] : path.split("/")
      if (names.every(isName) && path.length <= longestPath) {
        assert.deepStrictEqual(parsed, { _tag: "Names", names })
        assert.strictEqual(pathOf(names), path)
      } else {
        assert.strictEqual(parsed._tag, "Refused")
      }
    })
  )

  it("may be 4,096 characters long, and no longer", () => {
    assert.strictEqual(parse("x".repeat(longestPath))._tag, "Names")
    assert.strictEqual(parse("x".repeat(longestPath + 1))._tag, "Refused")
  })
})
