import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { chosen } from "../../src/cli/chosenToken.ts"

describe("naming a token", () => {
  const tokens = [
    { id: "warp-1", name: "main", provider: "warp" },
    { id: "wopan-1", name: "main", provider: "wopan" },
    { id: "wopan-2", name: "warp-1", provider: "wopan" }
  ]
  it("means the one of that id, else the only one of that name, of all or of a provider", () => {
    const idOf = (name: string, provider?: string) => Result.getOrThrow(chosen(tokens, name, provider)).id
    assert.strictEqual(idOf("warp-1"), "warp-1")
    assert.strictEqual(idOf("warp-1", "wopan"), "wopan-2")
    assert.strictEqual(idOf("main", "wopan"), "wopan-1")
    const messageOf = (name: string, provider?: string) =>
      Result.match(chosen(tokens, name, provider), { onSuccess: () => "", onFailure: ({ message }) => message })
    assert.match(messageOf("main"), /several tokens are named main: .*\(warp-1, wopan-1\) or with --provider$/)
    assert.strictEqual(messageOf("wopan-1", "warp"), "there is no token wopan-1; there are main")
    const many = Array.from({ length: 30 }, (_, i) => ({ id: `i${i}`, name: `n${i}`, provider: "warp" }))
    const told = Result.match(chosen(many, "x"), { onSuccess: () => "", onFailure: ({ message }) => message })
    assert.match(told, /n19 and 10 more$/)
  })
})
