import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { temporaryFolder } from "../support/running.ts"

const run = (cwd: string, command: string, ...args: ReadonlyArray<string>) =>
  Effect.promise(() => promisify(execFile)(command, args, { cwd, maxBuffer: 1 << 26 }))

const root = join(import.meta.dirname, "../..")

/** The programs in a module's comment. */
const examplesIn = (path: string) => {
  const comment = readFileSync(path, "utf8").replace(/^ \* ?/gm, "")
  return [...comment.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = ""]) => code)
}

describe("the package", () => {
  it("is composed in the README by the program that is run here", () => {
    const program = readFileSync(join(import.meta.dirname, "consumer.ts"), "utf8")
    assert.include(readFileSync(join(root, "README.md"), "utf8"), program)
  })

  it.live(
    "builds, installs into an empty folder, and is composed, type-checked and run there",
    () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        yield* run(root, "npm", "pack", "--pack-destination", folder)
        const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"))
        writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "consumer", type: "module", private: true }))
        yield* run(folder, "npm", "install", "--no-audit", "--no-fund", "--prefer-offline", `./${tarball}`)
        for (const program of ["consumer.ts", "caller.js"]) {
          copyFileSync(join(import.meta.dirname, program), join(folder, program))
        }
        const examples = examplesIn(join(root, "src/client/index.ts")).map((code, index) => {
          writeFileSync(join(folder, `example${index}.ts`), code)
          return `example${index}.ts`
        })
        assert.strictEqual(examples.length, 2)
        const flags = "--noEmit --strict --exactOptionalPropertyTypes --module nodenext --target es2024 --types node"
        const types = ["--typeRoots", join(root, "node_modules/@types")]
        yield* run(
          folder,
          join(root, "node_modules/.bin/tsc"),
          ...flags.split(" "),
          ...types,
          "consumer.ts",
          ...examples
        )
        const { stdout } = yield* run(folder, process.execPath, "consumer.ts")
        assert.strictEqual(stdout.trim(), "{ lent: true, soon: false, then: true }")
        const called = yield* run(folder, process.execPath, "caller.js")
        assert.deepStrictEqual(JSON.parse(called.stdout), {
          used: "synthetic-token-2",
          reported: [
            ["lease-1", "quota_exhausted"],
            ["lease-2", "succeeded"]
          ]
        })
        const help = yield* run(folder, process.execPath, "node_modules/.bin/weirgate", "--help")
        assert.include(help.stdout, "serve")
      }),
    300_000
  )
})
