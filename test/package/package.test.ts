import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { get, temporaryFolder } from "../support/running.ts"
import { freePort, ready, started } from "../support/subprocess.ts"

const run = (cwd: string, command: string, ...args: ReadonlyArray<string>) =>
  Effect.promise(() => promisify(execFile)(command, args, { cwd, maxBuffer: 1 << 26 }))

const root = join(import.meta.dirname, "../..")

/** Packed from a copy: a build begins by taking `dist` away, whose page other tests need meanwhile. */
const packedInto = (folder: string) =>
  Effect.gen(function* () {
    const copy = join(folder, "copy")
    mkdirSync(copy)
    for (const part of ["src", "package.json", "tsconfig.json", "README.md", "LICENSE"]) {
      cpSync(join(root, part), join(copy, part), { recursive: true })
    }
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"))
    yield* run(copy, "npm", "pack", "--pack-destination", folder)
    return readdirSync(folder).find((name) => name.endsWith(".tgz"))
  })

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
        const tarball = yield* packedInto(folder)
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

        // It has the console as a browser needs it, and nothing else of it.
        const dist = join(folder, "node_modules/weirgate/dist")
        assert.isFalse(existsSync(join(dist, "console")))
        const port = yield* freePort
        const url = `http://127.0.0.1:${port}`
        const env = { WEIRGATE_PORT: `${port}`, WEIRGATE_SANDBOX_PORT: "0", WEIRGATE_DATA: join(folder, "data") }
        yield* ready(yield* started(["serve"], env, undefined, join(dist, "main.js")), `${url}/readyz`)
        const page = yield* get(`${url}/`)
        assert.strictEqual(page.status, 200)
        const [, script = ""] = /<script type="module"[^>]* src="([^"]+)"/.exec(page.text) ?? []
        assert.strictEqual((yield* get(`${url}${script}`)).status, 200)
      }),
    300_000
  )
})
