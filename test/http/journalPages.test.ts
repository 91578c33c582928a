import { assert, describe, it } from "@effect/vitest"
import { behindOf, cursorOf } from "../../src/http/journalPages.ts"

describe("pages of a journal", () => {
  it("begin at the place that was told, or at an instant, and nowhere else", () => {
    assert.deepStrictEqual(behindOf(cursorOf(57)), { place: 57 })
    assert.deepStrictEqual(behindOf("1795262768697"), { at: 1_795_262_768_697 })
    for (const text of ["", "p", "soon", "-1", "1.", "1.2", "1e3", "p1 ", "P1", "9".repeat(16)]) {
      assert.isUndefined(behindOf(text), text)
    }
  })
})
