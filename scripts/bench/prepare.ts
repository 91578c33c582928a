/** Installs the peers once: they are the bench's dependencies, never the product's. */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"

const here = import.meta.dirname
if (!existsSync(join(here, "node_modules"))) {
  const { status } = spawnSync("npm", ["ci", "--prefix", here, "--ignore-scripts", "--no-audit", "--no-fund"], {
    stdio: "inherit"
  })
  process.exitCode = status ?? 1
}
