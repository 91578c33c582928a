import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { temporaryFolder } from "../support/running.ts"
import { inherited } from "../support/subprocess.ts"

/** A machine: a folder for files, and a data folder. */
const machine = Effect.map(temporaryFolder, (folder) => {
  const data = join(folder, "data")
  return {
    folder,
    data,
    file: (name: string, content: unknown) => {
      const path = join(folder, name)
      writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content, undefined, 2))
      return path
    },
    weirgate: (...args: ReadonlyArray<string>) => {
      const { status, stderr, stdout } = spawnSync(process.execPath, ["src/main.ts", "token", ...args], {
        env: { ...inherited, WEIRGATE_DATA: data },
        encoding: "utf8"
      })
      return { status, stdout, stderr }
    },
    audit: () => {
      const db = new DatabaseSync(join(data, "sandbox.db"), { readOnly: true })
      const rows = db.prepare("SELECT value FROM journal WHERE name = 'audit' ORDER BY seq").all()
      db.close()
      return rows.map((row): string => {
        const { action, result, subject } = JSON.parse(String(row["value"]))
        return `${action} ${subject} ${result}`
      })
    }
  }
})

const tokens = [
  { token: "synthetic-token-a", name: "账号一", is_active: true, success_count: 3 },
  { token: "synthetic-token-b", is_active: false, refresh_token: "synthetic-refresh-b" },
  { token: "synthetic-token-c", kind: "personal", expires_at: "2027-01-01T00:00:00.000Z" }
]

describe("weirgate token import and export", () => {
  it.effect("imports all or nothing, tells each duplicate by its line, and passes over them when told to", () =>
    Effect.gen(function* () {
      const { audit, data, file, weirgate } = yield* machine
      const good = file("tokens.json", { tokens })
      const dry = weirgate("import", good, "--dry-run")
      assert.deepInclude(dry, { status: 0, stdout: "3 tokens would be imported\n" })
      assert.deepInclude(weirgate("import", good), { status: 0, stdout: "3 tokens imported\n" })

      const more = file("more.json", [
        tokens[0],
        { token: "synthetic-token-d", name: "账号一" },
        { token: "synthetic-e" }
      ])
      const refused = weirgate("import", more)
      assert.strictEqual(refused.status, 1)
      assert.include(refused.stderr, `${more}:2: the pool holds this token already, as 账号一\n`)
      assert.include(refused.stderr, `${more}:8: name: the same as line 2\n`)
      assert.include(refused.stdout + refused.stderr, "2 problems; nothing was imported")
      assert.notInclude(refused.stdout + refused.stderr, "synthetic")

      const fewer = file("fewer.json", [...tokens, { token: "synthetic-token-e", provider: "wopan" }])
      assert.deepInclude(weirgate("import", fewer, "--skip-known"), {
        status: 0,
        stdout: "1 token imported; 3 held already\n"
      })
      assert.deepStrictEqual(audit(), [
        `token.import ${good} done`,
        `token.import ${more} refused`,
        `token.import ${fewer} done`
      ])
      for (const name of readdirSync(data)) {
        assert.notInclude(readFileSync(join(data, name)).toString("latin1"), "synthetic", name)
      }
    })
  )

  it.effect(
    "exports to a file that only its owner reads and that makes the same tokens elsewhere",
    () =>
      Effect.gen(function* () {
        const [here, there] = [yield* machine, yield* machine]
        assert.strictEqual(here.weirgate("import", here.file("tokens.json", { tokens })).status, 0)
        const out = join(here.folder, "out.json")
        assert.include(here.weirgate("export", out).stdout, "3 tokens of wopan written")
        assert.strictEqual(statSync(out).mode & 0o777, 0o600)
        const text = readFileSync(out, "utf8")

        const again = here.weirgate("export", out)
        assert.strictEqual(again.status, 1)
        assert.include(again.stdout + again.stderr, "--force")
        assert.strictEqual(readFileSync(out, "utf8"), text)
        assert.strictEqual(here.weirgate("disable", "账号一").status, 0)
        assert.strictEqual(here.weirgate("export", out, "--force").status, 0)
        const [active, disabled] = [text, readFileSync(out, "utf8")].map((text) => JSON.parse(text).tokens)
        assert.deepStrictEqual(
          disabled,
          active.map((row: { name: string }) => (row.name === "账号一" ? { ...row, is_active: false } : row))
        )
        assert.deepStrictEqual(readdirSync(here.folder).toSorted(), ["data", "out.json", "tokens.json"])

        assert.strictEqual(there.weirgate("import", out).status, 0)
        const copy = join(there.folder, "copy.json")
        assert.strictEqual(there.weirgate("export", copy).status, 0)
        assert.deepStrictEqual(JSON.parse(readFileSync(copy, "utf8")).tokens, disabled)
        assert.match(here.audit()[3] ?? "", /^token.disable 账号一 \(wopan-shared-[0-9a-f]{4}\) done$/)
      }),
    60_000
  )

  it.effect("refuses a file that is none, an upstream that is not there, and what is not UTF-8", () =>
    Effect.gen(function* () {
      const { file, weirgate } = yield* machine
      const strange = file("strange.json", [{ token: "synthetic-a", provider: "nowhere" }, { token: "synthetic-b" }, 7])
      const refused = weirgate("import", strange)
      assert.strictEqual(refused.status, 1)
      assert.match(refused.stderr, /strange.json:2: provider: there is no nowhere; there are wopan, /)
      assert.match(refused.stderr, /strange.json:9: expected an object\n/)
      const latin = file("latin.json", "")
      writeFileSync(latin, Buffer.from([0x5b, 0xe4, 0x5d]))
      const unreadable = weirgate("import", latin)
      assert.strictEqual(unreadable.status, 1)
      assert.include(unreadable.stdout + unreadable.stderr, "it is not UTF-8")
    })
  )
})
