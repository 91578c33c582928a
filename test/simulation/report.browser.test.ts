import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { existsSync } from "node:fs"
import { pathToFileURL } from "node:url"
import { chromium, type Browser, type Page } from "playwright-core"
import { htmlOf } from "../../src/simulation/report.ts"
import type { Outcome } from "../../src/simulation/outcome.ts"
import { empty, plausible } from "./outcomes.ts"

const browser = "/usr/bin/chromium"
const inCi = process.env["CI"] !== undefined
const quiet =
  "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync"

const launched = Effect.acquireRelease(
  Effect.promise(() => chromium.launch({ executablePath: browser, args: quiet.split(" ") })),
  (browser) => Effect.promise(() => browser.close())
)

const plots = ["queue", "use-0", "use-1", "use-2", "use-3", "use-4", "waits"]

/** The report, opened from its file, and all that went wrong or out on the way. */
const opened = Effect.fnUntraced(function* (
  browser: Browser,
  outcome: Outcome,
  { dark = false, width = 1_280 }: { readonly dark?: boolean; readonly width?: number } = {}
) {
  const fs = yield* FileSystem.FileSystem
  const file = `${yield* fs.makeTempDirectoryScoped()}/report.html`
  yield* fs.writeFileString(file, yield* htmlOf(outcome))
  const page = yield* Effect.promise(() =>
    browser.newPage({ viewport: { width, height: 900 }, colorScheme: dark ? "dark" : "light" })
  )
  const wrong: Array<string> = []
  const url = pathToFileURL(file).href
  page.on("pageerror", (error) => wrong.push(error.message))
  page.on("console", (message) => wrong.push(message.text()))
  page.on("dialog", (dialog) => wrong.push(dialog.message()))
  page.on("request", (request) => {
    if (request.url() !== url) wrong.push(request.url())
  })
  yield* Effect.promise(async () => {
    await page.goto(url)
    await page.locator("#waits canvas").waitFor()
  })
  return { page, wrong }
})

/** How many pixels of the plot's canvas were drawn within its axes. */
const pixelsOf = (page: Page, id: string): Promise<number> =>
  page.evaluate(`(() => {
    const canvas = document.querySelector("#${id} canvas")
    const [over, all] = [document.querySelector("#${id} .u-over"), canvas].map((e) => e.getBoundingClientRect())
    const scale = canvas.width / all.width
    const { data } = canvas
      .getContext("2d")
      .getImageData((over.left - all.left) * scale, (over.top - all.top) * scale, over.width * scale, over.height * scale)
    return data.filter((value, index) => index % 4 === 3 && value > 0).length
  })()`)

/** By how many pixels the page, or what is in one of its parts, is wider than it may be. */
const overflow = (page: Page): Promise<number> =>
  page.evaluate(`Math.max(
    ...[document.documentElement, ...document.querySelectorAll("section, figure, table")].map(
      (element) => element.scrollWidth - element.clientWidth
    )
  )`)

describe.skipIf(!existsSync(browser) && !inCi)(`a report in a browser (skipped without ${browser})`, () => {
  it.live("draws each plot from a file, asks no host for anything, and complains of nothing", () =>
    Effect.gen(function* () {
      const browser = yield* launched
      const blank = yield* opened(browser, empty)
      const full = yield* opened(browser, plausible())
      for (const id of plots) {
        const axesOnly = yield* Effect.promise(() => pixelsOf(blank.page, id))
        const drawn = yield* Effect.promise(() => pixelsOf(full.page, id))
        assert.isAbove(drawn, axesOnly + 500, id)
      }
      assert.deepStrictEqual([...full.wrong, ...blank.wrong], [])
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("fits a phone, and its plots grow and shrink with the window", () =>
    Effect.gen(function* () {
      const { page, wrong } = yield* opened(yield* launched, plausible(), { width: 375 })
      assert.strictEqual(yield* Effect.promise(() => overflow(page)), 0)
      yield* Effect.promise(async () => {
        for (const width of [1_280, 375]) {
          await page.setViewportSize({ width, height: 900 })
          await page.evaluate(`new Promise((done) => {
            const plot = document.querySelector("#queue")
            const look = () =>
              plot.querySelector(".uplot").clientWidth === plot.clientWidth && innerWidth === ${width}
                ? done()
                : requestAnimationFrame(look)
            look()
          })`)
        }
      })
      assert.strictEqual(yield* Effect.promise(() => overflow(page)), 0)
      assert.deepStrictEqual(wrong, [])
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("is dark where that is asked for, and turns at once", () =>
    Effect.gen(function* () {
      const { page, wrong } = yield* opened(yield* launched, plausible(), { dark: true })
      const colours = (): Promise<readonly [page: string, plot: string]> =>
        page.evaluate(
          `[getComputedStyle(document.body).backgroundColor, document.querySelector("#queue canvas").toDataURL()]`
        )
      const dark = yield* Effect.promise(colours)
      yield* Effect.promise(async () => {
        await page.emulateMedia({ colorScheme: "light" })
        // Until the frame after the one in which the plots were told.
        await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
      })
      const light = yield* Effect.promise(colours)
      assert.notStrictEqual(light[0], dark[0])
      assert.notStrictEqual(light[1], dark[1])
      assert.deepStrictEqual(wrong, [])
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("takes names for names, whatever is in them", () =>
    Effect.gen(function* () {
      const evil = `</script><script>alert("x")</script><!--<script><img src=x onerror=alert(1)>"'&amp;.csv`
      const usual = plausible()
      const outcome: Outcome = {
        ...usual,
        scenario: { ...usual.scenario, trace: evil, model: evil, seed: evil },
        requests: { ...usual.requests, reasons: { [evil]: 3 } },
        providers: usual.providers.map((provider) => ({
          ...provider,
          name: evil,
          faults: [{ kind: evil, from: 0, to: 9 }]
        }))
      }
      const { page, wrong } = yield* opened(yield* launched, outcome, { width: 375 })
      const heading = yield* Effect.promise(() => page.locator("h1").innerText())
      assert.strictEqual(heading, `1 h of ${evil}`)
      const drawn = yield* Effect.promise(() => pixelsOf(page, "queue"))
      assert.isAbove(drawn, 500)
      assert.strictEqual(yield* Effect.promise(() => overflow(page)), 0)
      assert.deepStrictEqual(wrong, [])
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("tells what is under the pointer, and names each plot for those who cannot see it", () =>
    Effect.gen(function* () {
      const { page } = yield* opened(yield* launched, plausible())
      const read = yield* Effect.promise(async () => {
        await page.locator("#queue .u-over").hover({ position: { x: 700, y: 80 } })
        const words = page.locator("#queue-read").filter({ hasText: "waiting" })
        await words.waitFor()
        return words.innerText()
      })
      assert.match(read, /^\d+:\d\d · waiting \d+$/)
      const named = yield* Effect.promise(() =>
        page.getByRole("img").evaluateAll((elements) => elements.map((element) => `${element.id}`))
      )
      assert.deepStrictEqual(named, plots)
      const caption = yield* Effect.promise(() => page.getByRole("img", { name: /^At most \d+ waited/ }).count())
      assert.strictEqual(caption, 1)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )
})
