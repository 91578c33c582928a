import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"

const src = join(import.meta.dirname, "../../src")

/** All that a module imports, itself and through what it imports, types included. */
const reachedFrom = (entry: string) => {
  const files = new Map<string, string>()
  const packages = new Set<string>()
  const visit = (path: string) => {
    if (files.has(path)) return
    const text = readFileSync(path, "utf8")
    files.set(path, text)
    const code = text.replace(/\/\*[\s\S]*?\*\//g, "")
    for (const [, from, dynamic] of code.matchAll(/\bfrom\s+"([^"]+)"|\bimport\s*\(?\s*"([^"]+)"/g)) {
      const specifier = from ?? dynamic ?? ""
      if (specifier.startsWith(".")) visit(join(dirname(path), specifier))
      else packages.add(specifier)
    }
  }
  visit(entry)
  return {
    packages: [...packages].toSorted(),
    files: [...files].map(([path, text]) => ({ name: relative(src, path), text }))
  }
}

/** Of the server, what needs nothing else of it. */
const light = new Set([
  "access/Client.ts",
  "domain/Token.ts",
  "domain/firstIssue.ts",
  "domain/tokenSecret.ts",
  "upstream/RetryAfter.ts"
])

describe("weirgate/client", () => {
  const { files, packages } = reachedFrom(join(src, "client/index.ts"))

  it("imports of the server only its contract, and nothing of Node", () => {
    const names = files.map(({ name }) => name)
    assert.includeMembers(names, ["client/connect.ts", "contract/tokens.ts", "contract/drive.ts"])
    assert.deepStrictEqual(
      names.filter((name) => !/^(client|contract)\//.test(name) && !light.has(name)),
      []
    )
    assert.deepStrictEqual(packages, ["effect", "effect/http", "effect/http-api"])
  })

  it("uses nothing that only Node has", () => {
    for (const { name, text } of files) {
      const code = text.replace(/\/\*[\s\S]*?\*\//g, "")
      assert.notMatch(code, /\b(process|Buffer|require|__dirname|setImmediate)\b|import\.meta/, name)
    }
  })
})
