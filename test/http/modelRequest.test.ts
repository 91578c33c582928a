import { assert, describe, it } from "@effect/vitest"
import { BadRequest } from "../../src/http/failures.ts"
import { read } from "../../src/http/modelRequest.ts"

const reading = (model: string) =>
  read(
    "/chat/completions",
    new TextEncoder().encode(JSON.stringify({ model, messages: [{ role: "user", content: "a" }] }))
  )

describe("the model of a request", () => {
  it("has a name of at most 500 characters: it is kept, and told in a header", () => {
    const longest = "ü".repeat(500)
    const asked = reading(longest)
    assert.isFalse(asked instanceof BadRequest)
    if (!(asked instanceof BadRequest)) assert.strictEqual(asked.model, longest)

    const refused = reading(`${longest}x`)
    if (!(refused instanceof BadRequest)) return assert.fail("it is read")
    assert.deepInclude(refused, { status: 400, param: "model", reason: "expected at most 500 characters" })
  })
})
