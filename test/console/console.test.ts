/** The console in a browser, as whoever runs the server uses it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { chromium, type Page } from "playwright-core"
import { running } from "../support/running.ts"

const browser = "/usr/bin/chromium"
const inCi = process.env["CI"] !== undefined
const quiet =
  "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync"
const axe = readFileSync("node_modules/axe-core/axe.min.js", "utf8")

const opened = Effect.acquireRelease(
  Effect.promise(() => chromium.launch({ executablePath: browser, args: quiet.split(" ") })),
  (browser) => Effect.promise(() => browser.close())
)

/** The faults that matter to people who see, hear or move otherwise. */
const faultsOf = async (page: Page): Promise<ReadonlyArray<string>> => {
  await page.evaluate(axe)
  const found = (await page.evaluate("axe.run()")) as {
    violations: ReadonlyArray<{ id: string; impact: string; nodes: ReadonlyArray<{ html: string }> }>
  }
  return found.violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)
}

const logIn = async (page: Page, url: string, folder: string) => {
  await page.goto(`${url}/`)
  await page.getByLabel("Password").fill(readFileSync(join(folder, "console-password"), "utf8").trim())
  await page.keyboard.press("Enter")
  await page.getByRole("heading", { name: "Tokens" }).waitFor()
}

const titles = ["Tokens", "Providers", "Checks", "Keys", "Audit"]

describe("the console", () => {
  for (const [width, colorScheme] of [
    [1280, "light"],
    [375, "dark"]
  ] as const) {
    it.live.skipIf(!existsSync(browser) && !inCi)(
      `is logged into and used at ${width} pixels in the ${colorScheme} (skipped without ${browser})`,
      () =>
        Effect.gen(function* () {
          const { folder, url } = yield* running()
          const chrome = yield* opened
          yield* Effect.promise(async () => {
            const page = await chrome.newPage({ viewport: { width, height: 800 }, colorScheme })
            const wrong: Array<string> = []
            page.on("console", (message) => message.type() === "error" && wrong.push(message.text()))
            page.on("pageerror", ({ message }) => wrong.push(message))
            page.on("request", (request) => request.url().startsWith(url) || wrong.push(request.url()))
            await logIn(page, url, folder)
            assert.deepStrictEqual(await faultsOf(page), [])

            await page.getByLabel("Name").fill("mine")
            await page.getByLabel("Token", { exact: true }).fill("synthetic-token-of-mine")
            await page.getByRole("button", { name: "Add" }).click()
            await page.getByRole("button", { name: "Disable mine" }).click()
            await page.getByRole("button", { name: "Enable mine" }).waitFor()
            await page.getByRole("button", { name: "Remove mine" }).click()
            await page.getByRole("button", { name: "Really remove mine" }).click()
            await page.getByRole("button", { name: "Disable mine" }).waitFor({ state: "detached" })
            await page.getByRole("button", { name: "Enable mine" }).waitFor({ state: "detached" })

            await page.getByRole("link", { name: "Keys" }).click()
            await page.getByLabel("Name").fill("alice")
            await page.getByLabel("Role").selectOption("token")
            await page.getByRole("button", { name: "Make a key" }).click()
            assert.match(await page.locator(".secret").innerText(), /^wg-/)
            await page.getByRole("button", { name: "Revoke alice" }).click()
            await page.getByRole("button", { name: "Really revoke alice" }).click()
            await page.getByText("revoked").waitFor()

            for (const title of titles) {
              await page.getByRole("link", { name: title, exact: true }).click()
              await page.getByRole("heading", { name: title }).waitFor()
              await page.locator("table").waitFor()
              assert.deepStrictEqual(await faultsOf(page), [], title)
              const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
              assert.strictEqual(overflow, 0, `${title} is as wide as the window`)
              const text = await page.locator("body").innerText()
              assert.notInclude(text, "synthetic-token-of-mine", title)
            }
            await page.getByText("key.revoke").first().waitFor()

            await page.getByRole("link", { name: "Providers" }).click()
            await page.getByRole("button", { name: "Pause warp" }).click()
            await page.getByText("paused", { exact: true }).waitFor()
            await page.getByRole("button", { name: "Resume warp" }).click()
            await page.getByText("in order").waitFor()
            await page.getByRole("link", { name: "Alerts" }).click()
            await page.getByText("Nothing needs you.").waitFor()
            assert.deepStrictEqual(await faultsOf(page), [])
            await page.getByRole("link", { name: "Audit" }).click()
            await page.getByText("provider.resume").first().waitFor()
            await page.reload()
            await page.getByRole("heading", { name: "Audit" }).waitFor()
            await page.getByRole("button", { name: "Log out" }).click()
            await page.getByLabel("Password").waitFor()
            assert.deepStrictEqual(wrong, [])
          })
        }),
      60_000
    )
  }

  it.live.skipIf(!existsSync(browser) && !inCi)(
    `is worked by keys alone (skipped without ${browser})`,
    () =>
      Effect.gen(function* () {
        const { folder, url } = yield* running()
        const chrome = yield* opened
        yield* Effect.promise(async () => {
          const page = await chrome.newPage()
          await logIn(page, url, folder)
          const reach = async (name: string) => {
            for (let n = 0; n < 40; n++) {
              await page.keyboard.press("Tab")
              const focused = await page.evaluate(
                "document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? ''"
              )
              if (focused === name) return
            }
            assert.fail(`${name} cannot be reached`)
          }
          await page.getByRole("button", { name: "Disable sandbox-1" }).waitFor()
          await reach("Disable sandbox-1")
          await page.keyboard.press("Enter")
          await page.getByRole("button", { name: "Enable sandbox-1" }).waitFor()
          await reach("Keys")
          await page.keyboard.press("Enter")
          await page.getByRole("heading", { name: "Keys" }).waitFor()
        })
      }),
    60_000
  )
})
