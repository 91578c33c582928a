/**
 * The pictures: the console's overview under load, for the README, and every page at both widths in both colours, beside the test that
 * walks through them.
 *
 *     npm run screenshots [-- --minutes 4]
 *
 * Everything stays on this machine: a server on scripts/five-providers.json and Warp, the sandbox that plays them all, and Chromium.
 */
import { spawn, spawnSync } from "node:child_process"
import { randomInt } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { chromium } from "playwright-core"

const { values: flags } = parseArgs({ options: { minutes: { type: "string", default: "4" } } })
const duration = Number(flags.minutes) * 60_000

const picture = "scripts/pictures/console.png"
const folder = mkdtempSync(join(tmpdir(), "weirgate-screenshots-"))
const port = randomInt(10_000, 32_000)
const url = `http://127.0.0.1:${port}`

const sandbox = `http://127.0.0.1:${port + 1}`
const environment = { PATH: process.env["PATH"], HOME: process.env["HOME"] }
const started = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>) =>
  spawn(process.execPath, ["src/main.ts", ...args, "--log-level", "error"], {
    env: { ...environment, ...env },
    stdio: ["ignore", "ignore", "inherit"]
  })

const answers = async (address: string) => {
  try {
    return (await fetch(address)).ok
  } catch {
    return false
  }
}

const ready = async (address: string) => {
  for (let n = 0; !(await answers(address)); n++) {
    if (n > 300) throw new Error(`${address} does not answer`)
    await sleep(100)
  }
}

const ask = async (model: string, stream: boolean) => {
  try {
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-weirgate-timeout": "60s" },
      body: JSON.stringify({ model, stream, messages: [{ role: "user", content: "Tell me of weirs." }] })
    })
    await answer.text()
  } catch {
    // The server ends before its last answers.
  }
}

/** A tide of requests that is at its height more than the providers take, and some for Warp, whose tokens must be acquired. */
const load = async (end: number) => {
  for (let n = 0; Date.now() < end; n++) {
    // At its height when the picture is taken.
    const tide = 1 + Math.cos((end - Date.now()) / 25_000)
    void ask(n % 3 === 0 ? "fast" : "expert", n % 2 === 0)
    if (n % 12 === 0) void ask("warp/auto", false)
    await sleep(1_000 / (1 + 4 * tide))
  }
}

const upstreams = started(["sandbox"], { WEIRGATE_SANDBOX_PORT: `${port + 1}` })
let server: ReturnType<typeof started> | undefined
try {
  await ready(`${sandbox}/_sandbox/credentials`)
  const credentials: unknown = await (await fetch(`${sandbox}/_sandbox/credentials`)).json()
  const { baseUrl, firebaseApiKey, identityUrl, tokenUrl } = credentials as Record<string, string>
  const { providers, routes } = JSON.parse(readFileSync("scripts/five-providers.json", "utf8"))
  const key = { env: "SANDBOX_KEY" }
  const warp = { name: "warp", kind: "warp", baseUrl, identityUrl, tokenUrl, firebaseApiKey: key, minting: true }
  const file = join(folder, "weirgate.json")
  writeFileSync(file, JSON.stringify({ providers: [...providers, warp], routes }))
  server = started(["serve"], {
    WEIRGATE_PORT: `${port}`,
    WEIRGATE_SANDBOX_URL: sandbox,
    WEIRGATE_DATA: join(folder, "data"),
    WEIRGATE_CONFIG: file,
    SANDBOX_KEY: firebaseApiKey ?? ""
  })
  await ready(`${url}/readyz`)
  const service = { firstToken: 600, perThousandPrompt: 100, perToken: 12, jitter: 0.4 }
  for (const { name } of providers) {
    await fetch(`${sandbox}/_sandbox/limits`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ provider: name, service })
    })
  }
  const loading = load(Date.now() + duration)
  await sleep(duration - 10_000)
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu"]
  })
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: "light" })
  await page.goto(url)
  await page.getByLabel("Password").fill(readFileSync(join(folder, "data", "console-password"), "utf8").trim())
  await page.getByRole("button", { name: "Log in" }).click()
  await page.getByRole("radio", { name: "5 minutes", exact: true }).check()
  await page.getByRole("heading", { name: "Overview" }).click()
  await sleep(4_000)
  await page.screenshot({ path: picture, fullPage: true })
  await browser.close()
  await loading
} finally {
  server?.kill("SIGKILL")
  upstreams.kill("SIGKILL")
  rmSync(folder, { recursive: true, force: true })
}

const story = ["vitest", "run", "--config", "test/vitest.config.ts", "test/console/story.test.ts"]
const { status } = spawnSync("npx", story, {
  stdio: "inherit",
  env: { ...process.env, WEIRGATE_SCREENSHOTS: "1", CI: "1" }
})
process.exitCode = status ?? 1
