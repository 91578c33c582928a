import { assert, describe, it } from "@effect/vitest"
import { table } from "../../src/cli/table.ts"

describe("a table", () => {
  it("shows nothing that commands a terminal, turns the reading around or begins a line", () => {
    for (const command of ["\u001b[2J", "\u009b31m", "\n", "\r", "\u202e", "\u2028"]) {
      const text = table(["name", "n"], [[`a${command}b`, 1]])
      assert.strictEqual(text.split("\n").length, 3, JSON.stringify(command))
      assert.notMatch(text.replaceAll("\n", ""), /[\p{C}\p{Zl}\p{Zp}]/u)
    }
  })
})
