import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { partOf } from "../../../src/sandbox/wopan/byteRange.ts"

const Small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 }))

describe("partOf", () => {
  it.effect.prop("holds the bytes that one by one are asked for", [Small, Small, Small], ([first, last, rest]) =>
    Effect.sync(() => {
      const length = rest + 1
      const all = Array.from({ length }, (_, i) => i)
      const bytes = (header: string) => {
        const part = partOf(header, length)
        assert.isDefined(part)
        return part === "NotSatisfiable" ? [] : all.filter((i) => i >= part.start && i <= part.end)
      }
      if (first <= last) {
        const wanted = all.filter((i) => i >= first && i <= last)
        assert.deepStrictEqual(bytes(`bytes=${first}-${last}`), wanted)
      }
      assert.deepStrictEqual(
        bytes(`bytes=${first}-`),
        all.filter((i) => i >= first)
      )
      assert.deepStrictEqual(bytes(`bytes=-${last}`), last === 0 ? [] : all.slice(-last))
    })
  )

  it.each([undefined, "", "bytes=", "bytes=-", "bytes=5-4", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b", "bytes= 0-1"])(
    "ignores %j",
    (header) => {
      assert.isUndefined(partOf(header, 10))
    }
  )
})
