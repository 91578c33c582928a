import { assert, describe, it } from "@effect/vitest"
import { json } from "../../src/cli/json.ts"

describe("JSON for programs", () => {
  it("is read back as it was, whatever is in it, and has nothing in it that is not shown", () => {
    const odd = { text: '\u0000\u001b\u007f\u009b\u200b\u202e\u2028\ud800 \u{e0001}账号 "\\\n\t' }
    assert.notMatch(json(odd), /[^\P{C}\n]|[\u2028\u2029]/u)
    assert.include(json(odd), "账号")
    assert.deepStrictEqual(JSON.parse(json(odd)), odd)
  })
})
