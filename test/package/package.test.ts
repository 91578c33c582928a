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
        copyFileSync(join(import.meta.dirname, "consumer.ts"), join(folder, "consumer.ts"))
        const flags = "--noEmit --strict --exactOptionalPropertyTypes --module nodenext --target es2024 --types node"
        const types = ["--typeRoots", join(root, "node_modules/@types")]
        yield* run(folder, join(root, "node_modules/.bin/tsc"), ...flags.split(" "), ...types, "consumer.ts")
        const { stdout } = yield* run(folder, process.execPath, "consumer.ts")
        assert.strictEqual(stdout.trim(), "{ lent: true, soon: false, then: true }")
        const help = yield* run(folder, process.execPath, "node_modules/.bin/weirgate", "--help")
        assert.include(help.stdout, "serve")
      }),
    300_000
  )
})
