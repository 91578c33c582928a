/** What a browser loads to show the console. */
import { assert, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"

const folder = "dist/page"
const most = 150_000

it("the console's script is under 150 KB, compressed as it is sent", () => {
  const scripts = readdirSync(folder).filter((name) => name.endsWith(".js"))
  assert.isNotEmpty(scripts, "npm ci builds the page")
  const bytes = scripts.reduce((sum, name) => sum + gzipSync(readFileSync(join(folder, name))).length, 0)
  assert.isBelow(bytes, most)
})
