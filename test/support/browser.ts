/** Chromium, and a person before it: with a pointer, or with the keyboard alone. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { type Browser, chromium, type Locator, type Page } from "playwright-core"

const executablePath = "/usr/bin/chromium"
/** In CI a test that needs a browser fails without one. */
export const hasNone = !existsSync(executablePath) && process.env["CI"] === undefined
/** To stand in the names of the tests that `hasNone` skips. */
export const need = `(skipped without ${executablePath})`

const args =
  "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync"

export const browser = Effect.acquireRelease(
  Effect.promise(() => chromium.launch({ executablePath, args: args.split(" ") })),
  (browser) => Effect.promise(() => browser.close())
)

interface Server {
  readonly url: string
  readonly folder: string
}

interface View {
  readonly width: number
  readonly colorScheme: "light" | "dark"
}

/** A window of its own. `wrong` is what no page may do: print an error, break the policy of its content, or ask another host. */
export const opened = async (browser: Browser, { url }: Server, { colorScheme, width }: View) => {
  const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme, reducedMotion: "reduce" })
  const page = await context.newPage()
  page.setDefaultTimeout(15_000)
  // Somebody listens from the start, so that a chooser is never the system's own.
  page.on("filechooser", () => undefined)
  const wrong: Array<string> = []
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()))
  page.on("pageerror", ({ message }) => wrong.push(message))
  page.on("request", (request) => request.url().startsWith(url) || wrong.push(`asks ${request.url()}`))
  return { page, wrong }
}

export const passwordOf = ({ folder }: Server) => readFileSync(join(folder, "console-password"), "utf8").trim()

/** Goes on at the overview. */
export const logIn = async (page: Page, server: Server) => {
  await page.goto(`${server.url}/`)
  await page.getByLabel("Password", { exact: true }).fill(passwordOf(server))
  await page.keyboard.press("Enter")
  await page.getByRole("heading", { name: "Overview" }).waitFor()
}

const axe = readFileSync("node_modules/axe-core/axe.min.js", "utf8")

/** The faults that matter to people who see, hear or move otherwise. */
export const faultsOf = async (page: Page): Promise<ReadonlyArray<string>> => {
  await page.evaluate(axe)
  const found = (await page.evaluate("axe.run()")) as {
    violations: ReadonlyArray<{ id: string; impact: string; nodes: ReadonlyArray<{ html: string }> }>
  }
  return found.violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)
}

/** No page is wider than the window. */
export const overflowOf = (page: Page) => page.evaluate("document.documentElement.scrollWidth - innerWidth")

/** The console's pages, in the order of its navigation. */
export const titles = [
  "Overview",
  "Tokens",
  "Providers",
  "Decisions",
  "Requests",
  "Alerts",
  "Checks",
  "Keys",
  "Audit"
] as const

/** How a person does things. */
export interface Hands {
  /** A button, a link, or what folds something out. */
  readonly press: (what: Locator) => Promise<void>
  readonly write: (field: Locator, text: string) => Promise<void>
  readonly choose: (field: Locator, option: string) => Promise<void>
  /** One of a group of buttons of which one is on. */
  readonly pick: (radio: Locator) => Promise<void>
  readonly upload: (field: Locator, name: string, text: string) => Promise<void>
}

export const pointer: Hands = {
  press: (what) => what.click(),
  write: (field, text) => field.fill(text),
  choose: async (field, option) => void (await field.selectOption(option)),
  pick: (radio) => radio.check(),
  upload: (field, name, text) =>
    field.setInputFiles({ name, mimeType: "application/json", buffer: Buffer.from(text, "utf8") })
}

/** From what is in the page's hands to what is wanted, as far as a round through the page. */
const mostTabs = 300

/** Never touches a pointer, and never moves the focus but by the tabulator. */
export const keyboard = (page: Page): Hands => {
  const reach = async (what: Locator) => {
    await what.waitFor()
    const isThere = () => what.evaluate((element) => element === element.ownerDocument.activeElement)
    for (let n = 0; n < mostTabs; n++) {
      if (await isThere()) return
      await page.keyboard.press("Tab")
    }
    assert.fail(`${what} cannot be reached by keyboard`)
  }
  return {
    press: async (what) => {
      await reach(what)
      await page.keyboard.press("Enter")
    },
    write: async (field, text) => {
      await reach(field)
      await page.keyboard.type(text)
    },
    choose: async (field, option) => {
      await reach(field)
      const chosen = () => field.locator("option:checked").textContent()
      await page.keyboard.press("Home")
      for (let n = 0; (await chosen()) !== option; n++) {
        assert.isBelow(n, mostTabs, `${option} can be chosen`)
        await page.keyboard.press("ArrowDown")
      }
    },
    pick: async (radio) => {
      const group = await radio.getAttribute("name")
      await reach(page.locator(`input[name="${group}"]:checked`))
      for (let n = 0; !(await radio.isChecked()); n++) {
        assert.isBelow(n, mostTabs, `${radio} can be picked`)
        await page.keyboard.press("ArrowRight")
      }
    },
    upload: async (field, name, text) => {
      await reach(field)
      const chooser = page.waitForEvent("filechooser")
      await page.keyboard.press("Enter")
      await (await chooser).setFiles({ name, mimeType: "application/json", buffer: Buffer.from(text, "utf8") })
    }
  }
}
